package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Orders that come at a bad moment, and what happens at a bad moment of an order.

const (
	heirCutOff        = "the successor is cut off during a handover"
	stopFrozen        = "the postmaster freezes while it is stopped"
	endInJob          = "an agent is told to end in the middle of a job"
	lateOrder         = "an order names the leader that has just gone"
	bothGone          = "leader and standby go just after an order"
	overwrittenPaused = "the leader key is overwritten in pause"
	slowNews          = "the leader hears late that its key was deleted"
)

// leader is the member that holds the leader key; nil if it is none of them.
func (w *world) leader() *node { return w.node(w.etcd.text(dcs.KeyLeader)) }

// orderAway asks the leader of a healthy cluster to go.
func (w *world) orderAway(*node) bool {
	if !w.etcd.up || w.paused || w.active > 0 || w.requested() || w.check.healthy() != "" {
		return false
	}
	w.request("switchover", cluster.FailoverRequest{Leader: w.etcd.text(dcs.KeyLeader)})
	return true
}

// demotes reports whether a decision is to stop a primary in order.
func demotes(d ha.Decision) bool {
	x, ok := d.Action.(ha.Demote)
	return ok && (x.Mode == ha.DemoteGraceful || x.Mode == ha.DemoteShutdown)
}

// cutHeirsOff: the leader stops for a switchover, and before it has stopped nobody can be reached from it. What it wrote
// last only it has, so it goes on.
func cutHeirsOff(w *world, n *node, d ha.Decision) {
	if x, ok := d.Action.(ha.Demote); !ok || x.Mode != ha.DemoteGraceful || w.rare.IntN(2) > 0 {
		return
	}
	w.after(0, func() {
		w.befalls(n, heirCutOff)
		var ways [][2]int
		for _, o := range w.nodes {
			if o != n {
				ways = append(ways, [2]int{n.number, o.number}, [2]int{o.number, n.number})
			}
		}
		w.severs(n, "cut off from all members", 4*time.Second, 20*time.Second, ways)
	})
}

// severs cuts ways between members for a time.
func (w *world) severs(n *node, what string, low, high time.Duration, ways [][2]int) {
	for _, way := range ways {
		w.net.cut[way] = true
	}
	w.lingers(n, what, low, high, func() {
		for _, way := range ways {
			delete(w.net.cut, way)
		}
	})
}

// freezeStopping: the postmaster is stopped by a signal for longer than retry_timeout, and can't hear that it is to end.
func freezeStopping(w *world, n *node, d ha.Decision) {
	if !demotes(d) || w.rare.IntN(2) > 0 {
		return
	}
	w.after(between(w.rare, 0, 100*time.Millisecond), func() {
		s := n.server
		if n.dead || n.frozen || s.frozen || s.phase == phaseDown || !n.watched() {
			return
		}
		w.befalls(n, stopFrozen)
		life := s.life
		s.frozen = true
		w.plague(n, "postmaster frozen", 22*time.Second, 45*time.Second, func() {
			if s.life == life {
				s.frozen = false
			}
		})
	})
}

// endTheAgent: its machine is to be shut down, whatever it does just now.
func endTheAgent(w *world, n *node, d ha.Decision) {
	switch d.Action.(type) {
	case ha.Clone, ha.Reinitialize, ha.Rewind, ha.CheckRewind, ha.CrashRecovery, ha.StartReplica, ha.StartPrimary, ha.Promote, ha.Restart:
	default:
		return
	}
	if w.paused || w.rare.IntN(6) > 0 {
		return
	}
	w.after(between(w.rare, 0, 300*time.Millisecond), func() {
		if w.faulty && n.guarded() && !n.leaving {
			w.befalls(n, endInJob)
			w.stopAgent(n)
		}
	})
}

// orderTheFormer: somebody asks a member to go that has just gone.
func orderTheFormer(w *world, kv dcs.KV, deleted bool) {
	former := w.check.lead
	if kv.Key != dcs.KeyLeader || deleted || former == nil || former.name == string(kv.Value) || w.paused {
		return
	}
	w.after(between(w.rare, 0, 500*time.Millisecond), func() {
		if !w.requested() && w.faulty && w.etcd.up {
			w.befalls(former, lateOrder)
			w.request("switchover", cluster.FailoverRequest{Leader: former.name})
		}
	})
}

// oneSynchronous makes it a cluster with one synchronous standby.
func (w *world) oneSynchronous() {
	w.doc.Mode, w.doc.Count, w.live = cluster.SyncOn, 1, false
	w.check.mode = w.doc
}

// loseBoth loses the leader and everybody who may take over, just when it is to hand over to another one, who must not.
func (w *world) loseBoth(n *node) bool {
	leader, key := w.leader(), w.check.sync
	if !w.etcd.up || w.paused || w.active > 0 || w.requested() || w.check.healthy() != "" || key.Has(n.name) || key.Leader != leader.name {
		return false
	}
	w.befalls(n, bothGone)
	w.request("switchover", cluster.FailoverRequest{Leader: leader.name, Candidate: n.name})
	for _, o := range slices.Clone(w.nodes) {
		if key.Has(o.name) && !o.dead && !o.frozen {
			o.switchOff()
			s := w.slowest()
			w.plague(o, "node down", s.TTL+s.LoopWait+5*time.Second, s.TTL+3*s.LoopWait, o.bootIfDead)
		}
	}
	return true
}

// overwritePaused writes a name into the leader key in pause that is nobody's, and removes it later.
func (w *world) overwritePaused(*node) bool {
	if !w.paused {
		w.pause(nil)
		return false
	}
	leader := w.leader()
	if leader == nil || !w.etcd.up || w.check.healthy() != "" {
		return false
	}
	w.befalls(leader, overwrittenPaused)
	w.check.moment(nil)
	w.etcd.put(dcs.KeyLeader, []byte("nobody"), 0)
	w.after(between(w.rare, time.Second, 10*time.Second), func() {
		if w.etcd.text(dcs.KeyLeader) == "nobody" {
			w.etcd.remove(dcs.KeyLeader)
		}
	})
	return true
}

// deleteSlowly deletes the leader key while what the leader says to etcd, and hears from it, takes a second. The others
// hear at once, perhaps together with an order to one of them to take over. They can all ask the leader.
func (w *world) deleteSlowly(n *node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || w.now-w.strike < 10*time.Second || w.check.healthy() != "" || w.requested() {
		return false
	}
	w.rest(15 * time.Second)
	w.befalls(leader, slowNews)
	there, back := [2]int{leader.number, w.etcdHost()}, [2]int{w.etcdHost(), leader.number}
	w.net.slow[there], w.net.slow[back] = between(w.rare, 0, 2*time.Second), between(w.rare, time.Second, 2*time.Second)
	w.plague(leader, "slow link", 5*time.Second, 10*time.Second, func() {
		delete(w.net.slow, there)
		delete(w.net.slow, back)
	})
	w.after(between(w.rare, 0, 2*time.Second), func() {
		if w.leader() != leader || w.check.healthy() != "" {
			return
		}
		w.check.moment(nil)
		w.etcd.remove(dcs.KeyLeader)
		if n != leader && w.rare.IntN(2) == 0 && !w.base.FailsafeMode {
			former := ""
			if w.rare.IntN(2) == 0 {
				former = leader.name
			}
			w.request("failover", cluster.FailoverRequest{Leader: former, Candidate: n.name})
		}
	})
	return true
}
