package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Members of /sync that lose their disk and come back with a copy that lacks what they have acknowledged: from a backup,
// because nobody leads, or of a replica that is behind. The leader goes before it can take them off the list.

const copiedBehind = "a member of /sync comes back with a copy that is behind"

// copyable is what a copy is made from.
type copyable struct {
	pos        position
	checkpoint cluster.Timeline
	control    string
}

// keepBackups lets members copy from a backup while nobody leads, and from one of them rather than from the leader.
func (w *world) keepBackups() {
	synchronously(w)
	w.live, w.base.CopyWithoutLeader = false, true
	if n := w.nodes[len(w.nodes)-1]; len(w.nodes) > 2 {
		n.tags = cluster.Tags{"clonefrom": true}
	}
}

// loseListed takes the backup, has others fall behind, and then lets a member of /sync and the leader go.
func (w *world) loseListed(n *node) bool {
	leader := w.leader()
	if !w.losable(n, leader) {
		return false
	}
	w.disk = leader.server.copyable()
	for _, o := range w.nodes {
		if o != n && o != leader {
			o.server.slow = between(w.rare, 0, 4*time.Second)
			w.lingers(o, "slow replica", 20*time.Second, 30*time.Second, func() { o.server.slow = 0 })
		}
	}
	busy := w.active
	w.after(between(w.rare, 500*time.Millisecond, 12*time.Second), func() {
		if !w.faulty || w.active != busy || w.leader() != leader || !w.vouches(n, leader) {
			return
		}
		w.befalls(n, copiedBehind)
		switch kind := w.rare.IntN(4); {
		case kind == 0 && w.expendable(leader):
			w.loseLeader(leader)
		case kind == 1 && len(w.nodes) > 2 && leader.fenced():
			w.loseBehind(n, leader)
		default:
			w.loseData(n, 100*time.Millisecond, 3*time.Second)
			w.loseFor(leader)
		}
	})
	return true
}

func (w *world) losable(n, leader *node) bool {
	return w.active == 0 && !w.paused && !w.requested() && w.check.healthy() == "" && w.vouches(n, leader)
}

// vouches reports whether a leader has that very standby in /sync, with everything that it has acknowledged.
func (w *world) vouches(n, leader *node) bool {
	key := w.check.sync
	return n != leader && key.Leader == leader.name && key.HasStandby(n.name) && w.check.bound && leader.server.canAck() && n.server.connected
}

// expendable reports whether others may lead without the disk of the leader: they lag little, by settings that stay, and are
// all trusted.
func (w *world) expendable(leader *node) bool {
	return !w.busy && w.moments == nil && !slices.ContainsFunc(w.nodes, func(n *node) bool { return n != leader && n.server.copied })
}

// loseData takes a machine away with its disk. Another one of that name comes soon.
func (w *world) loseData(n *node, low, high time.Duration) {
	n.lose()
	w.plague(n, "machine replaced", low, high, n.bootIfDead)
}

// loseFor switches a machine off until after the end of the lease.
func (w *world) loseFor(n *node) {
	n.switchOff()
	ttl := w.slowest().TTL
	w.plague(n, "node down", ttl, ttl+time.Minute, n.bootIfDead)
}

// loseLeader loses the disk of the leader, whom /sync names, too, while the others are away.
func (w *world) loseLeader(leader *node) {
	for _, o := range w.nodes {
		if o != leader && !o.dead && !o.frozen {
			w.loseFor(o)
		}
	}
	w.loseData(leader, 100*time.Millisecond, 3*time.Second)
}

// loseBehind has the copy made of a replica while the leader's agent stands still, and the leader go when it is there.
func (w *world) loseBehind(n, leader *node) {
	w.plague(leader, "agent frozen", 20*time.Second, 30*time.Second, leader.holdAgent())
	w.loseData(n, 50*time.Millisecond, 200*time.Millisecond)
	end := w.now + 10*time.Second
	var await func()
	await = func() {
		switch {
		case n.server.data && !leader.dead && !leader.frozen:
			w.loseFor(leader)
		case w.faulty && w.now < end:
			w.after(50*time.Millisecond, await)
		}
	}
	await()
}

// copyable gives what a copy of the server would be made from.
func (s *server) copyable() copyable {
	c := copyable{s.pos, s.checkpoint, "in production"}
	if !s.primary {
		c.control = "in archive recovery"
	}
	return c
}

// filled puts a copy into the data directory.
func (s *server) filled(c copyable) {
	s.data, s.label, s.standby, s.upstream, s.pos = true, true, true, cluster.Upstream{}, c.pos
	if c.control == "in archive recovery" {
		s.w.mark("pg: copied from a replica")
	}
	s.dataFrom(c.pos.lsn)
	s.control, s.checkpoint, s.heard = c.control, c.checkpoint, c.pos.branch.timeline
	s.copied = !s.w.mixed // Patroni marks nothing, and its members lead by what the others must not
}

// restore copies from the backup.
func (p *postgres) restore(ctx context.Context) error {
	s, w := p.s, p.s.w
	if w.disk.pos.branch == nil {
		return errors.New("clone: there is no backup")
	}
	if err := p.remove(); err != nil {
		return err
	}
	defer p.act(cluster.StateCreatingReplica)()
	defer func() { s.state = cluster.StateStopped }()
	if err := w.sleepContext(ctx, between(w.rare, time.Second, copyTime)); err != nil {
		return err
	}
	w.mark("pg: copied from a backup")
	s.filled(w.disk)
	return nil
}

// TrustCopy implements agent.Postgres.
func (p *postgres) TrustCopy(context.Context) error {
	s := p.s
	s.w.sleep(time.Millisecond)
	if s.unreadable || !s.primary && s.w.rarely(copiedBehind, 3) {
		return errors.New("remove the mark: read-only file system")
	}
	s.copied = false
	s.w.check.survives()
	return nil
}

// counts reports whether the server may lead or vote by what it has. A primary always does, however it has become one.
func (s *server) counts() bool { return s.data && (!s.copied || s.primary) }
