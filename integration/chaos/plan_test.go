package chaos

import "testing"

// TestPlan: a seed gives the same steps again, whatever was drawn in between, and reaches every fault and node.
func TestPlan(t *testing.T) {
	seen := map[string]int{}
	for number := range uint64(2000) {
		s, again := plan(7, number, faults, 3), plan(7, number, faults, 3)
		if s.fault.name != again.fault.name || s.leader != again.leader || s.node != again.node || s.lasts != again.lasts ||
			s.pause != again.pause || s.rand.Uint64() != again.rand.Uint64() {
			t.Fatalf("step %d: %+v and then %+v", number, s, again)
		}
		seen[s.fault.name]++
		seen[[]string{"node1", "node2", "node3"}[s.node]]++
	}
	for _, f := range faults {
		if seen[f.name] == 0 {
			t.Errorf("%q never happens", f.name)
		}
	}
	if len(seen) != len(faults)+3 {
		t.Errorf("%d kinds of faults and nodes, want %d: two faults have one name, or a node is never struck", len(seen), len(faults)+3)
	}
}
