package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A member misses that the cluster came to new timelines, and is then ordered to lead. So the cluster comes to a timeline
// with a lower number than one that it has left, on which a member is.

const unheardHeir = "an order names who missed timelines"

// unheard is who missed them, until it was ordered to lead.
type unheard struct{ heir *node }

// quorumOrNone: without synchronous mode, or with a quorum, in which who is on the branch that was left stays a voter.
func (w *world) quorumOrNone() {
	w.doc.Mode, w.live, w.base.FailsafeMode, w.swaps = cluster.SyncOff, false, false, nil
	if w.rare.IntN(2) == 0 {
		w.doc.Mode = cluster.SyncQuorum
	}
	w.check.mode = w.doc
}

// missTimelines has a member away while the lead changes twice, and comes back when all others are gone.
func (w *world) missTimelines(n *node) bool {
	if w.active > 0 || w.paused || w.requested() || w.check.healthy() != "" || n == w.leader() || !n.plain() || len(w.nodes) < 3 {
		return false
	}
	away := w.slowest().TTL + time.Minute
	n.switchOff()
	w.plague(n, "node down", away, away, n.bootIfDead)
	for _, at := range []time.Duration{10 * time.Second, 30 * time.Second} {
		w.after(at, func() {
			if leader := w.etcd.text(dcs.KeyLeader); leader != "" && !w.requested() && !w.paused {
				w.request("switchover", cluster.FailoverRequest{Leader: leader})
			}
		})
	}
	w.after(away-time.Second, func() { w.loseHeard(n) })
	return true
}

// loseHeard has all others go. The last leader is the last to be back, when it can't reach the heir any more, which then dies.
func (w *world) loseHeard(n *node) {
	far := w.leader()
	if far == nil || far == n || !w.faulty {
		return
	}
	w.befalls(n, unheardHeir)
	w.unheard.heir = n
	for _, o := range w.nodes {
		if o == n {
			continue
		}
		back := 2*w.slowest().TTL + 20*time.Second
		if o == far {
			back += time.Minute
			w.after(back-time.Second, func() {
				if !w.faulty {
					return
				}
				w.severs(n, "cut off from "+far.name, time.Minute, time.Minute, [][2]int{{n.number, far.number}, {far.number, n.number}})
			})
			w.after(back+3*time.Second, func() {
				if w.faulty && w.leader() == n && !n.dead {
					n.switchOff()
					w.plague(n, "node down", time.Minute, 2*time.Minute, n.bootIfDead)
				}
			})
		}
		o.switchOff()
		w.plague(o, "node down", back, back, o.bootIfDead)
	}
}

// orderUnheard orders the member to lead as soon as nobody does.
func orderUnheard(w *world, kv dcs.KV, deleted bool) {
	if n := w.unheard.heir; n != nil && kv.Key == dcs.KeyLeader && deleted {
		w.unheard = unheard{}
		w.after(time.Second, func() {
			if !w.paused && w.etcd.up && w.leader() == nil {
				w.request("failover", cluster.FailoverRequest{Candidate: n.name})
			}
		})
	}
}
