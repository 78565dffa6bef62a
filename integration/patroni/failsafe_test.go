//go:build patroni

package patroni

import (
	"fmt"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestFailsafe: while etcd is away a primary of each kind asks members of the other kind and stays, for longer than
// the lease lives, and a slot of the user's goes forward on the others as it does on the primary.
func TestFailsafe(t *testing.T) {
	for _, shape := range []struct {
		name    string
		patroni []int
		leaders []int
	}{
		{"one Patroni among hathi", []int{3}, []int{3, 1}},
		{"one hathi among Patroni", []int{2, 3}, []int{1, 2}},
	} {
		t.Run(shape.name, func(t *testing.T) {
			c := found(t, "failsafe_mode: true\nslots:\n  other: {type: physical}", shape.patroni...)
			probes := append(c.StartProbes(), c.StartWriter())
			for _, i := range shape.leaders {
				staysWithoutEtcd(t, c, c.Nodes[i-1], probes[len(probes)-1])
			}
			c.Account(true, probes...)
		})
	}
}

// staysWithoutEtcd makes a node the leader and takes etcd away.
func staysWithoutEtcd(t *testing.T, c *testcluster.Cluster, n *testcluster.Node, writer *testcluster.Writer) {
	t.Helper()
	lead(c, n)
	c.WaitFor(enough, "everybody in /failsafe", func() bool { return len(c.View().Failsafe) == 3 })
	replicas := c.Replicas(n)
	c.WaitFor(enough, "the slot on each node", func() bool {
		for _, m := range c.Nodes {
			if !slotAt(m, "0/0") {
				return false
			}
		}
		return true
	})
	timeline := c.View().History.Timeline()
	c.Etcd.Pause(0)
	time.Sleep(45 * time.Second) // two ttls and a loop: nobody may have acted in them
	c.WaitWrites(writer, 5*time.Second)
	at, err := n.SQL("SELECT end_lsn FROM pg_replication_slot_advance('other', pg_current_wal_flush_lsn())")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range replicas {
		c.WaitFor(enough, fmt.Sprintf("the slot of %s (Patroni: %t) at %s", m.Name, m.Patroni, at), func() bool { return slotAt(m, at) })
	}
	c.Etcd.Resume(0)
	if now := c.WaitSettled(enough); now != n || c.View().History.Timeline() != timeline {
		t.Errorf("%s (Patroni: %t) did not stay the primary: %s leads, on timeline %d after %d",
			n.Name, n.Patroni, now.Name, c.View().History.Timeline(), timeline)
	}
	t.Logf("%s (Patroni: %t) led without etcd, longest gap %.1f s", n.Name, n.Patroni, writer.LongestGap(time.Now().Add(-50*time.Second)).Seconds())
}

// slotAt reports whether the slot of the user's has come to a position on a node.
func slotAt(n *testcluster.Node, at string) bool {
	there, err := n.SQL("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'other' AND restart_lsn >= '" + at + "'")
	return err == nil && there == "1"
}
