//go:build patroni

// Package patroni runs hathi beside the real Patroni 4.1: its patronictl drives members of hathi, the commands of
// hathi drive members of Patroni, both share a cluster, and a cluster moves from one to the other and back. It is
// built only with the tag patroni, and runs where Debian's package is: make test-patroni.
package patroni

import (
	"fmt"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = 2 * time.Minute

// theirs and ours are the two programs: that of the package, and hathi called by the same name.
const (
	theirs = "/usr/bin/patronictl"
	ours   = "patronictl"
)

// found starts a cluster whose first node leads; those that are named run Patroni. The timing is the quickest that
// Patroni takes.
func found(t *testing.T, dcs string, patroni ...int) *testcluster.Cluster {
	t.Helper()
	c := testcluster.Prepare(t, testcluster.Options{
		TTL: 20, LoopWait: 2, Retry: 3, DCS: dcs,
		Place: func(i int, n *testcluster.Node) {
			for _, p := range patroni {
				n.Patroni = n.Patroni || i+1 == p
			}
		},
	})
	c.Nodes[0].Run() // the first to run founds the cluster, so that it is always the same one that leads
	c.WaitFor(enough, "a leader", func() bool { return c.Leader() == c.Nodes[0] })
	for _, n := range c.Nodes[1:] {
		n.Run()
	}
	c.WaitSettled(enough)
	return c
}

// lead makes a node the leader, by a switchover if it is not.
func lead(c *testcluster.Cluster, n *testcluster.Node) {
	c.T.Helper()
	if leader := c.WaitSettled(enough); leader != n {
		c.Hathi("switchover", "--force", "--candidate", n.Name)
		c.WaitFor(enough, fmt.Sprintf("%s leading", n.Name), func() bool { return c.Leader() == n })
		c.WaitSettled(enough)
	}
}
