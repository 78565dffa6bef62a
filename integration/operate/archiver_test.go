package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestBusyArchiver: a primary that has stopped, but for its archiver, hands over at once, by a switchover and by the end of its
// agent. Nobody cuts the archiver short, and the server comes back when it has done its work.
func TestBusyArchiver(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil { // for the user of PostgreSQL
		t.Fatal(err)
	}
	busy := filepath.Join(dir, "busy")
	c := testcluster.Start(t, testcluster.Options{TTL: 6, LoopWait: 1, Retry: 2, DCS: fmt.Sprintf(`
    archive_mode: 'on'
    archive_command: while test -e %s; do sleep 0.1; done`, busy)})
	c.WaitHealthy(enough)
	for name, leaves := range map[string]func(*testcluster.Node){
		"switchover": func(*testcluster.Node) { c.Hathi("switchover", "--force") },
		"end of the agent": func(leader *testcluster.Node) {
			if err := syscall.Kill(leader.Guard(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			leader := c.WaitSettled(enough)
			w := c.StartWriter()
			probes := c.StartProbes()
			if err := os.WriteFile(busy, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			postmaster := leader.Postmaster()
			must(t, leader, "SELECT pg_switch_wal()")
			began := time.Now()
			leaves(leader)
			c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != leader })
			c.WaitWrites(w, enough)
			if gap := w.LongestGap(began); gap > 5*time.Second {
				t.Errorf("writes were held up for %s", gap)
			}
			time.Sleep(8 * time.Second) // longer than the lease: by then a guard that was still armed would have acted
			if syscall.Kill(postmaster, 0) != nil {
				t.Error("the archiver was cut short")
			}
			if err := os.Remove(busy); err != nil {
				t.Fatal(err)
			}
			if name != "switchover" {
				c.WaitFor(enough, "the end of the agent", func() bool { return !leader.Running() })
				leader.Run()
			}
			c.WaitHealthy(enough)
			c.Account(true, append(probes, w)...)
		})
	}
}
