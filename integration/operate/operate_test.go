// Package operate does to a cluster of real processes what people do to it: they fail over by hand, pause, change
// the configuration, reinitialize, restart, and lay hands on the leader key.
package operate

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// TestOperate does one thing after the other to one cluster, with clients that write all the time. No row may be
// lost but where it is said.
func TestOperate(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 6, LoopWait: 2, Retry: 2})
	for _, e := range []struct {
		name  string
		do    func(t *testing.T, c *testcluster.Cluster, leader *testcluster.Node)
		lossy bool
	}{
		{"failover by hand", failoverByHand, false},
		{"the postmaster dies in pause", diesInPause, true}, // a replica may be quicker after the resume
		{"switchover in pause", switchoverInPause, false},
		{"restart in pause", restartInPause, false},
		{"planned for later", plannedForLater, false},
		{"the leader key is deleted", func(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
			c.Delete("leader")
		}, false},
		{"the leader key names another member", namesAnother, true},
		{"the leader key names a stranger", func(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
			c.Put("leader", "nobody-we-know")
			c.WaitFor(enough, "end of the first reign", func() bool { return c.ReadOnly() })
			// The key hangs on no lease now: it stays until a person removes it.
			c.Delete("leader")
		}, true},
		{"etcd is restored to an earlier state", restored, false},
		{"etcd is restored to a state in which another member led", restoredToOther, true},
		{"the slot of a replica vanishes", slotVanishes, false},
		{"reinitialize", reinitialize, false},
		{"restart", restart, false},
		{"change the configuration", configure, false},
		{"reload a tag by the command", func(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
			reloadTag(t, c, l, func(n *testcluster.Node) { c.Hathi("reload", c.Scope, n.Name, "--force") })
		}, false},
		{"reload a tag by SIGHUP", func(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
			reloadTag(t, c, l, func(n *testcluster.Node) {
				if err := syscall.Kill(n.Guard(), syscall.SIGHUP); err != nil {
					t.Fatal(err)
				}
			})
		}, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			c.T = t
			leader := c.WaitHealthy(enough)
			probes := c.StartProbes()
			w := c.StartWriter()
			e.do(t, c, leader)
			c.WaitHealthy(2 * enough)
			if c.View().Leader.Lease == 0 {
				t.Errorf("the leader key hangs on no lease")
			}
			c.WaitWrites(w, enough)
			c.Account(!e.lossy, append(probes, w)...)
		})
	}
}

// namesAnother: the member that the key names leads, on a lease of its own. plannedForLater was just before, so members may
// rest for a loop_wait that is longer than the ttl of now, and who leads must renew that lease for all that.
func namesAnother(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	heir := c.Replicas(l)[0]
	c.Put("leader", heir.Name)
	c.WaitFor(enough, "end of the first reign", func() bool { in, err := l.SQL("SELECT pg_is_in_recovery()"); return err == nil && in == "t" })
	if now := c.WaitHealthy(enough); now != heir {
		t.Fatalf("%s leads, not %s", now.Name, heir.Name)
	}
	postmaster := heir.Postmaster()
	for deadline := time.Now().Add(9 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) { // longer than a lease, in which nothing may happen
		if now := heir.Postmaster(); now != postmaster {
			t.Fatalf("the primary was stopped while it had the lock: its postmaster is %d and was %d", now, postmaster)
		}
	}
}

func failoverByHand(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	heir := c.Replicas(l)[1]
	if out, err := c.TryHathi("", "failover", "--candidate", "nobody-we-know", "--force"); err == nil {
		t.Errorf("a failover to a stranger was not refused: %s", out)
	}
	if now := c.View().Leader.Name; now != l.Name {
		t.Errorf("a refused failover has changed the leader")
	}
	c.Hathi("failover", "--candidate", heir.Name, "--force")
	if now := c.WaitHealthy(enough); now != heir {
		t.Errorf("%s leads, not the candidate %s", now.Name, heir.Name)
	}
}

// diesInPause: nobody takes over and nobody starts it until the cluster is resumed.
func diesInPause(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	c.Hathi("pause", "--wait")
	if out := c.Hathi("list"); !strings.Contains(out, "Maintenance mode: on") {
		t.Errorf("list does not show the pause:\n%s", out)
	}
	testcluster.Kill(l.Postmaster())
	time.Sleep(8 * time.Second) // longer than a lease: who were to act would have
	if !c.ReadOnly() || l.Postmaster() != 0 {
		t.Errorf("somebody acted in pause:\n%s", c.Hathi("list"))
	}
	c.Hathi("resume", "--wait")
}

func switchoverInPause(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	c.Hathi("pause", "--wait")
	heir := c.Replicas(l)[0]
	c.Hathi("switchover", "--candidate", heir.Name, "--force")
	c.WaitFor(enough, "the candidate in the lead", func() bool { return c.Leader() == heir })
	// The agent has stopped the old primary, so the agent starts it again, in pause too.
	c.WaitFor(enough, "the old primary as a replica", func() bool { in, err := l.SQL("SELECT pg_is_in_recovery()"); return err == nil && in == "t" })
	c.Hathi("resume", "--wait")
}

func reinitialize(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	r := c.Replicas(l)[0]
	mark := r.Data + "/a-file-of-mine"
	if err := os.WriteFile(mark, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	out := c.Hathi("reinit", c.Scope, r.Name, "--force", "--wait")
	if _, err := os.Stat(mark); !os.IsNotExist(err) {
		t.Errorf("the data directory was not made anew (%v):\n%s", err, out)
	}
	if out, err := c.TryHathi("", "reinit", c.Scope, l.Name, "--force"); err == nil {
		t.Errorf("the leader was reinitialized: %s", out)
	}
}

func restart(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	before := map[*testcluster.Node]int{}
	for _, n := range c.Nodes {
		before[n] = n.Postmaster()
	}
	c.Hathi("restart", c.Scope, "--force")
	for n, pid := range before {
		if now := n.Postmaster(); now == pid || now == 0 {
			t.Errorf("%s was not restarted: postmaster %d, before %d", n.Name, now, pid)
		}
	}
	if now := c.WaitHealthy(enough); now != l {
		t.Errorf("a restart moved the leadership to %s", now.Name)
	}
}

func configure(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	l.Configure(`{"postgresql": {"parameters": {"work_mem": "7MB", "max_connections": 60}}}`)
	for _, n := range c.Nodes {
		c.WaitFor(enough, "work_mem on "+n.Name, func() bool { v, err := n.SQL("SHOW work_mem"); return err == nil && v == "7MB" })
	}
	c.WaitFor(enough, "a pending restart of all", func() bool { return strings.Count(c.Hathi("list"), "max_connections: 50->60") == len(c.Nodes) })
	restartPending(t, c)
	for _, n := range c.Nodes {
		c.WaitFor(enough, "max_connections on "+n.Name, func() bool { v, err := n.SQL("SHOW max_connections"); return err == nil && v == "60" })
	}
	c.WaitFor(enough, "nothing pending", func() bool { return !strings.Contains(c.Hathi("list"), "max_connections") })
	// The lease of the present ttl is shorter than the next loop_wait.
	timeline := c.View().History.Timeline()
	l.Configure(`{"ttl": 30, "loop_wait": 10, "retry_timeout": 10}`)
	time.Sleep(8 * time.Second) // longer than the old lease
	if v := c.View(); v.History.Timeline() != timeline || v.Leader.Name != l.Name {
		t.Errorf("a longer ttl has changed the leader: %q, timeline %d, before %d", v.Leader.Name, v.History.Timeline(), timeline)
	}
	l.Configure(`{"ttl": 6, "loop_wait": 2, "retry_timeout": 2}`)
}

// restartPending restarts the members, the leader first. Before PostgreSQL 14 a replica ends by itself when its primary
// runs with higher limits, and a member that is just being started again refuses.
func restartPending(t *testing.T, c *testcluster.Cluster) {
	out, err := c.TryHathi("", "restart", c.Scope, "--force", "--pending")
	if err != nil && !strings.Contains(out, "restarting after failure already in progress") {
		t.Fatalf("restart: %v\n%s", err, out)
	}
}

func reloadTag(t *testing.T, c *testcluster.Cluster, l *testcluster.Node, reload func(*testcluster.Node)) {
	r := c.Replicas(l)[0]
	raw, err := os.ReadFile(r.Config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(r.Config, raw, 0o644) })
	if err := os.WriteFile(r.Config, append(bytes.Clone(raw), "tags: {nofailover: true}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	reload(r)
	c.WaitFor(enough, "the tag in the list", func() bool { return strings.Contains(c.Hathi("list"), "nofailover: true") })
	if out, err := c.TryHathi("", "switchover", "--candidate", r.Name, "--force"); err == nil {
		t.Errorf("a member with nofailover was made the leader: %s", out)
	}
	if err := os.WriteFile(r.Config, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	reload(r)
	c.WaitFor(enough, "no tag in the list", func() bool { return !strings.Contains(c.Hathi("list"), "nofailover") })
}
