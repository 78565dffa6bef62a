package guard

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// charge is what an armed guard watches over.
type charge struct {
	Deadline clock.Instant // from then on the leader key may be somebody else's
	Window   time.Duration // what the deadline was ahead when it was given: about a TTL
	Lease    int64
}

// margin is how long before the deadline nothing may be left that can write. Killing takes some ten
// milliseconds; two clocks that each keep time to 0.1 % are apart by 0.2 % of the TTL when it ends; the
// rest is for a machine that is too busy to run the guard at once.
func (c charge) margin() time.Duration { return 250*time.Millisecond + c.Window/50 }

// budget is the time for a clean shutdown before that. It ships all WAL to the replicas, so that nothing
// acknowledged is lost; killing can't.
func (c charge) budget() time.Duration { return min(5*time.Second, c.Window/6) }

// step is what a guard does next.
type step int

const (
	stepRest    step = iota // nothing until the given instant; zero: until something happens
	stepStop                // begin a clean shutdown of PostgreSQL
	stepKill                // kill everything of PostgreSQL
	stepRelease             // give the leader key up: nothing is left here that could write
)

// situation is all that the next step depends on.
type situation struct {
	now        clock.Instant
	armed      bool
	charge     charge
	agentDead  bool
	serverDead bool // the postmaster is gone; children of it may be left
	stopping   bool // a clean shutdown was begun
	overdue    bool // what the deadline asks for is to be done now, whatever the time (the end of the guard)
}

// plan decides the next step, and until when to rest if that is it. It is total and pure.
func plan(s situation) (step, clock.Instant) {
	if !s.armed {
		return stepRest, 0
	}
	kill := s.charge.Deadline.Add(-s.charge.margin())
	stop := kill.Add(-s.charge.budget())
	switch {
	case s.serverDead && (s.agentDead || s.stopping):
		// The postmaster is gone and nobody is there to start it again, or we stopped it ourselves because the
		// agent had not moved the deadline. Whoever gets the key next need not wait for the lease.
		return stepRelease, 0
	case !s.now.Before(kill):
		return stepKill, 0 // also without a postmaster: children of it may still write
	case s.serverDead:
		return stepRest, kill // the agent has stopped it, or is starting it again; it knows why
	case s.stopping:
		return stepRest, kill
	case s.overdue || !s.now.Before(stop):
		return stepStop, 0
	}
	return stepRest, stop
}
