package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestKilledWhileFilling kills agent and guard while a method founds the cluster, and while another copies it. The
// method ends with them; what it has left is moved aside, or cleared away, and all is begun anew.
func TestKilledWhileFilling(t *testing.T) {
	// The first time it leaves half a directory and hangs.
	const half = "test -e {dir}/tried || { touch {dir}/tried; mkdir -p {data}; touch {data}/half; echo $$ > {dir}/pid; sleep 1000; };"
	c := testcluster.Prepare(t, testcluster.Options{
		Nodes: 2, TTL: 5, LoopWait: 1, Retry: 1,
		Bootstrap: "method: slow\nslow:\n  command: sh -c '" + half + " " + filepath.Join(testcluster.PostgresBin(t), "initdb") +
			" -D {data} --auth=trust --username=postgres --no-sync'\n  no_params: true",
		Postgres: "create_replica_methods: [slow, basebackup]\nslow:\n  command: sh -c '" + half + " exit 1'\n  no_params: true",
	})
	for _, n := range c.Nodes {
		n.Run()
		pid := ""
		c.WaitFor(enough, "a method at work on "+n.Name, func() bool {
			b, _ := os.ReadFile(filepath.Join(n.Dir, "pid"))
			pid = strings.TrimSpace(string(b))
			return pid != ""
		})
		testcluster.Kill(n.Guard(), n.Agent())
		c.WaitFor(enough, "the end of the method", func() bool { _, err := os.Stat("/proc/" + pid); return err != nil })
		n.Run()
		c.WaitFor(2*enough, n.Name+" in service", func() bool { _, err := n.SQL("SELECT 1"); return err == nil })
	}
	c.WaitHealthy(enough)
	if _, err := os.Stat(c.Nodes[0].Data + ".failed/half"); err != nil {
		t.Errorf("what the first bootstrap has left was not kept: %v", err)
	}
	for _, rest := range []string{c.Nodes[1].Data + ".failed", c.Nodes[1].Data + "/half"} {
		if _, err := os.Stat(rest); err == nil {
			t.Errorf("%s is there", rest)
		}
	}
}
