package ha

import (
	"testing"
	"time"
)

// TestStrayStart: a primary that something else has started accepts writes unfenced, as soon as it is up, until its agent looks.
func TestStrayStart(t *testing.T) {
	for _, c := range []struct {
		name   string
		change change
		within time.Duration // zero: until something happens
	}{
		{"a primary", func(o *Observation) { o.Server.StandbySignal = false }, time.Second},
		{"a standby", func(o *Observation) { o.Server.StandbySignal = true }, 0},
		{"a primary in pause", func(o *Observation) { o.Server.StandbySignal, o.Settings.Pause = false, true }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := see(orphan, starting, c.change)
			d := Decide(o)
			got := time.Duration(0)
			if d.WakeAt != 0 {
				got = d.WakeAt.Sub(o.Now)
			}
			if _, waits := d.Action.(Wait); !waits || got != c.within {
				t.Errorf("%T, looks again in %s, want a Wait and %s", d.Action, got, c.within)
			}
		})
	}
}
