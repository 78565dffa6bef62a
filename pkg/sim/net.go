package sim

import (
	"math/rand/v2"
	"time"
)

// network carries messages between the hosts: the nodes by their number, and etcd as the last. Each
// direction of each pair has its own faults.
type network struct {
	rand *rand.Rand
	cut  map[[2]int]bool
	slow map[[2]int]time.Duration // added to each message
	lost map[[2]int]int           // messages lost in a hundred
}

func newNetwork(r *rand.Rand) *network {
	return &network{rand: r, cut: map[[2]int]bool{}, slow: map[[2]int]time.Duration{}, lost: map[[2]int]int{}}
}

// carry gives how long a message takes, and whether it arrives at all.
func (n *network) carry(from, to int) (time.Duration, bool) {
	if from == to {
		return between(n.rand, 20*time.Microsecond, 100*time.Microsecond), true
	}
	way := [2]int{from, to}
	if n.cut[way] || n.lost[way] > n.rand.IntN(100) {
		return 0, false
	}
	d := between(n.rand, 100*time.Microsecond, 2*time.Millisecond)
	if s := n.slow[way]; s > 0 {
		d += between(n.rand, s/2, s)
	}
	return d, true
}

// linked reports whether a connection between two hosts works in both directions.
func (n *network) linked(a, b int) bool {
	return a == b || !n.cut[[2]int{a, b}] && !n.cut[[2]int{b, a}]
}

// between gives a random time from low up to high.
func between(r *rand.Rand, low, high time.Duration) time.Duration {
	return low + time.Duration(r.Int64N(int64(high-low)+1))
}
