package operate

import (
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// restartInPause: a server that has ended stays down in pause until somebody asks for its restart.
func restartInPause(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	r := c.Replicas(l)[0]
	c.Hathi("pause", "--wait")
	testcluster.Kill(r.Postmaster())
	c.WaitFor(enough, "the end of the server in the list", func() bool { return strings.Contains(c.Hathi("list"), "stopped") })
	c.Hathi("restart", c.Scope, r.Name, "--force")
	if r.Postmaster() == 0 {
		t.Errorf("%s was not started:\n%s", r.Name, c.Hathi("list"))
	}
	c.Hathi("resume", "--wait")
}

// planned is how far ahead: some seconds for the commands before, and so that the next turn would be too late for punctual.
const planned = 8 * time.Second

// plannedForLater: a restart and a switchover happen when they were planned for, not before and not at the next turn of
// the loop, which is long here, so that a slow machine can't be taken for one.
func plannedForLater(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	l.Configure(`{"ttl": 60, "loop_wait": 20, "retry_timeout": 10}`)
	defer func() { c.Primary().Configure(`{"ttl": 6, "loop_wait": 2, "retry_timeout": 2}`) }()
	r := c.Replicas(l)[0]
	before := r.Postmaster()
	at := time.Now().Add(planned).Truncate(time.Second)
	c.Hathi("restart", c.Scope, r.Name, "--force", "--scheduled", at.Format(time.RFC3339))
	c.WaitFor(enough, "the restart", func() bool { pid := r.Postmaster(); return pid != 0 && pid != before })
	punctual(t, "the restart", at)

	at = time.Now().Add(planned).Truncate(time.Second)
	c.Hathi("switchover", "--candidate", r.Name, "--force", "--scheduled", at.Format(time.RFC3339))
	if out := c.Hathi("list"); !strings.Contains(out, "Switchover scheduled at") {
		t.Errorf("list does not show the plan:\n%s", out)
	}
	c.WaitFor(enough, "the switchover", func() bool { return c.Leader() == r })
	punctual(t, "the switchover", at)
}

// punctual: what was planned happens within half a loop_wait of what plannedForLater sets.
func punctual(t *testing.T, what string, at time.Time) {
	t.Helper()
	if late := time.Since(at); late < 0 || late > 10*time.Second {
		t.Errorf("%s is %s late", what, late)
	}
}
