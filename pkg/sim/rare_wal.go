package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// walGone is what the upstream says to a replica that has been stuck for long enough to ask. Source: package postgres,
// walgone.go.
func (s *server) walGone(o *cluster.Server) string {
	if !o.Answered || !o.InRecovery || o.Replaying {
		return ""
	}
	if s.stuck != s.pos {
		s.stuck, s.stuckSince = s.pos, s.w.now
	}
	u := s.source()
	if u == nil || s.connected || s.w.now-s.stuckSince < walGoneAfter || u.phase != phaseServing || u.keeps(s.pos) {
		return ""
	}
	return "requested WAL segment has already been removed"
}

// walGoneAfter is how long a replica is stuck before it asks.
const walGoneAfter = 3 * time.Second

// keeps reports whether the server still has the WAL after a position.
func (s *server) keeps(p position) bool { return p.lsn >= s.oldest }

const walRecycled = "WAL recycled"

// recycleWAL has the leader throw away the WAL that a replica which is down will need, as max_slot_wal_keep_size lets it.
func (w *world) recycleWAL(n *node) bool {
	leader := w.node(w.etcd.text(dcs.KeyLeader))
	if leader == nil || n == leader || w.paused || w.active > 0 || w.check.healthy() != "" {
		return false
	}
	w.crashNode(n)
	w.after(between(w.rare, 500*time.Millisecond, 10*time.Second), func() {
		s := leader.server
		if !w.faulty || !s.canAck() {
			return
		}
		w.befalls(leader, walRecycled)
		s.oldest = s.pos.lsn
		for _, m := range w.nodes {
			if m.server.connected && m.server.source() == s {
				s.oldest = min(s.oldest, m.server.pos.lsn)
			}
		}
	})
	return true
}

const historyShort = "history is short"

// forgetful keeps one line of /history. Who was away for longer can't tell how far its WAL counts.
func shortHistory(w *world) { w.base.MaxTimelinesHistory = 1 }

// succeed has one leader after the other die while a replica is away, which comes back when nobody leads.
func (w *world) succeed(n *node) bool {
	if w.paused || w.active > 0 || w.check.healthy() != "" || len(w.nodes) < 3 || w.etcd.text(dcs.KeyLeader) == n.name || n.dead {
		return false
	}
	w.befalls(n, historyShort)
	n.switchOff()
	w.goesOn(n, historyShort, time.Second, func() {}) // other faults may follow
	for i := range 3 {
		w.after(time.Duration(1+12*i)*time.Second, func() {
			if l := w.node(w.etcd.text(dcs.KeyLeader)); w.faulty && i < 2 && l != nil {
				w.crashServer(l)
				w.crashAgent(l)
			} else if w.faulty && l != nil {
				w.crashNode(l)
			}
		})
	}
	w.after(26*time.Second, n.bootIfDead)
	return true
}
