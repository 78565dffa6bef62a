package sim

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// checker holds the cluster to its promises. The first that is broken ends the run.
type checker struct {
	w         *world
	violation string
	// blind: it was made a standby cluster, which keeps no /history to compare positions by.
	blind bool

	standbySince time.Duration // when it was last turned into a standby cluster, or back; zero: never
	published    position      // what the newest /status speaks of
	handed       position      // what the last planned handover must not lose
	handedAt     time.Duration
	request      cluster.FailoverRequest
	calledOff    bool // nobody could take over, and the leader could not go on either
	requestAt    time.Duration
	byOrder      *node                       // leads by a manual failover; Patroni takes the order away before it is promoted
	promises     map[[2]string]time.Duration // failsafe mode: asker and receiver -> until when
	promised
	consuming

	changes
	lagBefore  uint64 // maximum_lag_on_failover before it was last changed
	lagChanged time.Duration
}

func (c *checker) violate(format string, args ...any) {
	if c.violation == "" {
		c.violation = fmt.Sprintf(format, args...)
		c.w.tracef(nil, "BROKEN", "%s", c.violation)
	}
}

// writable: never do two servers accept writes at the same moment, but for one that a pause has left; see unaware.
func (c *checker) writable() {
	var names []string
	beside := false
	for _, n := range c.w.nodes {
		switch {
		case !n.server.acking:
		case n.unaware():
			beside = true
		default:
			names = append(names, n.name)
		}
	}
	if beside && len(names) > 0 {
		c.w.mark(pauseLeftBeside)
	}
	if len(names) > 1 {
		c.violate("two servers accept writes: %v", names)
	}
}

// writes: a server that begins to write does so on a timeline of its own.
func (c *checker) writes(s *server) {
	if s.pos.branch.owner != s.n.name {
		c.violate("%s writes on timeline %d, which is that of %s", s.n.name, s.pos.branch.timeline, s.pos.branch.owner)
	}
}

// streams: nobody takes WAL of a timeline that only has the number of its own. PostgreSQL would not notice.
func (c *checker) streams(s, from *server) {
	if !s.pos.within(from.pos) {
		c.violate("%s streams from %s, whose timeline %d is another one", s.n.name, from.n.name, s.pos.branch.timeline)
	}
}

// deadline: what the guard counts to must not lie behind the moment at which etcd may let the lease go.
func (c *checker) deadline(n *node, deadline clock.Instant) {
	if n.store == nil {
		return
	}
	n.assured = max(n.assured, min(c.assured(n), n.clock.when(deadline)))
	if !c.w.etcd.up {
		return
	}
	id := n.store.lease.ID
	if kv := c.w.etcd.get(dcs.KeyLeader); kv != nil && string(kv.Value) == n.name {
		id = kv.Lease // with another ttl the agent may have another lease already, to which it has not moved the key yet
	}
	l, ok := c.w.etcd.leases[id]
	if !ok {
		return
	}
	skews := l.ttl / 500 // two clocks that are each wrong by a thousandth
	if at := n.clock.when(deadline); at > max(l.earliest, c.assured(n))+skews {
		c.violate("%s: the guard's deadline lies behind the end of the lease by %s", n.name, at-l.earliest)
	}
}

// removed: a server throws data of its own away, which must not be the newest there is. A standby cluster has none of its
// own, and a rewind that has begun in one goes on when the cluster is promoted meanwhile.
func (c *checker) removed(s *server) {
	c.touched(s)
	if c.standbySince != 0 && c.w.now-c.standbySince < copyTime+muteCopy {
		return
	}
	if s.data && c.w.etcd.text(dcs.KeyLeader) == s.n.name && !c.w.doc.Standby {
		c.violate("%s holds the leader key and throws its data away", s.n.name)
	}
}

// gaveUp: an agent ended with an error that a person has to look at.
func (c *checker) gaveUp(n *node, message string) { c.violate("%s gave up: %s", n.name, message) }

// key sees every change in etcd.
func (c *checker) key(kv dcs.KV, deleted bool) {
	switch kv.Key {
	case dcs.KeyLeader:
		c.w.worst()
		if deleted {
			c.vacated()
		}
		if !deleted {
			c.leased(kv)
			c.hangs(kv)
		}
		if !deleted && kv.CreateRevision == kv.ModRevision {
			c.acquired(c.w.node(string(kv.Value)))
			if c.w.base.FailsafeMode && c.w.faulty {
				c.w.stray(c.w.node(string(kv.Value)))
			}
		}
	case dcs.KeySync:
		c.syncKey()
	case dcs.KeyConfig:
		c.configKey(kv.Value)
	case dcs.KeyFailover:
		req := cluster.FailoverRequest{}
		if !deleted {
			req = dcs.DecodeFailover(kv.Value)
			req.Revision = kv.ModRevision
		}
		c.kept(req)
		c.asked(req)
		if req.Pending() {
			c.request, c.requestAt, c.calledOff = req, c.w.now, false
		}
	case dcs.KeyStatus:
		n := c.w.node(c.w.etcd.text(dcs.KeyLeader))
		if s := dcs.DecodeStatus(kv.Value); n != nil && n.server.data && s.Optime != 0 {
			c.published = n.server.pos.until(s.Optime)
		}
	}
}

// acquired: who takes the lock lacks no more of what the last leader published than the settings allow, and
// nothing at all after a planned handover that nothing has disturbed.
func (c *checker) acquired(n *node) {
	if n == nil {
		return // a member that has left, whose last message was on its way
	}
	s := n.server
	c.hidden = c.unnamedLead()
	c.led(n)
	c.isTaken(s)
	if !s.data {
		c.violate("%s has taken the lock without data", n.name)
		return
	}
	if n.tags.NoFailover() && c.w.now-n.tagged > time.Minute {
		c.violate("%s has taken the lock and must not lead", n.name)
	}
	c.byOrder = nil
	if c.ordered(n) || c.namedOnly(n) {
		c.byOrder = n
	}
	if c.published.branch != nil && !c.blind && !c.ordered(n) {
		lost := uint64(c.published.lsn - s.pos.shared(c.published))
		if lost > c.allowedLag() && !c.excused(n) {
			c.violate("%s has taken the lock %d bytes behind the published position", n.name, lost)
		}
	}
	calm := c.w.active == 0 && c.w.now-c.w.strike > 15*time.Second
	calm = calm && c.w.now-c.handedAt < 10*time.Second
	if c.handed.branch != nil && calm && !c.handed.within(s.pos) {
		c.violate("%s has taken the lock after a planned handover and lacks what was handed over at %s", n.name, c.handed.lsn)
	}
	if c.handed.branch != nil && calm {
		c.w.mark("switchover: handed over")
	}
	c.handed = position{}
}

// allowedLag is maximum_lag_on_failover; for some time after a change, what it was before, if that is more.
func (c *checker) allowedLag() uint64 {
	now, before := cmp.Or(c.mode.MaximumLag, c.w.base.MaximumLagOnFailover), uint64(0)
	if c.w.now-c.lagChanged < time.Minute {
		before = c.lagBefore
	}
	return max(now, before)
}

// released: the lock is given up, so nothing may be left that could acknowledge a write.
func (c *checker) released(n *node) {
	s := n.server
	if s.phase == phaseServing && s.primary || s.strays {
		if !c.w.paused && !n.paused.within { // what its agent has sent in pause may arrive after it
			c.violate("%s gives the lock up while its server can write", n.name)
		}
		return
	}
	planned := !n.leaving && (!n.patroni || c.w.weak(weakHandOver))
	if s.control == "shut down" && planned && c.request.Leader == n.name && !c.calledOff && c.w.now-c.requestAt < time.Minute {
		c.handed, c.handedAt = s.pos, c.w.now
	}
}

// healthy says what is missing to a healthy cluster, nothing if it is one: one primary, which holds the
// key, and everybody else streams from it.
func (c *checker) healthy() string {
	leader := c.w.node(c.w.etcd.text(dcs.KeyLeader))
	if leader == nil {
		return "nobody holds the leader key"
	}
	if c.w.doc.Standby {
		return c.followsOutside(leader)
	}
	if !leader.server.canAck() {
		return "leader " + leader.name + " accepts no writes"
	}
	for _, n := range c.w.nodes {
		s := n.server
		switch {
		case n.agent == nil:
			return n.name + " has no agent"
		case n == leader:
		case s.phase != phaseServing || s.primary:
			return n.name + " is no running replica"
		case n.upstream(leader) == nil:
			if err := s.behindArchive(leader.server); err != nil {
				return n.name + " " + err.Error()
			}
		case !s.connected || s.source() != n.upstream(leader):
			return n.name + " does not stream from " + n.upstream(leader).n.name
		}
	}
	if missing := c.synchronous(leader); missing != "" {
		return missing
	}
	return cmp.Or(c.plans(), c.slots(leader))
}

// repeated is what an agent has done within the present second.
type repeated struct {
	since time.Duration
	turns int
	acts  map[string]int // by rule
}

// Within a second no agent does the same more often than that, whatever it does in between, and none turns more often.
const (
	mostActs  = 20
	mostTurns = 80
)

// again: no agent does the same over and over without a pause, nor looks over and over and does nothing. Each time costs
// somebody a question or a write, and the server a query at least.
func (c *checker) again(n *node, rule string, acts bool) {
	r := &n.repeated
	if r.acts == nil || c.w.now-r.since > time.Second {
		*r = repeated{since: c.w.now, acts: map[string]int{}}
	}
	if acts {
		r.acts[rule]++
	}
	r.turns++
	switch {
	case r.acts[rule] > mostActs:
		c.violate("%s decides %s %d times within a second", n.name, rule, r.acts[rule])
	case r.turns > mostTurns:
		c.violate("%s turns %d times within a second, and decides %s", n.name, r.turns, rule)
	}
}

// kept: a switchover for later stays until its time has come, if the member that it is to relieve leads all the while.
func (c *checker) kept(req cluster.FailoverRequest) {
	was, key := c.request, c.w.etcd.get(dcs.KeyLeader)
	if c.order == nil || req.Pending() || was.ScheduledAt.IsZero() || key == nil || string(key.Value) != was.Leader || key.CreateRevision > was.Revision {
		return
	}
	if n := c.w.node(was.Leader); n != nil && n == c.lead && n.clock.Wall().Before(was.ScheduledAt) {
		c.violate("a switchover for later is dropped %s before its time", was.ScheduledAt.Sub(n.clock.Wall()))
	}
}

// leased holds the deadline against the lease to which the leader key is moved, and takes down that it is while a switchover
// is planned.
func (c *checker) leased(kv dcs.KV) {
	if n := c.w.node(string(kv.Value)); n != nil && n.store != nil && n.fence.armed && !n.fence.p.frozen {
		c.deadline(n, n.fence.charge.Deadline)
	}
	if c.order != nil && !c.request.ScheduledAt.IsZero() && c.request.Revision > kv.CreateRevision && string(kv.Value) == c.request.Leader {
		c.w.mark(plannedLease)
	}
}

const plannedLease = "the leader takes another lease while a switchover is planned"
