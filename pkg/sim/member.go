package sim

import (
	"math/rand/v2"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Members that go and others that come: in every eleventh run a machine is lost with its disk now and then, and a new
// one without data takes its name. It draws from numbers of its own, so that other runs do not change with it.

// swapsMembers chooses the runs.
func (w *world) swapsMembers(seed uint64) {
	if seed%11 == 5 && w.remote == nil {
		w.swaps = rand.New(rand.NewPCG(seed, 0x6d656d62657273))
	}
}

// swap replaces members for as long as faults happen.
func (w *world) swap(until time.Duration) {
	w.after(between(w.swaps, 10*time.Second, 60*time.Second), func() {
		if w.now < until && w.faulty {
			w.replace(w.nodes[w.swaps.IntN(len(w.nodes))])
			w.swap(until)
		}
	})
}

// replace is for replicas of a healthy cluster: who takes the disk of a leader away takes what only it has.
func (w *world) replace(n *node) {
	if n.dead || n.frozen || w.paused || w.active > 0 || w.now < w.calm || w.etcd.text(dcs.KeyLeader) == n.name || w.check.healthy() != "" {
		return
	}
	n.switchOff()
	s := n.server
	s.data, s.standby, s.label, s.slots, s.configured = false, false, false, nil, nil
	w.lasts(n, "machine replaced", time.Minute, n.bootIfDead)
}
