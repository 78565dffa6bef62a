package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A backup of etcd that is restored: what was written since is gone, revisions go back, unless the restore is told to
// raise them, and leases have their whole time again. Source: etcd 3.6, etcdutl snapshot restore.

const restored = "etcd is restored while the same member leads"

// backup is what a snapshot of etcd keeps.
type backup struct {
	kvs    []dcs.KV
	rev    int64
	leases map[int64]time.Duration
	leader string // who led
	doc    document
}

func (e *etcd) save() *backup {
	b := &backup{kvs: copyKeys(e.kvs), rev: e.rev, leases: map[int64]time.Duration{}, leader: e.text(dcs.KeyLeader), doc: e.w.doc}
	for id, l := range e.leases {
		b.leases[id] = l.ttl
	}
	return b
}

// restore replaces the contents while etcd is down. Its clients find an etcd of another id, and watch anew.
func (e *etcd) restore(b *backup, bump bool) {
	for _, l := range e.leases {
		if l.end != nil {
			l.end.dead = true
		}
	}
	e.kvs, e.rev, e.leases = copyKeys(b.kvs), b.rev, map[int64]*lease{}
	if bump {
		e.rev += 1_000_000_000
	}
	for id, ttl := range b.leases {
		e.leases[id] = &lease{ttl: ttl, renewed: e.w.now} // etcd counts all of it anew
	}
	e.id++
	for _, n := range e.w.nodes {
		if n.store != nil {
			n.store.behind = true
		}
	}
	e.w.check.restored()
}

// restoreBackup takes a backup, and the next time brings it back, if the member leads that led then.
func (w *world) restoreBackup(*node) bool {
	leader := w.etcd.text(dcs.KeyLeader)
	switch {
	case !w.etcd.up || w.paused || leader == "":
		return false
	case w.saved == nil || w.saved.doc != w.doc: // settings of another time are another hardship
		w.saved = w.etcd.save()
		return true
	case leader != w.saved.leader || dcs.DecodeFailover([]byte(w.etcd.text(dcs.KeyFailover))).Pending():
		return false
	}
	b, bump := w.saved, w.rare.IntN(2) == 0
	w.saved, w.etcd.up = nil, false
	if w.check.bound || w.check.backup.since == 0 { // else nobody has written /sync since the restore before
		w.check.backup.since = w.now
	}
	w.befalls(nil, restored)
	x := w.check.cause(nil)
	w.after(between(w.rare, 100*time.Millisecond, 5*time.Second), func() {
		w.etcd.restore(b, bump)
		w.etcd.restart()
		w.check.over(x)
	})
	return true
}

// restored: what etcd says is from before. Until /sync and /status are written again they promise nothing about what
// was acknowledged since.
func (c *checker) restored() {
	e := c.w.etcd
	c.w.tracef(nil, "etcd", "is restored: leader key = %s, sync key = %s, revision %d", e.text(dcs.KeyLeader), e.text(dcs.KeySync), e.rev)
	c.bound, c.sync, c.handed = false, dcs.DecodeSync([]byte(e.text(dcs.KeySync))), position{}
	c.backup.value = e.text(dcs.KeySync)
	c.request, c.promises = cluster.FailoverRequest{}, nil
	if s, n := dcs.DecodeStatus([]byte(e.text(dcs.KeyStatus))), c.w.node(e.text(dcs.KeyLeader)); n != nil && n.server.data {
		c.published = n.server.pos.until(s.Optime)
	}
}

// staleSync is what /sync was in a backup, and since when nobody could see what it was before.
type staleSync struct {
	value string
	since time.Duration
}

// stale reports whether a leader confirms what /sync was in the backup and can't know better, because its agent began
// after etcd was gone. That is known and open, see docs/safety.md.
func (c *checker) stale(value string, leader *node) bool {
	if value != c.backup.value || leader == nil || leader.agent == nil || leader.agent.began < c.backup.since {
		c.backup.value = ""
		return false
	}
	return !c.bound
}
