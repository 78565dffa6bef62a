package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

const pausedEarly = "paused before a promotion"

// pauseEarly has a user pause the cluster just when a replica has taken the lock, before it is promoted. Nobody leads
// then until the user resumes.
func pauseEarly(w *world, kv dcs.KV, deleted bool) {
	if kv.Key != dcs.KeyLeader || deleted || kv.CreateRevision != kv.ModRevision || !w.faulty || w.paused || w.active > 0 {
		return
	}
	n := w.node(string(kv.Value))
	if n == nil || n.server.canAck() {
		return
	}
	w.after(between(w.rare, 0, 10*time.Millisecond), func() {
		if w.paused || !w.etcd.up || !w.faulty || n.server.canAck() {
			return
		}
		w.befalls(n, pausedEarly)
		w.check.moment(nil)
		w.check.moment(nil) // who has raced with it, and has not heard of the pause, takes the lock that it gives back, and does so, too
		w.paused = true
		w.etcd.put(dcs.KeyConfig, w.document(true), 0)
		w.after(between(w.rare, 3*time.Second, 15*time.Second), w.resumeAnyway)
	})
}

// resumeAnyway ends a pause in which nobody may lead. Who does it sees to it first that no primary is without an agent, as
// docs/safety.md says.
func (w *world) resumeAnyway() {
	alone := func(n *node) bool { return n.agent == nil && !n.dead && (n.server.primary || n.server.told) }
	switch {
	case w.paused && slices.ContainsFunc(w.nodes, alone):
		w.after(time.Second, w.resumeAnyway)
	case w.paused:
		w.paused = false
		w.etcd.put(dcs.KeyConfig, w.document(false), 0)
	}
}
