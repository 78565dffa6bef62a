package sim

import (
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// What is rare in a standby cluster.

const (
	standbyStarts = "starts fail in a standby cluster"
	standbyEmpty  = "nobody can lead a standby cluster for a while"
	standbyNoHost = "standby_cluster names no host at first"
	standbyPaused = "a paused cluster becomes a standby cluster"
	standbyHangs  = "a cluster becomes a standby cluster while a promotion in it hangs"
	standbyRewind = "a standby cluster has diverged and use_pg_rewind is off"
)

var errNoStart = errors.New("start: it does not work for now")

// failStarts ends servers that can't be started for a while.
func (w *world) failStarts(n *node) bool {
	leader := w.leader()
	if leader == nil || w.paused || w.active > 0 {
		return false
	}
	w.befalls(leader, standbyStarts)
	until := w.now + between(w.rare, 2*time.Second, 20*time.Second)
	for _, o := range []*node{leader, n} {
		o.server.noStart = until
		w.crashServer(o)
	}
	return true
}

// cannotStart: what is wrong costs its member the lead.
func (s *server) cannotStart() bool {
	if s.w.now >= s.noStart || !s.w.faulty {
		return false
	}
	s.state = cluster.StateStartFailed
	s.w.check.moment(s.n)
	return true
}

// emptyLeader leaves a leader key without a name, which nobody can take, for longer than a loop_wait, and the server of
// who led is down.
func (w *world) emptyLeader(*node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || w.check.healthy() != "" {
		return false
	}
	w.befalls(nil, standbyEmpty)
	loop := w.slowest().LoopWait
	stay := between(w.rare, 2*loop, 4*loop)
	w.rest(stay + 10*time.Second)
	w.check.moment(nil)
	w.etcd.put(dcs.KeyLeader, nil, 0)
	leader.server.noStart = w.now + stay
	w.crashServer(leader)
	w.after(stay, func() {
		if kv := w.etcd.get(dcs.KeyLeader); kv != nil && len(kv.Value) == 0 {
			w.etcd.remove(dcs.KeyLeader)
		}
	})
	return true
}

// forgetHost: the configuration that the members are to found the cluster with is mended a little later.
func (w *world) forgetHost() {
	w.doc.NoHost = true
	w.befalls(nil, standbyNoHost)
	w.after(between(w.rare, 3*time.Second, 20*time.Second), func() { w.doc.NoHost = false })
}

// turn promotes the cluster, or makes it a standby cluster again.
func (w *world) turn(standby bool) {
	w.doc.Standby = standby
	w.tracef(nil, "USER", "standby cluster: %v", standby)
	w.check.turned(standby)
	w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
}

// turnPaused pauses a cluster that has been promoted, makes it a standby cluster again, and resumes.
func (w *world) turnPaused(*node) bool {
	switch {
	case !w.etcd.up || w.check.healthy() != "" || w.etcd.get(dcs.KeyConfig) == nil:
	case !w.paused && w.doc.Standby:
		w.turn(false)
	case !w.paused:
		w.pause(nil)
	case !w.doc.Standby:
		w.befalls(nil, standbyPaused)
		w.turn(true)
		w.after(between(w.rare, 2*time.Second, 8*time.Second), func() {
			if w.paused {
				w.tracef(nil, "USER", "resume")
				w.paused, w.check.standbySince = false, w.now
				w.etcd.put(dcs.KeyConfig, w.document(false), 0)
			}
		})
		return true
	}
	return false
}

func (w *world) withoutRewind() { w.doc.NoRewind = true }

// turnHanging makes a standby cluster again of one that was promoted, while the promotion of its leader hangs.
func (w *world) turnHanging(n *node) {
	life := n.server.life
	w.after(between(w.rare, time.Second, 15*time.Second), func() {
		if w.faulty && n.server.life == life && n.server.told && !w.doc.Standby && !w.paused && w.etcd.up {
			w.befalls(n, standbyHangs)
			w.turn(true)
		}
	})
}

// turnBack promotes the cluster, and makes it a standby cluster again when it has written something.
func (w *world) turnBack(*node) bool {
	if !w.etcd.up || w.paused || w.active > 0 || w.check.healthy() != "" || w.etcd.get(dcs.KeyConfig) == nil {
		return false
	}
	if w.doc.Standby {
		w.turn(false)
		return false
	}
	w.turn(true)
	return true
}

// allowRewind: somebody reads in the log what is missing, and sets it.
func allowRewind(w *world, n *node, d ha.Decision) {
	if d.Reasons[0].Rule != "standby-rewind-impossible" || w.allowing {
		return
	}
	w.allowing = true
	w.after(between(w.rare, 5*time.Second, 30*time.Second), func() {
		w.befalls(n, standbyRewind)
		w.doc.NoRewind = false
		w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
	})
}
