package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

const slowStarts = "slow starts"

// startSlowly kills the postmaster of a member, the leader's as often as not, and soon after that perhaps its agent, so that
// another one finds the server starting.
func (w *world) startSlowly(n *node) bool {
	if l := w.node(w.etcd.text(dcs.KeyLeader)); l != nil && w.rare.IntN(2) == 0 {
		n = l
	}
	if w.paused || n.dead || n.frozen || n.server.phase != phaseServing {
		return false
	}
	w.befalls(n, slowStarts)
	w.crashServer(n)
	if w.rare.IntN(2) == 0 {
		w.after(between(w.rare, time.Second, 6*time.Second), func() {
			if w.faulty && w.now >= w.calm {
				w.crashAgent(n)
			}
		})
	}
	return true
}

// startsSlowly tells how long a start takes where starts are slow.
func (s *server) startsSlowly(usual time.Duration) time.Duration {
	if !s.w.rarely(slowStarts, 2) {
		return usual
	}
	x, life := s.w.check.cause(s.n), s.life // a primary gives way to others, after some time
	s.w.until(func() bool { return s.life != life || s.phase != phaseStarting }, func() { s.w.check.over(x) })
	return between(s.w.rare, 5*time.Second, time.Minute)
}
