package sim

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// TestStrictTurnedOff: a primary whose standbys are all gone accepts nothing in strict mode, and goes on as soon as that is
// turned off, however its commits waited before.
func TestStrictTurnedOff(t *testing.T) {
	t.Parallel()
	seeds, off := uint64(40), false
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		mode := []cluster.SynchronousMode{cluster.SyncOn, cluster.SyncQuorum}[seed%2]
		w := newWorld(Options{Seed: seed, Modes: []cluster.SynchronousMode{mode}, Failsafe: &off, Standby: &off})
		w.doc.Strict, w.live = true, false
		w.check.mode = w.doc
		if !w.settle("the cluster does not come up", 2*time.Minute) {
			t.Errorf("seed %d: %s", seed, w.check.violation)
			continue
		}
		leader := w.node(w.etcd.text(dcs.KeyLeader))
		for _, n := range w.nodes {
			if n != leader {
				w.check.cause(n)
				n.switchOff()
			}
		}
		names := func(want string, limit time.Duration) {
			for end := w.now + limit; leader.server.session != want && w.check.violation == ""; {
				if !w.step(end) {
					w.check.violate("after %s the names of %s are %q", limit, leader.name, leader.server.session)
				}
			}
		}
		names(quorum.Blocked().Text(), time.Minute)
		w.doc.Strict = false
		w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
		names("", 3*time.Second)
		if w.check.violation != "" {
			t.Errorf("seed %d, %s: %s", seed, mode, w.check.violation)
		}
		for _, n := range w.nodes {
			if n.agent != nil {
				n.agent.p.kill()
			}
		}
	}
}
