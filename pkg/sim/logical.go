package sim

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Permanent logical slots. A consumer reads all that is written from the slot of whoever is the primary. Before PostgreSQL
// 17 the agents copy the slot to the replicas and let it follow; from 17 on the servers do.

// logicalSlot is one on one server.
type logicalSlot struct {
	name      string
	confirmed cluster.LSN // up to here its consumer has everything
	failover  bool        // standbys copy it by themselves
	synced    bool        // such a copy
	proven    bool        // it is known to be usable after a promotion; for this life of the server
	asked     int         // how often that was asked in it
}

// logicalSlots are what a server has of them on disk.
type logicalSlots struct {
	logical []*logicalSlot
	walFrom cluster.LSN // the server has no WAL of before
	// had are the slots that the server had since it got its data, and was to keep.
	had []string
}

// nativeSlots is the first version whose servers copy slots by themselves.
const nativeSlots = 170000

func (s *server) logicalSlot(name string) *logicalSlot {
	for _, l := range s.logical {
		if l.name == name {
			return l
		}
	}
	return nil
}

// dataFrom: the server has other data, without slots.
func (s *server) dataFrom(lsn cluster.LSN) { s.logicalSlots = logicalSlots{walFrom: lsn} }

// emptied: it has none.
func (s *server) emptied() {
	s.troubles.emptied()
	s.logicalSlots = logicalSlots{}
}

func (s *server) keep(l *logicalSlot) {
	s.logical = append(s.logical, l)
	if !slices.Contains(s.had, l.name) {
		s.had = append(s.had, l.name)
	}
	s.w.check.slot(s, l)
}

// forget gives a slot up in order.
func (s *server) forget(name string) {
	s.logical = slices.DeleteFunc(s.logical, func(l *logicalSlot) bool { return l.name == name })
	s.had = slices.DeleteFunc(s.had, func(h string) bool { return h == name })
}

// unproven: what is known of the slots of a standby is known of one life of it.
func (s *server) unproven() {
	for _, l := range s.logical {
		l.proven, l.asked = false, 0
	}
}

// observeLogical is what the monitoring query tells of logical slots.
func (s *server) observeLogical(o *cluster.Server) {
	for _, l := range s.logical {
		x := cluster.Slot{
			Name: l.name, Type: "logical", Database: shop.Database, Plugin: shop.Plugin,
			RestartLSN: l.confirmed, ConfirmedLSN: l.confirmed, Synced: l.synced,
		}
		if l.failover {
			o.FailoverSlots = append(o.FailoverSlots, x)
			continue
		}
		x.Unproven = !s.primary && !l.proven
		o.Slots = append(o.Slots, x)
	}
}

// dropLogical drops slots because the agent says so.
func (s *server) dropLogical(names []string) {
	for _, name := range names {
		l := s.logicalSlot(name)
		switch {
		case l == nil, l.synced && !s.primary: // the server drops it when its primary has none
		case l.failover && !s.primary, s.n.tags.NoFailover(): // to make room for a copy; it is not for such a member
			s.forget(name)
		default:
			s.logical = slices.DeleteFunc(s.logical, func(o *logicalSlot) bool { return o == l })
		}
	}
}

// SyncLogicalSlots implements agent.Postgres.
func (p *postgres) SyncLogicalSlots(ctx context.Context, plan cluster.LogicalSlotPlan) ([]string, error) {
	s, w := p.s, p.s.w
	for _, name := range slices.Sorted(maps.Keys(plan.Create)) {
		w.sleep(between(w.rare, time.Millisecond, 2*time.Second)) // until every transaction has ended that runs
		if s.phase != phaseServing || !s.primary || s.frozen {
			return nil, errors.New("create logical slot: no primary answers")
		}
		if s.logicalSlot(name) == nil {
			w.check.slotBegins(s, name)
			s.keep(&logicalSlot{name: name, confirmed: s.pos.lsn, failover: w.version >= nativeSlots})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Advance)) {
		w.sleep(between(w.rare, time.Millisecond, 500*time.Millisecond)) // it reads all WAL up to there
		l := s.logicalSlot(name)
		if l == nil || s.phase != phaseServing || s.frozen {
			return nil, errors.New("advance logical slot: the server does not answer")
		}
		if to := min(plan.Advance[name], s.shown().lsn); !s.primary && to > l.confirmed {
			l.confirmed = to
			w.check.slot(s, l)
		}
	}
	if len(plan.Prove) > 0 {
		return nil, p.prove(ctx, plan)
	}
	return nil, nil
}

// asksAboutSlot is how often at most; a member asks once in a loop_wait.
const asksAboutSlot = 3

// prove asks the leader what it keeps for this standby, which it knows a moment after the standby has connected.
func (p *postgres) prove(ctx context.Context, plan cluster.LogicalSlotPlan) error {
	u, err := p.reach(ctx, plan.Leader, true)
	if err != nil {
		return err
	}
	for _, name := range plan.Prove {
		if l := p.s.logicalSlot(name); l != nil && u.logicalSlot(name) != nil && p.s.connected {
			known := p.s.w.rare.IntN(4) > 0 || l.asked+1 >= asksAboutSlot
			l.proven, l.asked = l.proven || known, l.asked+1
		}
	}
	return nil
}

// CopySlots implements agent.Postgres.
func (p *postgres) CopySlots(ctx context.Context, leader cluster.Upstream, slots map[string]cluster.PermanentSlot) ([]string, error) {
	s := p.s
	u, err := p.reach(ctx, leader, true)
	if err != nil {
		return nil, err
	}
	var files []logicalSlot
	for _, name := range slices.Sorted(maps.Keys(slots)) {
		if l := u.logicalSlot(name); l != nil && !l.failover {
			files = append(files, logicalSlot{name: name, confirmed: l.confirmed})
		}
	}
	s.w.sleep(between(s.w.rare, time.Millisecond, 300*time.Millisecond)) // to look at what is here, which grows meanwhile
	files = slices.DeleteFunc(files, func(l logicalSlot) bool { return l.confirmed < s.walFrom || l.confirmed > s.shown().lsn })
	if len(files) == 0 {
		return nil, nil
	}
	if !s.standby {
		return nil, errors.New("copy slots: this is no standby")
	}
	upstream := s.upstream
	p.stop(ctx, cluster.StopFast, true, nil)
	var copied []string
	for _, f := range files {
		s.forget(f.name)
		s.keep(&f)
		copied = append(copied, f.name)
	}
	return copied, p.StartReplica(ctx, upstream)
}

// copyFailoverSlots is the work of PostgreSQL's slot synchronization on a standby: it follows the slots of its primary,
// once it has what they have confirmed, and drops what that has not. A standby of a standby has none.
// Source: PostgreSQL 17, replication/logical/slotsync.c.
func (s *server) copyFailoverSlots(u *server) {
	if s.w.version < nativeSlots || !u.primary || s.w.rare.IntN(10) > 0 {
		return
	}
	for _, l := range slices.Clone(s.logical) {
		if l.synced && u.logicalSlot(l.name) == nil {
			s.forget(l.name)
		}
	}
	for _, from := range u.logical {
		here := s.logicalSlot(from.name)
		switch {
		case from.confirmed > s.pos.lsn, from.confirmed < s.walFrom:
		case here == nil:
			s.keep(&logicalSlot{name: from.name, confirmed: from.confirmed, failover: true, synced: true})
		case here.synced && here.confirmed < from.confirmed:
			here.confirmed = from.confirmed
			s.w.check.slot(s, here)
		}
	}
}
