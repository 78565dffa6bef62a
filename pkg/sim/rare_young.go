package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A leader that has just been promoted dies before a replica has heard of its timeline, and that replica is to lead while it
// still replays its own WAL.

const youngLost = "a leader dies young and who missed it leads while it replays"

// replaying: servers replay after each start, in asynchronous mode, too, and may lead on an old timeline.
func replaying(w *world) {
	w.asynchronously()
	w.base.CheckTimeline, w.swaps = false, nil
}

// loseYoung has the leader go, and all others but the heir and a replica that is cut off from it.
func (w *world) loseYoung(n *node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || w.requested() || w.check.healthy() != "" || n == leader || !n.plain() {
		return false
	}
	i := slices.IndexFunc(w.nodes, func(o *node) bool { return o != n && o != leader && o.plain() })
	if i < 0 {
		return false
	}
	heir, away := w.nodes[i], 2*w.slowest().TTL+30*time.Second
	w.young = young{heir, n}
	w.severs(n, "cut off from "+heir.name, away-10*time.Second, away, [][2]int{{n.number, heir.number}, {heir.number, n.number}})
	for _, o := range w.nodes {
		if o != n && o != heir {
			o.switchOff()
			w.plague(o, "node down", away, away+10*time.Second, o.bootIfDead)
		}
	}
	return true
}

// plain: it may lead and follows whoever leads.
func (n *node) plain() bool { return !n.tags.NoFailover() && n.tags.ReplicateFrom() == "" }

// young is who is to lead for a moment, and who misses that.
type young struct{ heir, misses *node }

// dieYoung switches the heir off as soon as /history tells of its timeline, and restarts the other server when nobody leads.
func dieYoung(w *world, kv dcs.KV, deleted bool) {
	y := w.young
	switch {
	case y.heir == nil:
	case kv.Key == dcs.KeyHistory && w.leader() == y.heir && !y.heir.dead:
		w.after(0, func() {
			w.befalls(y.heir, youngLost)
			y.heir.switchOff()
			w.plague(y.heir, "node down", w.slowest().TTL+30*time.Second, w.slowest().TTL+40*time.Second, y.heir.bootIfDead)
		})
	case kv.Key == dcs.KeyLeader && deleted && y.heir.dead:
		w.young = young{}
		w.after(0, func() { w.crashServer(y.misses) })
	}
}
