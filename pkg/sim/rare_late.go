package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// The last write of /sync by a leader is on its way for longer than the leader lives. It takes effect when somebody has
// won the race by what the key said before, and has not been promoted yet: a standby may find that it is listed no more.

const lateSync = "a write of /sync arrives after its writer has gone"

// late is such a write.
type late struct {
	writer *node  // nil: there is none to come
	held   func() // what etcd gets in the end; nil: it was not sent yet
}

func (w *world) synchronousOnly() {
	if w.doc.Mode == cluster.SyncOff || w.rare.IntN(2) == 0 {
		w.doc.Mode = cluster.SyncOn
	}
	w.live, w.check.mode = false, w.doc
}

// parts cuts a standby off from the leader, which will take it off the list.
func (w *world) parts(n *node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || w.requested() || w.check.healthy() != "" || n == leader || !w.check.sync.HasStandby(n.name) {
		return false
	}
	w.late = late{writer: leader}
	w.severs(n, "cut off from "+leader.name, 10*time.Second, 30*time.Second, [][2]int{{n.number, leader.number}, {leader.number, n.number}})
	return true
}

// holdSync holds the write back that a leader is about to send.
func holdSync(w *world, n *node, d ha.Decision) {
	if x, ok := d.Action.(ha.WriteSync); ok && n == w.late.writer && n.store != nil && x.State.Leader == n.name {
		n.store.holding = true
	}
}

// holdBack takes a write on its way to etcd, and switches the machine off that has sent it, so it does not return.
func (s *store) holdBack(request func(*etcd) answer) {
	w, n := s.w, s.n
	s.holding = false
	w.late.held = func() { request(w.etcd) }
	w.after(0, func() {
		w.befalls(n, lateSync)
		if !n.dead {
			n.switchOff()
			w.plague(n, "node down", w.slowest().TTL+5*time.Second, w.slowest().TTL+15*time.Second, n.bootIfDead)
		}
	})
	w.sleep(time.Hour)
}

// arriveLate lets it come when another member has taken the lock.
func arriveLate(w *world, kv dcs.KV, deleted bool) {
	l := w.late
	if kv.Key != dcs.KeyLeader || deleted || l.held == nil || string(kv.Value) == l.writer.name {
		return
	}
	w.late = late{}
	winner := w.node(string(kv.Value))
	w.after(between(w.rare, 0, 7*time.Millisecond), func() {
		w.tracef(l.writer, "FAULT", "its last write of /sync arrives")
		w.check.moment(winner) // who is not listed any more gives the lock back
		l.held()
	})
}
