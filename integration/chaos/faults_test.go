package chaos

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testnet"
)

// world is a cluster whose nodes and etcd members each have a host of their own.
type world struct {
	c    *testcluster.Cluster
	etcd *testetcd.Cluster
	net  *testnet.Network
	rand *rand.Rand
	log  func(format string, args ...any)
}

const etcdMembers = 3

func etcdHost(i int) string { return fmt.Sprintf("etcd%d", i) }

// fault is something that happens, and how it ends; a nil end means that it heals by itself.
type fault struct {
	name string
	// strike does it to a node, and gives how to end it.
	strike func(w *world, n *testcluster.Node) (heal func())
}

// faults are what may happen. Agent and guard of one node are never struck at once: the promise is about any
// one process.
var faults = []fault{
	{"agent killed", func(w *world, n *testcluster.Node) func() {
		testcluster.Kill(n.Agent())
		return nil
	}},
	{"agent frozen", func(w *world, n *testcluster.Node) func() { return freeze(n.Agent()) }},
	{"guard killed", func(w *world, n *testcluster.Node) func() {
		testcluster.Kill(n.Guard())
		return nil
	}},
	{"guard frozen", func(w *world, n *testcluster.Node) func() { return freeze(n.Guard()) }},
	{"postmaster killed", func(w *world, n *testcluster.Node) func() {
		testcluster.Kill(n.Postmaster())
		return nil
	}},
	{"postmaster frozen", func(w *world, n *testcluster.Node) func() { return freeze(n.Postmaster()) }},
	{"a backend killed", func(w *world, n *testcluster.Node) func() {
		if all := n.Backends(); len(all) > 0 {
			testcluster.Kill(all[w.rand.IntN(len(all))])
		}
		return nil
	}},
	{"PostgreSQL frozen", func(w *world, n *testcluster.Node) func() {
		return freeze(append(n.Backends(), n.Postmaster())...)
	}},
	{"node killed", func(w *world, n *testcluster.Node) func() {
		n.Destroy()
		return n.Run
	}},
	{"node asked to stop", func(w *world, n *testcluster.Node) func() {
		n.Terminate(enough)
		return n.Run
	}},
	{"cut off from etcd", func(w *world, n *testcluster.Node) func() { return w.net.CutOff(n.Name, w.etcdHosts()...) }},
	{"can't send to etcd", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(func(h string) (string, string) { return n.Name, h })
	}},
	{"can't hear etcd", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(func(h string) (string, string) { return h, n.Name })
	}},
	{"alone", func(w *world, n *testcluster.Node) func() {
		return w.net.CutOff(n.Name, append(w.etcdHosts(), w.others(n)...)...)
	}},
	{"cut off from the other nodes", func(w *world, n *testcluster.Node) func() { return w.net.CutOff(n.Name, w.others(n)...) }},
	{"one etcd member killed", func(w *world, _ *testcluster.Node) func() {
		i := w.rand.IntN(etcdMembers)
		w.etcd.Kill(i)
		return func() { w.etcd.Start(i) }
	}},
	{"one etcd member frozen", func(w *world, _ *testcluster.Node) func() {
		i := w.rand.IntN(etcdMembers)
		w.etcd.Pause(i)
		return func() { w.etcd.Resume(i) }
	}},
	{"one etcd member alone", func(w *world, _ *testcluster.Node) func() {
		i := w.rand.IntN(etcdMembers)
		others := w.others(nil)
		for j := range etcdMembers {
			if j != i {
				others = append(others, etcdHost(j))
			}
		}
		return w.net.CutOff(etcdHost(i), others...)
	}},
	{"the majority of etcd frozen", func(w *world, _ *testcluster.Node) func() {
		w.etcd.Pause(0)
		w.etcd.Pause(1)
		return func() {
			w.etcd.Resume(0)
			w.etcd.Resume(1)
		}
	}},
}

func freeze(pids ...int) func() {
	testcluster.Freeze(pids...)
	return func() { testcluster.Thaw(pids...) }
}

func (w *world) etcdHosts() []string {
	var hosts []string
	for i := range etcdMembers {
		hosts = append(hosts, etcdHost(i))
	}
	return hosts
}

// others gives the hosts of all nodes but one.
func (w *world) others(n *testcluster.Node) []string {
	var hosts []string
	for _, other := range w.c.Nodes {
		if other != n {
			hosts = append(hosts, other.Name)
		}
	}
	return hosts
}

// oneWay cuts one direction between a node and each member of etcd.
func (w *world) oneWay(direction func(host string) (from, to string)) func() {
	for _, h := range w.etcdHosts() {
		w.net.Cut(direction(h))
	}
	return func() {
		for _, h := range w.etcdHosts() {
			w.net.Mend(direction(h))
		}
	}
}

// disturb lets one fault happen after the other for a while; each lasts from a moment to longer than a lease.
// The leader is struck as often as all others together.
func (w *world) disturb(until time.Time) {
	for time.Now().Before(until) {
		f := faults[w.rand.IntN(len(faults))]
		n := w.c.Nodes[w.rand.IntN(len(w.c.Nodes))]
		if l := w.c.Leader(); l != nil && w.rand.IntN(2) == 0 {
			n = l
		}
		lasts := time.Duration(w.rand.IntN(9000)) * time.Millisecond
		w.log("%s: %s for %s", n.Name, f.name, lasts)
		heal := f.strike(w, n)
		if heal != nil {
			time.Sleep(lasts)
			heal()
		}
		time.Sleep(time.Duration(w.rand.IntN(3000)) * time.Millisecond)
	}
}
