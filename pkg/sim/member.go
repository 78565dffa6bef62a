package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Members that go and others that come, in every eleventh run: a machine is lost with its disk, and a new one without
// data takes its name or comes with another; one leaves for good; one more joins. It draws from numbers of its own, so
// that other runs do not change with it.

// swapsMembers chooses the runs.
func (w *world) swapsMembers(seed uint64) {
	if seed%11 == 5 && w.remote == nil {
		w.swaps = rand.New(rand.NewPCG(seed, 0x6d656d62657273))
	}
}

// swap changes the members for as long as faults happen.
func (w *world) swap(until time.Duration) {
	w.after(between(w.swaps, 5*time.Second, 40*time.Second), func() {
		changes := []func(*node) bool{w.replace, w.rename, w.rename, w.leaveForGood, w.leaveForGood, w.join}
		w.change(changes[w.swaps.IntN(len(changes))], until)
	})
}

// change waits for the moment for a change, makes it, and goes on to the next.
func (w *world) change(do func(*node) bool, until time.Duration) {
	switch {
	case w.now >= until || !w.faulty:
	case do(w.nodes[w.swaps.IntN(len(w.nodes))]):
		w.swap(until)
	default:
		w.after(time.Second, func() { w.change(do, until) })
	}
}

// spare reports whether the cluster can lose a machine with its disk: a replica of a healthy cluster. Who takes the
// disk of a leader away takes what only it has.
func (w *world) spare(n *node) bool {
	return !n.dead && !n.frozen && !w.paused && w.now >= w.calm && w.etcd.text(dcs.KeyLeader) != n.name && w.check.healthy() == ""
}

// lose takes a machine away with its disk.
func (n *node) lose() {
	n.switchOff()
	n.server.empty()
}

func (w *world) replace(n *node) bool {
	if !w.spare(n) {
		return false
	}
	n.lose()
	w.lasts(n, "machine replaced", time.Minute, n.bootIfDead)
	return true
}

// rename puts a machine with another name into the place of one that is lost.
func (w *world) rename(n *node) bool {
	if !w.spare(n) {
		return false
	}
	n.lose()
	w.members++
	name := fmt.Sprintf("node%d", w.members)
	w.tracef(n, "node", "is followed by %s", name)
	n.name = name
	w.lasts(n, "machine replaced by another name", time.Minute, n.bootIfDead)
	return true
}

func (w *world) leaveForGood(n *node) bool {
	if len(w.nodes) < 3 {
		return true // nobody can be spared
	}
	if !w.spare(n) {
		return false
	}
	w.once(n, "machine leaves for good")
	n.lose()
	n.gone = true
	w.nodes = slices.DeleteFunc(slices.Clone(w.nodes), func(o *node) bool { return o == n }) // others may walk over the old ones
	return true
}

// join adds a member, whatever happens at the time.
func (w *world) join(*node) bool {
	if len(w.nodes) >= 5 || w.paused {
		return true
	}
	n := w.newNode(w.members, len(w.nodes)+1)
	w.members++
	w.once(n, "machine joins")
	w.nodes = append(w.nodes, n)
	return true
}
