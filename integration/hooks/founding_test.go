package hooks

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/leftover"
	"github.com/hathi-ha/hathi/integration/testcluster"
)

// lives reports whether a process is there that can still do something: a child of a frozen agent is not reaped.
func lives(pid int) bool {
	for _, p := range leftover.Processes() {
		if p.PID == pid {
			return p.State != "Z"
		}
	}
	return false
}

// TestFounderStopped: while the first member founds the cluster, in a post_bootstrap that takes longer than a lease, nobody
// else does. When its agent is frozen or dies then, nothing of its server is left before another member may found the cluster.
func TestFounderStopped(t *testing.T) {
	for name, strike := range map[string]func(pids ...int){"frozen": testcluster.Freeze, "killed": testcluster.Kill} {
		t.Run(name, func(t *testing.T) {
			c := testcluster.Prepare(t, testcluster.Options{
				Nodes: 2, TTL: 6, LoopWait: 1, Retry: 2,
				Bootstrap: "post_bootstrap: sh -c 'test -e {dir}/slow || exit 0; touch {dir}/founding; exec sleep 600'",
			})
			first, other := c.Nodes[0], c.Nodes[1]
			slow := filepath.Join(first.Dir, "slow")
			if err := os.WriteFile(slow, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			first.Run()
			c.WaitFor(enough, "post_bootstrap", func() bool {
				_, err := os.Stat(filepath.Join(first.Dir, "founding"))
				return err == nil
			})
			postmaster, key := first.Postmaster(), c.View().Initialize
			if !key.Present || key.Value != "" || key.Lease == 0 || !lives(postmaster) {
				t.Fatalf("initialize is %+v, the postmaster %d", key, postmaster)
			}
			other.Run()
			for deadline := time.Now().Add(9 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) { // a time in which nothing may happen
				if now := c.View().Initialize; now != key || !lives(postmaster) {
					t.Fatalf("nothing has happened, and initialize is %+v, it was %+v; the postmaster lives: %v", now, key, lives(postmaster))
				}
			}
			if err := os.Remove(slow); err != nil {
				t.Fatal(err)
			}
			strike(first.Agent())
			c.WaitFor(enough, "the end of the foundation", func() bool { return c.View().Initialize != key })
			if lives(postmaster) {
				t.Error("another member may found the cluster, and the first server still runs")
			}
			t.Logf("led by %s", c.WaitHealthy(enough).Name) // either: the guard gives the lease up, and starts another agent
		})
	}
}
