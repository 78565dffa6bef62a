package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Runs with a permanent logical slot and a consumer of it. docs/safety.md says what is promised of it.

const (
	slotsCopied = "a permanent logical slot is copied by the agents"
	slotsSynced = "a permanent logical slot is copied by the servers"
	slotsAlone  = "etcd is away while a permanent logical slot is read in failsafe mode"
)

// shop is what the slot is configured as, and its name.
var shop = cluster.PermanentSlot{Logical: true, Database: "shop", Plugin: "pgoutput"}

const shopSlot = "shop"

func (w *world) haveSlot() {
	w.base.PermanentSlots = map[string]cluster.PermanentSlot{shopSlot: shop}
	w.after(0, w.consume)
}

func (w *world) haveNativeSlot() {
	w.version = nativeSlots + 4
	w.haveSlot()
}

func (w *world) haveSlotFailsafe() {
	w.base.FailsafeMode = true
	w.haveSlot()
}

// readAlone: etcd is away for some rounds of questions, by which alone replicas hear how far the slot has come.
func (w *world) readAlone(*node) bool {
	leader := w.leader()
	if w.active > 0 || w.paused || !w.etcd.up || w.check.healthy() != "" || leader.server.logicalSlot(shopSlot) == nil {
		return false
	}
	w.befalls(leader, slotsAlone)
	w.etcd.up = false
	w.plague(nil, "etcd down", w.slowest().TTL, 3*w.slowest().TTL, w.etcd.restart)
	return true
}

// consume lets the consumer read what is new from whoever accepts writes. Now and then it rests for a while.
func (w *world) consume() {
	next := between(w.rare, 50*time.Millisecond, 500*time.Millisecond)
	if w.rare.IntN(300) == 0 {
		next = between(w.rare, time.Second, 30*time.Second)
	}
	w.after(next, w.consume)
	for _, n := range w.nodes {
		s := n.server
		if l := s.logicalSlot(shopSlot); l != nil && s.acking && s.primary && !s.frozen {
			w.check.consumes(s, l)
			return
		}
	}
}

// consuming is what the checker knows of the slot.
type consuming struct {
	consumed []position // up to each of these the consumer has everything, one of each branch; none: it has not begun
}

// consumes: the consumer reads on from where the slot says that it is.
func (c *checker) consumes(s *server, l *logicalSlot) {
	c.slot(s, l)
	l.confirmed = s.pos.lsn
	c.has(s.pos)
	name := slotsCopied
	if l.failover {
		name = slotsSynced
	}
	c.w.mark("rare: " + name)
}

// slot: no server says of the slot that the consumer has what it has not, or what the server itself has not. The consumer
// would never get it.
func (c *checker) slot(s *server, l *logicalSlot) {
	at := position{s.pos.branch, l.confirmed}.until(l.confirmed)
	switch {
	case l.confirmed > s.pos.lsn:
		c.violate("%s has the slot %s at %s, and WAL up to %s", s.n.name, l.name, l.confirmed, s.pos.lsn)
	case len(c.consumed) > 0 && !slices.ContainsFunc(c.consumed, at.within):
		c.violate("%s has the slot %s at %s of timeline %d, and its consumer has not come there", s.n.name, l.name, l.confirmed, at.branch.timeline)
	}
}

// has: the consumer has everything up to a position.
func (c *checker) has(p position) {
	i := slices.IndexFunc(c.consumed, func(q position) bool { return q.branch == p.branch })
	if i < 0 {
		c.consumed = append(c.consumed, p)
		return
	}
	c.consumed[i].lsn = max(c.consumed[i].lsn, p.lsn)
}

// promotedSlots: a server begins to write with the slots that it has.
func (c *checker) promotedSlots(s *server) {
	for _, l := range s.logical {
		c.slot(s, l)
		c.w.mark("slots: promoted with a copy")
	}
}

// slotBegins: the slot is created on a server that has none, and its consumer has to begin anew. Who had it since it got
// its data has it still.
func (c *checker) slotBegins(s *server, name string) {
	for _, had := range s.had {
		if had == name {
			c.violate("%s creates the slot %s, which it had; its consumer begins anew", s.n.name, name)
		}
	}
	c.w.mark("slots: begun anew")
	c.has(s.pos)
}

// slots says what is missing to the slots of a healthy cluster.
func (c *checker) slots(leader *node) string {
	for _, n := range c.w.nodes {
		for name := range c.w.base.PermanentSlots {
			l := n.server.logicalSlot(name)
			switch {
			case n.tags.NoFailover(), c.w.version >= nativeSlots && n != leader && n.upstream(leader) != leader.server:
			case l == nil:
				return n.name + " has no slot " + name
			case n != leader && !l.synced && !l.proven:
				return n.name + " has the slot " + name + ", and does not know whether it can be used"
			}
		}
	}
	return ""
}
