package sim

import (
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestMixed runs clusters in which every second member decides as Patroni does.
func TestMixed(t *testing.T) {
	seeds, off := uint64(100), false
	if testing.Short() {
		seeds = 10
	}
	changes := 0
	for seed := range seeds {
		o := Options{Seed: seed, Mixed: true, Modes: []cluster.SynchronousMode{cluster.SyncOff, cluster.SyncOn}, Failsafe: &off, Standby: &off}
		r := Run(o)
		if r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
		changes += r.Marks["the lead changes between the two behaviours"]
	}
	if changes < int(seeds)/2 {
		t.Errorf("the lead went between the two behaviours only %d times in %d runs", changes, seeds)
	}
	t.Logf("the lead went between the two behaviours %d times in %d runs", changes, seeds)
}
