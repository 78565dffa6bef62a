package sim

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// mixed are the options of a cluster in which every second member runs the model of Patroni.
func mixed(seed uint64, weak string, modes ...cluster.SynchronousMode) Options {
	off := false
	return Options{Seed: seed, Mixed: true, Weak: weak, Modes: modes, Failsafe: &off, Standby: &off}
}

// TestMixed: a mixed cluster keeps the promises of one that is hathi's alone, but for what is in docs/safety.md.
func TestMixed(t *testing.T) {
	seeds, changes := uint64(150), 0
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		r := Run(mixed(seed, "", cluster.SyncOff, cluster.SyncOn))
		if r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
		changes += r.Marks["the lead changes between the two behaviours"]
	}
	if changes < int(seeds) {
		t.Errorf("the lead went between the two behaviours only %d times in %d runs", changes, seeds)
	}
	t.Logf("the lead went between the two behaviours %d times in %d runs", changes, seeds)
}

// TestPatroniWeakness: what docs/safety.md says that a mixed cluster can't promise is broken by the model, if a run
// lets it. The seeds are in that list.
func TestPatroniWeakness(t *testing.T) {
	const twoPrimaries, lost = "two servers accept writes", "lack an acknowledged commit"
	both := []cluster.SynchronousMode{cluster.SyncOff, cluster.SyncOn}
	for _, c := range []struct {
		weak, want string
		seed       uint64
		modes      []cluster.SynchronousMode
	}{
		{weakFence, twoPrimaries, 2, both},
		{weakReload, lost, 4, both},
		{weakBranch, "behind the published position", 1522, both[:1]},
		{weakRequest, "behind the published position", 196, both[:1]},
		{weakHandOver, "lacks what was handed over", 45, both[:1]},
		{weakCopy, twoPrimaries, 1761, both[:1]},
	} {
		if r := Run(mixed(c.seed, c.weak, c.modes...)); !strings.Contains(r.Violation, c.want) {
			t.Errorf("%s: seed %d gives %q, not %q", c.weak, c.seed, r.Violation, c.want)
		}
		if r := Run(mixed(c.seed, "", c.modes...)); r.Violation != "" {
			t.Errorf("%s: seed %d without it: %s", c.weak, c.seed, r.Violation)
		}
	}
}
