package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What strange hands do: to the key that says from whom to copy, and to a server that they start.

const (
	nameWritten = "the name of a replica is written over the leader key"
	copyNobody  = "the leader key is overwritten while a member has no data"
	startedOld  = "an old primary is started by something else"
	startedFar  = "an old primary is started by something else in a standby cluster"
	startedBare = "an old primary is started by something else after another member was named in its place"
)

// writeName: the leader may hear of it a second later, or not at all.
func (w *world) writeName(n *node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || w.now-w.strike < 10*time.Second || w.check.healthy() != "" || w.requested() || n == leader || !n.plain() {
		return false
	}
	w.befalls(n, nameWritten)
	w.rest(2*w.slowest().TTL + 10*time.Second) // until the one that is named leads
	w.check.moment(nil)
	w.check.moment(nil) // who is not fit to lead gives the lock back, to yet another one perhaps
	there, back := [2]int{leader.number, w.etcdHost()}, [2]int{w.etcdHost(), leader.number}
	switch w.rare.IntN(3) {
	case 0:
		w.severs(leader, "cut off from etcd", time.Second, 60*time.Second, [][2]int{there, back})
	case 1:
		w.net.slow[back] = between(w.rare, time.Second, 2*time.Second)
		w.plague(leader, "slow link", 5*time.Second, 10*time.Second, func() { delete(w.net.slow, back) })
	}
	w.etcd.put(dcs.KeyLeader, []byte(n.name), 0)
	w.check.led(n)
	return true
}

// copyFromNobody: a machine is replaced while the leader key holds a name that is nobody's.
func (w *world) copyFromNobody(n *node) bool {
	if w.active > 0 || w.now-w.strike < 10*time.Second || !w.spare(n) {
		return false
	}
	w.befalls(n, copyNobody)
	n.lose()
	w.rest(25 * time.Second)
	w.check.moment(nil)
	w.etcd.put(dcs.KeyLeader, []byte("nobody"), 0)
	w.plague(n, "machine replaced", time.Second, 4*time.Second, n.bootIfDead)
	w.after(between(w.rare, 5*time.Second, 10*time.Second), func() {
		if w.etcd.text(dcs.KeyLeader) == "nobody" {
			w.etcd.remove(dcs.KeyLeader)
		}
	})
	return true
}

// isTaken: its member has taken the lead with a server that something else has started. It must be the one that /sync names,
// and what it acknowledges from now on is promised.
func (c *checker) isTaken(s *server) {
	if s.bare {
		s.bare = false
		c.begins(s)
	}
}

// asynchronously makes it an asynchronous cluster.
func (w *world) asynchronously() {
	w.doc.Mode, w.live, w.base.FailsafeMode = cluster.SyncOff, false, false
	w.check.mode = w.doc
}

// startOld: a primary dies, and another one takes over and dies with everybody else. Then the first machine comes back,
// and starts PostgreSQL before it starts the agent. Nobody else is there who could write.
func (w *world) startOld(*node) bool {
	return w.inOrder() && w.replaceLeader(w.succeeds, func(old *node, x *cause) { w.loseRest(old, x, startedOld) })
}

// startBare: the one that takes over dies when /sync names it, or a moment later. /history does not tell of it then, or
// only just.
func (w *world) startBare(*node) bool {
	return w.inOrder() && w.check.bound && w.replaceLeader(w.isNamed, func(old *node, x *cause) {
		alive := between(w.rare, 0, 500*time.Millisecond) * time.Duration(w.rare.IntN(2))
		w.after(alive, func() { w.loseRest(old, x, startedBare) })
	})
}

func (w *world) inOrder() bool { return w.active == 0 && !w.paused && w.check.healthy() == "" }

// startFar: the one that has taken over lives, and the cluster becomes a standby cluster before the first machine is back.
func (w *world) startFar(*node) bool {
	switch {
	case !w.inOrder() || w.etcd.get(dcs.KeyConfig) == nil:
		return false
	case w.doc.Standby:
		w.turn(false)
		return false
	}
	return w.replaceLeader(w.succeeds, func(old *node, x *cause) {
		w.turn(true)
		w.startLater(old, x, startedFar, 2*time.Second)
	})
}

// replaceLeader switches the leader off; then is called when another one is ready to take its place.
func (w *world) replaceLeader(ready func(old *node) bool, then func(old *node, x *cause)) bool {
	old := w.leader()
	old.switchOff()
	w.plague(nil, "node down until it is started by something else", 5*time.Second, 5*time.Second, func() {})
	w.active++
	x := w.check.cause(nil)
	var look func()
	look = func() {
		switch {
		case !w.faulty || !old.dead:
			w.active--
			w.check.over(x)
		case !ready(old):
			w.after(glance, look)
		default:
			then(old, x)
		}
	}
	look()
	return true
}

// succeeds reports whether another leader writes, and has told so.
func (w *world) succeeds(old *node) bool {
	m := w.leader()
	return m != nil && m != old && m.server.acking &&
		dcs.DecodeHistory([]byte(w.etcd.text(dcs.KeyHistory))).Timeline() == m.server.pos.branch.timeline
}

// isNamed reports whether /sync names another leader.
func (w *world) isNamed(old *node) bool {
	m := w.node(w.check.sync.Leader)
	return m != nil && m != old
}

// loseRest switches everybody else off until the old primary has been started for a while.
func (w *world) loseRest(old *node, x *cause, name string) {
	ttl := w.slowest().TTL
	for _, n := range w.nodes {
		if n != old && !n.dead && w.faulty {
			n.switchOff()
			w.plague(n, "node down", ttl+15*time.Second, ttl+25*time.Second, n.bootIfDead)
		}
	}
	w.startLater(old, x, name, ttl+3*time.Second)
}

// startLater starts the server of an old primary, if nobody writes by then, and its agent a moment later. Until that agent has
// looked at the cluster nothing stops the server: it must be able to, and nobody promotes the cluster meanwhile.
func (w *world) startLater(old *node, x *cause, name string, d time.Duration) {
	w.after(d, func() {
		s := old.server
		alone := !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.server.mayWrite() })
		if alone && (w.doc.Standby || name != startedFar) && w.hearsEtcd(old) && w.faulty && old.dead && s.data && !s.standby && s.phase == phaseDown {
			w.befalls(old, name)
			s.start()
			s.bare = true
			w.restUntilLooked(s)
		}
		w.after(between(w.rare, 400*time.Millisecond, 2*time.Second), func() {
			old.bootIfDead()
			w.active--
			w.check.over(x)
		})
	})
}

// restUntilLooked keeps faults away until a member has looked at the server that something else has started on its machine, and has
// stopped it or taken the lock with it: nothing fences it before.
func (w *world) restUntilLooked(s *server) {
	if s.bare {
		w.rest(10 * time.Second)
		w.after(time.Second, func() { w.restUntilLooked(s) })
	}
}

// mayWrite reports whether a server accepts writes, or will if nothing happens to it.
func (s *server) mayWrite() bool {
	return s.acking || s.told || s.gate != 0 || !s.standby && (s.phase == phaseStarting || s.phase == phaseServing)
}

// hearsEtcd reports whether nothing keeps a machine from etcd, or slows it down.
func (w *world) hearsEtcd(n *node) bool {
	there, back := [2]int{n.number, w.etcdHost()}, [2]int{w.etcdHost(), n.number}
	return w.etcd.up && w.net.linked(n.number, w.etcdHost()) && w.net.lost[there]+w.net.lost[back] == 0 && w.net.slow[there]+w.net.slow[back] == 0
}
