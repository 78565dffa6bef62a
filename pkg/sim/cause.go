package sim

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// No flapping: each change of the leader has a fault or an order of its own that explains it. docs/safety.md
// says which of them count.

// cause is something that may cost a member the lead, once.
type cause struct {
	on         *node // the member that it may cost the lead; nil: any
	begin, end time.Duration
}

// change is one of the leader.
type change struct {
	at   time.Duration
	from *node
	why  *cause
}

// changes are those of a run, and what may explain them.
type changes struct {
	causes []*cause
	all    []*change // of the leader
	lead   *node     // who took the lead last
	lost   *change   // nobody has taken the lead since
	order  *cause    // somebody has asked for a change
}

// asked: the failover key has changed. A request is one cause until it is gone.
func (c *checker) asked(req cluster.FailoverRequest) {
	switch {
	case req.Pending() && c.order == nil:
		c.order = c.cause(nil)
	case !req.Pending() && c.order != nil:
		c.over(c.order)
		c.order = nil
	}
}

// lasting is the end of what goes on.
const lasting = time.Duration(1<<63 - 1)

// cause takes down something that begins now and goes on until it is over.
func (c *checker) cause(on *node) *cause {
	x := &cause{on: on, begin: c.w.now, end: lasting}
	c.causes = append(c.causes, x)
	return x
}

// over ends a cause; only the first call counts.
func (c *checker) over(x *cause) { x.end = min(x.end, c.w.now) }

// moment takes down a cause that is over as soon as it has begun.
func (c *checker) moment(on *node) { c.over(c.cause(on)) }

// healed ends what goes on, but for a request, which waits for whoever takes it up.
func (c *checker) healed() {
	for _, x := range c.causes {
		if x != c.order {
			c.over(x)
		}
	}
}

// vacated: the leader key is gone, so its holder has lost the lead. That always has a cause; it is used up when somebody
// takes the lead, whoever that is.
func (c *checker) vacated() {
	c.lost = &change{at: c.w.now, from: c.lead}
	if c.lead != nil && !slices.ContainsFunc(c.causes, func(x *cause) bool { return x.explains(c.lost, c.w.grace()) }) {
		c.violate("%s loses the lead without a cause", c.lead.name)
	}
}

// led: a member has taken the lead.
func (c *checker) led(n *node) {
	lost, before := c.lost, c.lead
	c.lost, c.lead = nil, n
	if before == nil || before == n && lost == nil {
		return
	}
	if lost == nil {
		lost = &change{at: c.w.now, from: before} // its name was overwritten
	}
	c.all = append(c.all, lost)
	if before == n {
		c.w.mark(leadRetaken)
	} else {
		c.w.mark("the lead changes")
	}
	if n.patroni != before.patroni {
		c.w.mark("the lead changes between the two behaviours")
	}
	if !c.explain(lost, map[*cause]bool{}) {
		c.violate("%s takes the lead from %s, one change more than there are causes", n.name, before.name)
	}
}

// leadRetaken: who has lost the leader key takes it again before anybody else does. That is a change like any other.
const leadRetaken = "the lead is lost and retaken"

// explain finds a cause of its own for a change, and other causes for other changes if need be: it is the next step
// of a largest matching (Kuhn).
func (c *checker) explain(ch *change, tried map[*cause]bool) bool {
	for _, x := range c.causes {
		if tried[x] || !x.explains(ch, c.w.grace()) {
			continue
		}
		tried[x] = true
		i := slices.IndexFunc(c.all, func(o *change) bool { return o.why == x })
		if i < 0 || c.explain(c.all[i], tried) {
			ch.why = x
			return true
		}
	}
	return false
}

// explains reports whether a change may come of it: it has begun, was over no longer ago than the cluster may
// take to come back, and is about the member that lost the lead.
func (x *cause) explains(ch *change, back time.Duration) bool {
	return x.begin <= ch.at && (x.end == lasting || ch.at <= x.end+back) && (x.on == nil || x.on == ch.from)
}

// grace is how long after its end a cause may still cost a member the lead: its lease, and two loops.
func (w *world) grace() time.Duration {
	s := w.slowest()
	return s.TTL + 2*s.LoopWait
}
