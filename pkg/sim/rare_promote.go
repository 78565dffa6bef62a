package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A server that was told to become a primary ends its recovery late or never, say because a restore_command hangs. What
// it was told can't be taken back: as long as it lives it may be a primary any moment.

const promotionHangs = "a promotion hangs"

// promoteLimit is how long the agent waits for the end of a recovery before it looks at the cluster again.
const promoteLimit = 10 * time.Second

// impatientOften has members give way to each other while faults last.
func impatientOften(w *world) {
	if w.rare.IntN(4) > 0 {
		w.base.PrimaryStartTimeout = []time.Duration{0, 5 * time.Second, 20 * time.Second}[w.rare.IntN(3)]
	}
}

// changeLead has another member promoted: the leader is asked to go, or it dies.
func (w *world) changeLead(n *node) bool {
	if w.rare.IntN(2) == 0 {
		return w.orderAway(n)
	}
	return w.depose(n)
}

// tell has the server end its recovery. What else happens meanwhile is up to chance.
func (s *server) tell() {
	w := s.w
	if s.told {
		return
	}
	s.told, s.hangs = true, 0
	w.tracef(s.n, "pg", "promotion begins")
	s.later(w.between(20*time.Millisecond, 200*time.Millisecond), s.endRecovery)
	turns := w.rarely(standbyHangs, 2)
	if !turns && !w.rarely(promotionHangs, 2) {
		return
	}
	if turns {
		w.turnHanging(s.n)
	} else {
		w.befalls(s.n, promotionHangs)
	}
	about := max(w.base.PrimaryStartTimeout, time.Second)
	s.hangs = w.now + []time.Duration{
		time.Hour, // it ends when all faults do
		between(w.rare, 0, 2*time.Minute),
		between(w.rare, about-time.Second, about+3*time.Second),
		promoteLimit + between(w.rare, -time.Second, 2*time.Second),
		w.slowest().TTL + between(w.rare, -3*time.Second, 3*time.Second),
	}[w.rare.IntN(5)]
	s.connected = false
	x, life := w.check.cause(s.n), s.life
	w.until(func() bool { return !s.told || s.life != life }, func() { w.check.over(x) })
	w.after(between(w.rare, 0, 30*time.Second), func() { s.worsens(life) })
}

// until calls f some time after something has come to hold.
func (w *world) until(holds func() bool, f func()) {
	if holds() {
		f()
		return
	}
	w.after(100*time.Millisecond, func() { w.until(holds, f) })
}

// hanging reports whether a promotion hangs: WAL does not come in any more.
func (s *server) hanging() bool { return s.told && s.hangs > 0 }

// endRecovery makes a primary of the server, if nothing holds it back.
func (s *server) endRecovery() {
	switch {
	case s.phase != phaseServing || s.primary:
	case s.w.now < s.hangs || s.limitsTooSmall():
		s.later(20*time.Millisecond, s.endRecovery)
	default:
		s.promote()
	}
}

// worsens lets something else happen to a member whose promotion hangs.
func (s *server) worsens(life int) {
	w, n := s.w, s.n
	if !w.faulty || w.paused || !s.told || s.life != life || w.now < w.calm {
		return
	}
	switch w.rare.IntN(6) {
	case 0, 1:
		w.crashAgent(n)
	case 2:
		w.cutEtcd(n)
	case 3:
		w.stopEtcd(n)
	case 4:
		if w.etcd.up && w.active == 0 && w.etcd.text(dcs.KeyLeader) == n.name && n.guarded() {
			w.rest(15 * time.Second)
			w.mark("user: leader key deleted during a promotion")
			w.check.moment(nil)
			w.tracef(nil, "USER", "deletes the leader key")
			w.etcd.remove(dcs.KeyLeader)
		}
	}
}
