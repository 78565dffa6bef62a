package sim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// What /sync promises, held against what clients were told.

// promised is what the checker knows of acknowledged commits.
type promised struct {
	acked []position // the newest of each branch
	// bound: the key was written since the mode was last turned on, so it is bound to its promise.
	bound bool
	// strict: the first standby was listed, and the mode has never changed.
	strict bool
	mode   document
	named  string // the leader in /sync
	hidden bool   // the leader before was never named in it
	backup staleSync
	sync   cluster.SyncState // what the key says
}

// acknowledged: a client was told that its commit is done.
func (c *checker) acknowledged(s *server, p position) {
	if s.bare || s.n.unaware() && c.w.etcd.text(dcs.KeyLeader) != s.n.name {
		c.w.mark("acknowledged by who promises nothing")
		return
	}
	c.w.marks["acknowledged"]++
	i := slices.IndexFunc(c.acked, func(q position) bool { return q.branch == p.branch })
	if i < 0 {
		c.acked = append(c.acked, p)
	} else {
		c.acked[i].lsn = max(c.acked[i].lsn, p.lsn)
	}
	if !c.bound {
		return
	}
	c.w.marks["acknowledged in "+string(c.mode.Mode)]++
	c.w.struck(s, p)
	c.survives()
	if c.mode.Strict && c.strict && !slices.ContainsFunc(c.w.nodes, func(n *node) bool {
		return n != s.n && n.server.ours() && p.within(n.server.pos)
	}) {
		c.violate("%s acknowledges a commit in strict mode that nobody else has", s.n.name)
	}
}

// lacks reports whether a server lacks an acknowledged commit.
func (c *checker) lacks(s *server) bool {
	return slices.ContainsFunc(c.acked, func(p position) bool { return !p.within(s.pos) })
}

// survives: whoever /sync lets be promoted has every acknowledged commit, now, whatever dies next. A server
// without data, or with a copy that is not trusted, is nobody's candidate and gives nobody its voice.
func (c *checker) survives() {
	if !c.bound {
		return
	}
	key := c.sync
	leader := c.w.node(key.Leader)
	if leader == nil {
		return
	}
	if c.unnamed() {
		if c.byOrder != nil && c.byOrder.name == c.w.etcd.text(dcs.KeyLeader) {
			return // an order, whatever it lacks; its first word in /sync binds it
		}
		key.Standbys = append(slices.Clone(key.Standbys), key.Leader) // it needs the quorum like everybody else
	} else if leader.server.counts() && c.lacks(leader.server) {
		c.violate("/sync names %s as the leader, which lacks an acknowledged commit", key.Leader)
	}
	var without []string
	for _, name := range key.Standbys {
		if n := c.w.node(name); n != nil && n.server.ours() && n.server.counts() && c.lacks(n.server) {
			without = append(without, name)
		}
	}
	if len(without) > key.Quorum {
		c.violate("/sync promises that with a quorum of %d nothing is lost, but %s lack an acknowledged commit",
			key.Quorum, strings.Join(without, ", "))
	}
}

// syncKey sees each change of /sync.
func (c *checker) syncKey() {
	value := c.w.etcd.text(dcs.KeySync)
	c.w.tracef(nil, "etcd", "sync key = %s", value)
	key := dcs.DecodeSync([]byte(value))
	c.sync = key
	leader := c.w.node(key.Leader)
	if c.stale(value, leader) {
		return
	}
	if leader == nil || c.mode.Mode == cluster.SyncOff {
		c.bound = false
		return
	}
	if (c.ordered(leader) || c.byOrder == leader) && (key.Leader != c.named || leader.server.copied || c.hidden) {
		c.bound = false // whatever it lacks
	}
	c.hidden = false
	if !c.bound {
		// What was lost before, while nothing was promised, can't be lost any more.
		c.bound = true
		c.acked = slices.DeleteFunc(c.acked, func(p position) bool { return !p.within(leader.server.pos) })
	}
	if key.Leader != c.named {
		c.w.worst()
	}
	if key.Leader != c.named && c.w.faulty && len(c.w.nodes) > 2 && c.w.modes.IntN(3) == 0 {
		c.w.aiming = true // a young reign, in which the leader before may not have come back yet
	}
	c.named = key.Leader
	c.strict = c.strict || len(key.Standbys) > 0 && !c.w.live
	c.survives()
}

// configKey sees each change of /config.
func (c *checker) configKey(raw []byte) {
	before, lag := c.mode.Mode, c.allowedLag()
	c.mode = readDocument(raw)
	c.lagBefore, c.lagChanged = lag, c.w.now
	if before == cluster.SyncOff || c.mode.Mode == cluster.SyncOff {
		c.bound = false
	}
}

// begins: with synchronous replication a server that begins to write is the one that /sync names.
func (c *checker) begins(s *server) {
	c.dogWatches(s.n)
	if !c.bound || c.w.paused || c.unnamed() || s.bare {
		return
	}
	if key := c.sync; key.Leader != s.n.name {
		c.violate("%s begins to write, but /sync names %s as the leader", s.n.name, key.Leader)
	}
	c.survives() // a copy counts from here on
}

// synchronous says what is missing to the synchronous state that is configured, nothing if it is there.
func (c *checker) synchronous(leader *node) string {
	key := c.sync
	if c.mode.Mode == cluster.SyncOff {
		if key.Leader != "" || leader.server.session != "" {
			return "synchronous mode is off, but /sync or the names are still there"
		}
		return ""
	}
	want, unfit := 0, 0
	for _, n := range c.w.nodes {
		if n != leader && !n.tags.NoSync() && n.upstream(leader) == leader.server {
			want++
			if n.tags.NoFailover() {
				unfit++
			}
		}
	}
	required := min(c.mode.Count, want)
	if c.mode.Mode == cluster.SyncOn {
		want = required
	} else {
		want = max(required, want-unfit) // who can't lead is a voter only if it is needed
	}
	names, _ := quorum.Parse(leader.server.session)
	strict := c.mode.Strict
	if leader.patroni { // it sets * only with a change, and with a quorum takes it away only so
		strict = slices.Equal(names.Standbys, []string{"*"}) && (strict || c.mode.Mode == cluster.SyncQuorum)
	}
	if want == 0 && strict {
		names.Standbys, names.Required = names.Standbys[:max(0, len(names.Standbys)-1)], names.Required-1 // the one that can't be
	}
	if key.Leader != leader.name || len(key.Standbys) != want || key.Quorum != want-required || len(names.Standbys) != want || names.Required != required {
		return fmt.Sprintf("/sync is led by %q with quorum %d of %v while the names are %q", key.Leader, key.Quorum, key.Standbys, leader.server.session)
	}
	return ""
}

// ordered reports whether a user has ordered a member to take over.
func (c *checker) ordered(n *node) bool {
	return dcs.DecodeFailover([]byte(c.w.etcd.text(dcs.KeyFailover))).Orders(n.name)
}
