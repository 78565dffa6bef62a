package sim

import "time"

const (
	wallClocks = "wall clocks differ"
	etcdSlow   = "etcd is slow for all"
)

// setClocks lets the wall clocks of the members differ by minutes. What they show is compared with schedules, and no lease is
// counted by it.
func (w *world) setClocks() {
	for _, n := range w.nodes {
		n.clock.off = between(w.rare, -10*time.Minute, 10*time.Minute)
	}
}

// stepClock sets the wall clock of a member, as somebody does who finds it wrong; or a switchover is planned by the leader's.
func (w *world) stepClock(n *node) bool {
	if w.rare.IntN(2) == 0 {
		if w.leader() == nil || w.requested() || w.paused || !w.etcd.up {
			return false
		}
		w.schedule(n)
		return true
	}
	if w.requested() {
		return false // the checks look at the clock by which its time was told
	}
	w.befalls(n, wallClocks)
	n.clock.off = between(w.rare, -10*time.Minute, 10*time.Minute)
	return true
}

// slowEtcd lets what members say to etcd, and hear from it, take up to some seconds, for all of them at once.
func (w *world) slowEtcd(*node) bool {
	if w.active > 0 {
		return false
	}
	w.befalls(nil, etcdSlow)
	longest := between(w.rare, 100*time.Millisecond, 3*time.Second)
	var ways [][2]int
	for _, n := range w.nodes {
		ways = append(ways, [2]int{n.number, w.etcdHost()}, [2]int{w.etcdHost(), n.number})
	}
	for _, way := range ways {
		w.net.slow[way] = between(w.rare, 0, longest)
	}
	w.plague(nil, etcdSlow, 2*time.Second, 90*time.Second, func() {
		for _, way := range ways {
			delete(w.net.slow, way)
		}
	})
	return true
}
