// Package clock keeps two kinds of time apart. An Instant is a moment of the boot-time clock, which no
// administrator can set and which goes on while the machine sleeps; leases and deadlines are counted in
// it. Wall time is for schedules and for people.
package clock

import (
	"math"
	"sync"
	"time"
)

// Instant is a moment of the machine's boot-time clock (CLOCK_BOOTTIME), in nanoseconds since boot. It is
// the same for all processes of a machine, so the agent can hand one to the guard. Zero means "never".
type Instant int64

// Add gives the instant d later. One that is too far away to be counted is the last, or the first, that can be: a plan for
// the year 9999 must not be due in the past.
func (i Instant) Add(d time.Duration) Instant {
	sum := i + Instant(d)
	switch {
	case d > 0 && sum < i:
		return math.MaxInt64
	case d < 0 && sum > i:
		return math.MinInt64
	}
	return sum
}

// Sub gives the time from o to i, within what a duration can be.
func (i Instant) Sub(o Instant) time.Duration {
	d := time.Duration(i - o)
	switch {
	case i > o && d < 0:
		return math.MaxInt64
	case i < o && d > 0:
		return math.MinInt64
	}
	return d
}

// Before reports whether i is earlier than o.
func (i Instant) Before(o Instant) bool { return i < o }

// After reports whether i is later than o.
func (i Instant) After(o Instant) bool { return i > o }

// IsZero reports whether i is the instant that never was.
func (i Instant) IsZero() bool { return i == 0 }

// Clock tells both kinds of time. Implementations are safe for concurrent use.
type Clock interface {
	Now() Instant
	Wall() time.Time
}

// Fake is a clock that stands still until it is told to move.
type Fake struct {
	mu   sync.Mutex
	now  Instant
	wall time.Time
}

// NewFake gives a fake clock that starts at the given moments.
func NewFake(now Instant, wall time.Time) *Fake { return &Fake{now: now, wall: wall} }

// Now gives the fake instant.
func (f *Fake) Now() Instant {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

// Wall gives the fake wall time.
func (f *Fake) Wall() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wall
}

// Advance moves both kinds of time by d.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
	f.wall = f.wall.Add(d)
}
