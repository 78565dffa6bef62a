package events

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// quick is a timing in which a lease ends soon enough for a test to wait for it.
var quick = testcluster.Options{TTL: 6, LoopWait: 2, Retry: 2}

const enough = time.Minute

// promise is what an event may cost.
type promise struct {
	lossless bool // no acknowledged row is lost
	moves    bool // another member leads afterwards
	// stays: nobody notices anything if all was over that soon, as on a machine that is not too busy.
	stays time.Duration
}

// TestEvents lets one event after another happen to one cluster. Each begins and ends with a healthy
// cluster, so an event that breaks something fails in its own name.
func TestEvents(t *testing.T) {
	c := testcluster.Start(t, quick)
	for _, e := range []struct {
		name   string
		happen func(c *testcluster.Cluster, leader *testcluster.Node)
		promise
	}{
		{"switchover by the command", func(c *testcluster.Cluster, l *testcluster.Node) {
			c.Hathi("switchover", "--force")
		}, promise{lossless: true, moves: true}},
		{"SIGTERM to the leader", func(c *testcluster.Cluster, l *testcluster.Node) {
			l.Terminate(enough)
			c.WaitFor(enough, "new leader", func() bool { n := c.Leader(); return n != nil && n != l })
			l.Run()
		}, promise{lossless: true, moves: true}},
		{"postmaster killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			old := l.Postmaster()
			testcluster.Kill(old)
			c.WaitFor(enough, "new postmaster", func() bool { p := l.Postmaster(); return p != 0 && p != old })
		}, promise{lossless: true}},
		{"agent killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			postmaster, agent := l.Postmaster(), l.Agent()
			testcluster.Kill(agent)
			c.WaitFor(enough, "new agent", func() bool { a := l.Agent(); return a != 0 && a != agent })
			c.WaitHealthy(enough)
			if l.Postmaster() != postmaster {
				c.T.Errorf("the restarted agent did not adopt the running PostgreSQL")
			}
		}, promise{lossless: true}},
		{"guard killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			postmaster, guard, before := l.Postmaster(), l.Guard(), replacements(l)
			mend := halfEdited(c, l) // the next guard must not need the configuration
			testcluster.Kill(guard)
			c.WaitFor(enough, "another guard", func() bool { return replacements(l) > before })
			if now := l.Guard(); now == 0 || now == guard {
				c.T.Errorf("guard %d was replaced by %d", guard, now)
			}
			if l.Postmaster() != postmaster {
				c.T.Errorf("the death of the guard ended PostgreSQL")
			}
			mend()
			away(c, l)
		}, promise{moves: false}},
		{"guard frozen, then agent killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			postmaster, agent, guard, before := l.Postmaster(), l.Agent(), l.Guard(), replacements(l)
			testcluster.Freeze(guard)
			c.WaitFor(enough, "another guard", func() bool { return replacements(l) > before })
			testcluster.Kill(agent)
			c.WaitFor(enough, "another agent, started by that guard", func() bool { a := l.Agent(); return a != 0 && a != agent })
			c.WaitHealthy(enough)
			if l.Postmaster() != postmaster {
				c.T.Errorf("PostgreSQL was not adopted")
			}
			away(c, l)
		}, promise{}},
		{"agent and postmaster killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			// If the guard sees the agent's death before the postmaster's, it has started another agent by then, and
			// that one starts PostgreSQL again; otherwise another member takes over.
			old := l.Postmaster()
			testcluster.Kill(l.Agent(), old)
			c.WaitFor(enough, "a leader with another postmaster", func() bool { n := c.Leader(); return n != nil && n.Postmaster() != old && n.Postmaster() != 0 })
		}, promise{}},
		{"agent frozen", func(c *testcluster.Cluster, l *testcluster.Node) {
			testcluster.Freeze(l.Agent())
			c.WaitFor(enough, "new leader", func() bool { n := c.Leader(); return n != nil && n != l })
		}, promise{lossless: true, moves: true}},
		{"postmaster frozen", func(c *testcluster.Cluster, l *testcluster.Node) {
			old := l.Postmaster()
			testcluster.Freeze(old)
			c.WaitFor(enough, "new postmaster", func() bool { p := c.Leader(); return p != nil && p.Postmaster() != old })
		}, promise{lossless: true}},
		{"the whole node killed", func(c *testcluster.Cluster, l *testcluster.Node) {
			away(c, l)
		}, promise{moves: true}},
		{"etcd killed and started again", func(c *testcluster.Cluster, l *testcluster.Node) {
			c.Etcd.Kill(0)
			c.WaitFor(enough, "end of writes", func() bool { return c.ReadOnly() })
			c.Etcd.Start(0)
		}, promise{lossless: true}},
		{"etcd frozen for a moment", func(c *testcluster.Cluster, l *testcluster.Node) {
			c.Etcd.Pause(0)
			time.Sleep(500 * time.Millisecond) // shorter than retry_timeout: nobody may notice
			c.Etcd.Resume(0)
			c.View()
		}, promise{lossless: true, stays: 2 * time.Second}},
	} {
		passed := t.Run(e.name, func(t *testing.T) {
			c.T = t
			leader := c.WaitHealthy(enough)
			postmaster := leader.Postmaster()
			probes := c.StartProbes()
			w := c.StartWriter()
			began := time.Now()
			e.happen(c, leader)
			took := time.Since(began)
			now := c.WaitHealthy(2 * enough)
			c.WaitWrites(w, enough)
			if e.moves && now == leader {
				t.Errorf("%s still leads", leader.Name)
			}
			if took < e.stays && (now != leader || now.Postmaster() != postmaster) {
				t.Errorf("%s with postmaster %d leads, before it was %s with %d", now.Name, now.Postmaster(), leader.Name, postmaster)
			}
			c.Account(e.lossless, append(probes, w)...)
		})
		if !passed {
			t.FailNow() // the next would suffer from what is broken
		}
	}
}

// replacements gives how often a node has put another guard in the place of one.
func replacements(n *testcluster.Node) int {
	return strings.Count(n.Log(), "another guard is in place")
}

// away kills everything of a leader's node and starts it again when another member leads: until then its keys
// are still in etcd and tell of what is gone.
func away(c *testcluster.Cluster, l *testcluster.Node) {
	l.Destroy()
	c.WaitFor(enough, "new leader", func() bool { n := c.Leader(); return n != nil && n != l })
	l.Run()
}

// halfEdited makes the configuration of a node unreadable, and gives what mends it.
func halfEdited(c *testcluster.Cluster, n *testcluster.Node) (mend func()) {
	put := func(text []byte) {
		if err := os.WriteFile(n.Config, text, 0o644); err != nil {
			c.T.Fatal(err)
		}
	}
	text, err := os.ReadFile(n.Config)
	if err != nil {
		c.T.Fatal(err)
	}
	put(append([]byte("scope: {\n"), text...))
	return func() { put(text) }
}
