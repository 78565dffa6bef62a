package operate

import (
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testetcd"
)

// TestFullEtcd: while etcd's database is full it renews leases, so the leader goes on, but nobody can take the lock. Each
// member says what to do, and when that is done the cluster comes back by itself.
func TestFullEtcd(t *testing.T) {
	e := testetcd.StartOn(t, testetcd.Host{Quota: 4 << 20})
	c := testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, EtcdAt: e.Addresses(), DCS: "synchronous_mode: on",
	})
	leader := c.WaitSettled(enough)
	c.WaitFor(enough, "a synchronous standby", func() bool { return len(c.View().Sync.Standbys) > 0 })
	w := c.StartWriter()
	relieve := e.Fill()

	full := time.Now()
	time.Sleep(15 * time.Second) // more than two lives of the lease, in which nothing is expected to happen
	if now := c.View().Leader.Name; now != leader.Name {
		t.Errorf("%q leads, not %s", now, leader.Name)
	}
	c.WaitWrites(w, enough)                             // so that a gap up to now is seen
	if gap := w.LongestGap(full); gap > 6*time.Second { // the ttl: a primary that had stopped would be back no sooner
		t.Errorf("no row was acknowledged for %s", gap)
	}
	for _, n := range c.Nodes {
		for _, says := range []string{"alarm NOSPACE", "etcdctl alarm disarm"} {
			if !strings.Contains(n.Log(), says) {
				t.Errorf("the log of %s does not say %q", n.Name, says)
			}
		}
	}

	asked := len(leader.Log())
	testcluster.Kill(leader.Agent()) // the next one has no lease
	c.WaitFor(enough, "the end of the lease", func() bool { v := c.Look(); return v != nil && !v.Locked() })
	time.Sleep(5 * time.Second) // longer than any rule waits before it acts
	if !c.ReadOnly() {
		t.Error("somebody accepts writes without the lock")
	}
	if n := strings.Count(leader.Log()[asked:], "could not renew the lease"); n == 0 || n > 60 {
		t.Errorf("%s has asked for a lease %d times", leader.Name, n)
	}
	leader.Destroy()
	relieve()
	c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != leader })
	leader.Run()
	c.WaitHealthy(enough)
	c.WaitWrites(w, enough)
	c.Account(true, w)
}
