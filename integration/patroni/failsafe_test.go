//go:build patroni

package patroni

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestFailsafe: while etcd is away a primary of each kind asks members of the other kind and stays, for longer than
// the lease lives.
func TestFailsafe(t *testing.T) {
	c := found(t, "failsafe_mode: true", 3)
	probes := append(c.StartProbes(), c.StartWriter())
	writer := probes[len(probes)-1]
	for _, n := range []*testcluster.Node{c.Nodes[2], c.Nodes[0]} {
		lead(c, n)
		c.WaitFor(enough, "everybody in /failsafe", func() bool { return len(c.View().Failsafe) == 3 })
		timeline := c.View().History.Timeline()
		c.Etcd.Pause(0)
		time.Sleep(45 * time.Second) // two ttls and a loop: nobody may have acted in them
		c.WaitWrites(writer, 5*time.Second)
		c.Etcd.Resume(0)
		if now := c.WaitSettled(enough); now != n || c.View().History.Timeline() != timeline {
			t.Errorf("%s (Patroni: %t) did not stay the primary: %s leads, on timeline %d after %d",
				n.Name, n.Patroni, now.Name, c.View().History.Timeline(), timeline)
		}
		t.Logf("%s (Patroni: %t) led without etcd, longest gap %.1f s", n.Name, n.Patroni, writer.LongestGap(time.Now().Add(-50*time.Second)).Seconds())
	}
	c.Account(true, probes...)
}
