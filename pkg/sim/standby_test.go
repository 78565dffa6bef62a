package sim

import "testing"

// TestStandbyCluster runs standby clusters: they follow, fail over, are promoted in the middle of faults, and become
// standby clusters again.
func TestStandbyCluster(t *testing.T) {
	t.Parallel()
	seeds, on := uint64(100), true
	if testing.Short() {
		seeds = 10
	}
	marks := map[string]int{}
	for seed := range seeds {
		r := Run(Options{Seed: seed, Standby: &on})
		if r.Violation != "" {
			t.Errorf("seed %d: %s", seed, r.Violation)
		}
		for k, n := range r.Marks {
			marks[k] += n
		}
	}
	if testing.Short() {
		return
	}
	for _, mark := range []string{"user: promote-cluster", "user: demote-cluster", "fault: cut off from the server outside"} {
		if marks[mark] == 0 {
			t.Errorf("%q never happened", mark)
		}
	}
}
