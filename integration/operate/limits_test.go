package operate

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestLimits raises and lowers max_connections, each time in the wrong order.
func TestLimits(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{Nodes: 2, TTL: 6, LoopWait: 1, Retry: 2})
	primary := c.Primary()
	replica := c.Replicas(primary)[0]
	is := func(n *testcluster.Node, want string) func() bool {
		return func() bool { got, err := n.SQL("SHOW max_connections"); return err == nil && got == want }
	}
	pending := func(n *testcluster.Node, reason string) func() bool {
		return func() bool { _, answer := n.Get("/patroni"); return strings.Contains(answer, reason) }
	}
	set := func(from, to string) {
		primary.Configure(fmt.Sprintf(`{"postgresql": {"parameters": {"max_connections": %s, "work_mem": "5MB"}}}`, to))
		for _, n := range c.Nodes {
			c.WaitFor(enough, "a pending restart of "+n.Name, pending(n, `"max_connections": {"old_value": "`+from+`", "new_value": "`+to+`"}`))
		}
	}
	restart := func(n *testcluster.Node) {
		c.Hathi("restart", c.Scope, n.Name, "--force")
		c.WaitFor(enough, n.Name+" again", func() bool { _, err := n.SQL("SELECT 1"); return err == nil })
	}
	set("50", "60")
	restart(primary)
	must(t, primary, "CREATE TABLE raised (n int)")
	c.WaitFor(enough, "the replica with the new limit", is(replica, "60"))
	c.WaitHealthy(enough)
	c.WaitFor(enough, "the table on the replica", func() bool { _, err := replica.SQL("SELECT FROM raised"); return err == nil })

	set("60", "40")
	restart(replica)
	if !is(replica, "60")() {
		t.Error("the replica went ahead of the primary")
	}
	c.WaitFor(enough, "what the replica waits for", pending(replica, `"pending_restart_reason"`))
	restart(primary)
	c.WaitFor(enough, "the primary with the new limit", is(primary, "40"))
	c.WaitHealthy(enough)
	restart(replica)
	c.WaitFor(enough, "the replica with the new limit", is(replica, "40"))
	c.WaitFor(enough, "nothing pending", func() bool { return !pending(replica, "pending_restart")() })
	for _, line := range []string{"Changed max_connections from '50' to '60' (restart might be required)", "Changed work_mem from '4MB' to '5MB'"} {
		if !strings.Contains(primary.Log(), line) {
			t.Errorf("the log does not say %q", line)
		}
	}
}
