package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
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

// TestStrayPrimary: a primary that may not lead is stopped by its agent, and until then nobody is promoted beside it.
func TestStrayPrimary(t *testing.T) {
	onlyMe := func(o *Observation) {
		o.Settings.SynchronousMode = cluster.SyncOn
		o.Store.View.Sync = cluster.SyncState{Leader: "d", Standbys: []string{"a"}} // which has left
	}
	old := func(p *Peer) { p.InRecovery, p.Timeline = false, 1 }
	timelines := func(o *Observation) { o.Settings.CheckTimeline = true }
	stops := func(p *Peer) { p.Reachable, p.MayWrite = false, true }
	decides(t, []decideCase{
		{"on an old timeline", []change{orphan, timelines, answers("b", 0, unreachable), answers("c", 900, old)}, Wait{}, "not the healthiest"},
		{"that /sync does not name", []change{orphan, onlyMe, timelines, answers("b", 0, unreachable), answers("c", 900, old)}, Wait{}, "not the healthiest"},
		{"while it stops", []change{orphan, onlyMe, answers("b", 0, unreachable), answers("c", 0, stops)}, Wait{}, "not the healthiest"},
		{"when it has", []change{orphan, onlyMe, answers("b", 0, unreachable), answers("c", 0, unreachable)}, AcquireLeader{}, "promoted self"},
	})
}
