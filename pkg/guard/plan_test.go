package guard

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

func TestPlan(t *testing.T) {
	const now = clock.Instant(1000 * time.Second)
	in := func(left time.Duration) charge {
		return charge{Deadline: now.Add(left), Window: 30 * time.Second, Lease: 1}
	}
	// With a window of 30 s: killed 0.85 s before the deadline, stopped 5 s before that.
	for _, c := range []struct {
		name  string
		s     situation
		want  step
		until time.Duration // from now; zero: no moment
	}{
		{"not armed", situation{charge: in(-time.Hour)}, stepRest, 0},
		{"not armed, all dead", situation{agentDead: true, serverDead: true}, stepRest, 0},
		{"renewed just now", situation{armed: true, charge: in(30 * time.Second)}, stepRest, 24150 * time.Millisecond},
		{"agent killed, to be restarted", situation{armed: true, charge: in(20 * time.Second), agentDead: true}, stepRest, 14150 * time.Millisecond},
		{"not renewed in time", situation{armed: true, charge: in(5850 * time.Millisecond)}, stepStop, 0},
		{"clean shutdown under way", situation{armed: true, charge: in(3 * time.Second), stopping: true}, stepRest, 2150 * time.Millisecond},
		{"clean shutdown too slow", situation{armed: true, charge: in(850 * time.Millisecond), stopping: true}, stepKill, 0},
		{"woken long after the deadline", situation{armed: true, charge: in(-time.Hour)}, stepKill, 0},
		{"clean shutdown done", situation{armed: true, charge: in(3 * time.Second), stopping: true, serverDead: true}, stepRelease, 0},
		{"agent and postmaster dead", situation{armed: true, charge: in(20 * time.Second), agentDead: true, serverDead: true}, stepRelease, 0},
		{"postmaster dead, agent alive", situation{armed: true, charge: in(20 * time.Second), serverDead: true}, stepRest, 19150 * time.Millisecond},
		{"postmaster dead past its time, agent alive: children may be left", situation{armed: true, charge: in(100 * time.Millisecond), serverDead: true}, stepKill, 0},
		{"the guard has to end", situation{armed: true, charge: in(20 * time.Second), agentDead: true, overdue: true}, stepStop, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.s.now = now
			got, until := plan(c.s)
			if got != c.want {
				t.Errorf("step %d, want %d", got, c.want)
			}
			if want := now.Add(c.until); c.until != 0 && until != want || c.until == 0 && until != 0 {
				t.Errorf("rests for %s, want %s", until.Sub(now), c.until)
			}
		})
	}
}

// However short the lease, the steps come in order and the last of them before the deadline.
func TestPlanOrder(t *testing.T) {
	for _, window := range []time.Duration{time.Second, 2 * time.Second, 6 * time.Second, 30 * time.Second, time.Hour} {
		c := charge{Window: window, Deadline: clock.Instant(window)}
		kill := c.Deadline.Add(-c.margin())
		stop := kill.Add(-c.budget())
		if !stop.Before(kill) || !kill.Before(c.Deadline) || stop < clock.Instant(window/2) {
			t.Errorf("window %s: stop at %s, kill at %s", window, time.Duration(stop), time.Duration(kill))
		}
	}
}
