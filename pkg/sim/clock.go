package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// nodeClock is the clock of one machine: it was started at its own moment, and it runs a little too fast or
// too slow.
type nodeClock struct {
	s      *sched
	offset time.Duration
	skew   int64         // in units of 2^-20, about a millionth
	off    time.Duration // by how much the wall clock is wrong
}

// epoch is the wall time at which simulations begin.
var epoch = time.Date(2027, 3, 1, 12, 0, 0, 0, time.UTC)

// Now implements clock.Clock.
func (c *nodeClock) Now() clock.Instant { return c.of(c.s.now) }

// Wall implements clock.Clock. Wall clocks are kept by NTP: where they are not wrong they differ by the skew only.
func (c *nodeClock) Wall() time.Time { return epoch.Add(time.Duration(c.Now()) - c.offset + c.off) }

// of gives what the clock shows at a true moment. The high and the low part are scaled apart, so that
// nothing overflows and nothing is rounded twice.
func (c *nodeClock) of(t time.Duration) clock.Instant {
	high, low := int64(t)>>20, int64(t)&(1<<20-1)
	return clock.Instant(int64(c.offset) + int64(t) + high*c.skew + low*c.skew>>20)
}

// when gives the first true moment at which the clock shows the instant.
func (c *nodeClock) when(i clock.Instant) time.Duration {
	t := time.Duration(i) - c.offset
	for range 4 { // each round leaves a thousandth of the error
		t += time.Duration(i - c.of(t))
	}
	for c.of(t) < i {
		t++
	}
	for c.of(t-1) >= i {
		t--
	}
	return t
}

// later gives the true moment that is d later by this clock.
func (c *nodeClock) later(d time.Duration) time.Duration { return c.when(c.Now().Add(d)) }
