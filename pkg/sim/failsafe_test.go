package sim

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// TestFailsafeKeepsThePrimary: as long as all members can be reached, the same server accepts writes, however
// long etcd is away, for everybody or for the leader alone; and it is still the leader afterwards.
func TestFailsafeKeepsThePrimary(t *testing.T) {
	t.Parallel()
	seeds, on := uint64(60), true
	if testing.Short() {
		seeds = 6
	}
	for seed := range seeds {
		w := newWorld(Options{Seed: seed, Failsafe: &on})
		if !w.settle("the cluster does not come up", 2*time.Minute) || !w.listed() {
			t.Errorf("seed %d: %s", seed, w.check.violation)
			continue
		}
		leader := w.node(w.etcd.text(dcs.KeyLeader))
		branch := leader.server.pos.branch
		alone := seed%2 == 0
		w.check.cause(leader) // etcd is away
		if alone {
			w.net.cut[[2]int{leader.number, w.etcdHost()}], w.net.cut[[2]int{w.etcdHost(), leader.number}] = true, true
		} else {
			w.etcd.up = false
		}
		for end := w.now + 5*w.base.TTL; w.now < end && w.check.violation == ""; {
			for next := w.now + 100*time.Millisecond; w.step(next); {
			}
			if !leader.server.canAck() {
				w.check.violate("%s accepts no writes any more", leader.name)
			}
		}
		if alone && w.etcd.text(dcs.KeyLeader) != "" {
			t.Errorf("seed %d: the leader key is %q while the leader is cut off", seed, w.etcd.text(dcs.KeyLeader))
		}
		w.heal()
		if !w.settle("the cluster does not come back", w.bound()) || leader.server.pos.branch != branch {
			t.Errorf("seed %d (alone %v): %s, timeline %d", seed, alone, w.check.violation, leader.server.pos.branch.timeline)
		}
		for _, n := range w.nodes {
			if n.agent != nil {
				n.agent.p.kill()
			}
		}
	}
}

// listed waits until /failsafe lists all members.
func (w *world) listed() bool {
	for end := w.now + 30*time.Second; w.now < end; w.step(w.now + time.Second) {
		if len(dcs.DecodeFailsafe([]byte(w.etcd.text(dcs.KeyFailsafe)))) == len(w.nodes) {
			return true
		}
	}
	w.check.violate("not all members are listed")
	return false
}
