package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testdisk"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testnet"
)

// world is a cluster whose nodes and etcd members each have a host, a disk and a clock of their own.
type world struct {
	c     *testcluster.Cluster
	etcd  *testetcd.Cluster
	net   *testnet.Network
	disks map[string]*testdisk.Disk // of the nodes
	hosts map[string][]string       // by node, what starts a program on its host
	// drifts is by how many millionths the clock of a node is too fast for the whole run, by node.
	drifts map[string]int
	struck map[string]int // how often, by what was struck; for what a fault may seek in vain
	rand   *rand.Rand     // of the present step
	log    func(format string, args ...any)
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
var faults = slices.Concat(processFaults, childFaults(), heldFaults, helperFaults, lineFaults, etcdFaults, diskFaults)

var processFaults = []fault{
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
	{"node killed, and back with another clock", func(w *world, n *testcluster.Node) func() {
		n.Destroy()
		return func() {
			n.Wrap = w.clock(n)
			n.Run()
		}
	}},
	{"node killed while the others lag", func(w *world, n *testcluster.Node) func() {
		mend := w.net.CutOff(n.Name, w.others(n)...)
		time.Sleep(time.Duration(1000+w.rand.IntN(4000)) * time.Millisecond) // the others lag more and more
		n.Destroy()
		return func() {
			n.Run()
			mend() // only now, for the kernel sends on what a server that was killed had written to its connections
		}
	}},
	{"node asked to stop", func(w *world, n *testcluster.Node) func() {
		n.Terminate(enough)
		return n.Run
	}},
}

var lineFaults = []fault{
	{"cut off from etcd", func(w *world, n *testcluster.Node) func() { return w.net.CutOff(n.Name, w.etcdHosts()...) }},
	{"can't send to etcd", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(w.etcdHosts(), func(h string) (string, string) { return n.Name, h })
	}},
	{"can't hear etcd", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(w.etcdHosts(), func(h string) (string, string) { return h, n.Name })
	}},
	{"alone", func(w *world, n *testcluster.Node) func() {
		return w.net.CutOff(n.Name, append(w.etcdHosts(), w.others(n)...)...)
	}},
	{"cut off from the other nodes", func(w *world, n *testcluster.Node) func() { return w.net.CutOff(n.Name, w.others(n)...) }},
	{"can't send to the other nodes", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(w.others(n), func(h string) (string, string) { return n.Name, h })
	}},
	{"can't hear the other nodes", func(w *world, n *testcluster.Node) func() {
		return w.oneWay(w.others(n), func(h string) (string, string) { return h, n.Name })
	}},
	{"slow line", func(w *world, n *testcluster.Node) func() { return w.slowLine(n.Name) }},
	{"line that loses packets", func(w *world, n *testcluster.Node) func() {
		return w.net.Lose(n.Name, 0.05+0.5*w.rand.Float64())
	}},
}

var etcdFaults = []fault{
	{"slow line of one etcd member", func(w *world, _ *testcluster.Node) func() {
		return w.slowLine(etcdHost(w.rand.IntN(etcdMembers)))
	}},
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
	{"the majority of etcd killed", func(w *world, _ *testcluster.Node) func() {
		w.etcd.Kill(1)
		w.etcd.Kill(2)
		return w.etcd.StartAll
	}},
	{"all of etcd killed", func(w *world, _ *testcluster.Node) func() {
		for i := range etcdMembers {
			w.etcd.Kill(i)
		}
		return w.etcd.StartAll
	}},
}

var diskFaults = []fault{
	{"disk hangs", func(w *world, n *testcluster.Node) func() {
		w.disks[n.Name].Hang()
		return w.disks[n.Name].Thaw
	}},
	{"slow disk", func(w *world, n *testcluster.Node) func() {
		w.disks[n.Name].Slow(time.Duration(50+w.rand.IntN(450))*time.Millisecond, 10*time.Millisecond)
		return w.disks[n.Name].Thaw
	}},
	{"full disk", func(w *world, n *testcluster.Node) func() {
		empty := w.disks[n.Name].Fill()
		if l := w.c.Leader(); l != nil {
			// Segments that were kept for use again last for a while, and a fault does not.
			for range 8 {
				_, _ = l.SQL("SELECT pg_switch_wal()")
				time.Sleep(50 * time.Millisecond) // a switch does nothing before somebody has written
			}
		}
		return empty
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

// oneWay cuts one direction between a node and each of the hosts.
func (w *world) oneWay(hosts []string, direction func(host string) (from, to string)) func() {
	for _, h := range hosts {
		w.net.Cut(direction(h))
	}
	return func() {
		for _, h := range hosts {
			w.net.Mend(direction(h))
		}
	}
}

// slowLine lets from 64 kbit to 2 Mbit a second through, and packets wait for up to a second.
func (w *world) slowLine(host string) func() {
	return w.net.Slow(host, 64<<w.rand.IntN(6), time.Duration(50+w.rand.IntN(950))*time.Millisecond)
}

// clock gives the command that starts a node's program with clocks of its own: those that count from the start of the
// machine, up to a year before or after this machine's, at the node's rate. (What the wall clock shows can't be changed
// for a process.)
func (w *world) clock(n *testcluster.Node) []string {
	var uptime float64
	if text, err := os.ReadFile("/proc/uptime"); err == nil {
		_, _ = fmt.Sscan(string(text), &uptime)
	}
	const year = 365 * 24 * 3600
	seconds := w.rand.IntN(year)
	if w.rand.IntN(3) == 0 {
		seconds = -w.rand.IntN(max(1, int(uptime)-60)) // a clock can't show less than zero
	}
	offset := fmt.Sprint(seconds)
	return append(slices.Clone(w.hosts[n.Name]), "unshare", "--time", "--fork", "--monotonic", offset, "--boottime", offset,
		"env", fmt.Sprintf("HATHI_TEST_DRIFT=%d", w.drifts[n.Name]))
}

// step is one fault, as the seed chose it.
type step struct {
	fault        fault
	leader       bool // strike the leader, if there is one
	node         int  // strike this one
	lasts, pause time.Duration
	rand         *rand.Rand // for what else there is to choose
}

// plan gives a step. It depends on nothing that happens: the same seed gives the same steps. The leader is struck
// as often as all others together.
func plan(seed, number uint64, faults []fault, nodes int) step {
	r := rand.New(rand.NewPCG(seed, number))
	return step{
		fault: faults[r.IntN(len(faults))], leader: r.IntN(2) == 0, node: r.IntN(nodes),
		lasts: time.Duration(r.IntN(9000)) * time.Millisecond, pause: time.Duration(r.IntN(3000)) * time.Millisecond,
		rand: r,
	}
}

// disturb lets one fault happen after the other for a while; each lasts from a moment to longer than a lease.
func (w *world) disturb(o options, until time.Time) {
	for number := o.first; time.Now().Before(until); number++ {
		s := plan(o.seed, number, o.faults, len(w.c.Nodes))
		n := w.c.Nodes[s.node]
		if l := w.c.Leader(); l != nil && s.leader {
			n = l
		}
		w.rand = s.rand
		w.log("%s step %d: %s: %s for %s", time.Now().Format("15:04:05.000"), number, n.Name, s.fault.name, s.lasts)
		if heal := s.fault.strike(w, n); heal != nil {
			time.Sleep(s.lasts)
			heal()
		}
		time.Sleep(s.pause)
	}
}
