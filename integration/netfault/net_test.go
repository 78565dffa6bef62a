// Package netfault cuts the lines between nodes and etcd, and between nodes, and accounts for every moment in
// which two servers could be open to writes. Each host is a network namespace that the test makes; nothing
// leaves the machine. It needs root and iproute2.
package netfault

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testnet"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// TestPartitions cuts one line after the other in one cluster, waits for what has to happen, and mends it.
func TestPartitions(t *testing.T) {
	n := testnet.New(t)
	address, wrap := n.Host("etcd")
	etcd := testetcd.StartOn(t, testetcd.Host{Address: address, Wrap: wrap})
	c := testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, EtcdAt: etcd.Addresses(),
		Place: func(i int, node *testcluster.Node) { node.Listen, node.Wrap = n.Host(node.Name) },
	})
	for _, fault := range []struct {
		name string
		// lines gives the directions to cut, as sender and receiver.
		lines func(leader *testcluster.Node) [][2]string
		moves bool // another member has to take over while the line is cut
		lossy bool // the leader can't send to any replica before it has to stop
	}{
		{"the leader can't reach etcd", func(l *testcluster.Node) [][2]string {
			return [][2]string{{l.Name, "etcd"}, {"etcd", l.Name}}
		}, true, false},
		{"what the leader sends to etcd is lost", func(l *testcluster.Node) [][2]string {
			return [][2]string{{l.Name, "etcd"}}
		}, true, false},
		{"what etcd answers the leader is lost", func(l *testcluster.Node) [][2]string {
			return [][2]string{{"etcd", l.Name}}
		}, true, false},
		{"the leader is alone", func(l *testcluster.Node) [][2]string {
			cut := [][2]string{{l.Name, "etcd"}, {"etcd", l.Name}}
			for _, r := range c.Replicas(l) {
				cut = append(cut, [2]string{l.Name, r.Name}, [2]string{r.Name, l.Name})
			}
			return cut
		}, true, true},
		{"the leader can't reach the replicas", func(l *testcluster.Node) [][2]string {
			var cut [][2]string
			for _, r := range c.Replicas(l) {
				cut = append(cut, [2]string{l.Name, r.Name}, [2]string{r.Name, l.Name})
			}
			return cut
		}, false, false},
		{"a replica can't reach etcd", func(l *testcluster.Node) [][2]string {
			r := c.Replicas(l)[0]
			return [][2]string{{r.Name, "etcd"}, {"etcd", r.Name}}
		}, false, false},
	} {
		t.Run(fault.name, func(t *testing.T) {
			c.T, n.T = t, t
			t.Cleanup(n.MendAll) // whatever fails, the next fault begins with all lines open
			leader := c.WaitHealthy(2 * enough)
			probes := c.StartProbes()
			w := c.StartWriter()
			for _, line := range fault.lines(leader) {
				n.Cut(line[0], line[1])
			}
			before := w.Count()
			if fault.moves {
				c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != leader })
				c.WaitWrites(w, enough)
			} else {
				time.Sleep(8 * time.Second) // longer than a lease: whatever goes wrong has gone wrong by then
				if now := c.View().Leader.Name; now != leader.Name {
					t.Errorf("%q leads, not %s, which could reach etcd all the time", now, leader.Name)
				}
				if w.Count() == before {
					t.Errorf("nothing was acknowledged meanwhile")
				}
			}
			n.MendAll()
			c.WaitHealthy(2 * enough)
			c.WaitWrites(w, enough)
			// While replicas can't be reached, an asynchronous primary acknowledges what they do not have. When it
			// then stops in time, what it could send them is all that is kept.
			c.Account(!fault.lossy, append(probes, w)...)
		})
	}
}
