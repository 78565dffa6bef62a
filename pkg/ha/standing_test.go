package ha

import (
	"fmt"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestStandingAgreesWithDecide: explain shows the checks of Standing beside the decision, so they must be the
// same rules. Each pair of changes to a replica without a leader is judged by both.
func TestStandingAgreesWithDecide(t *testing.T) {
	changes := map[string]change{
		"nothing":         func(*Observation) {},
		"watchdog":        noWatchdog,
		"nofailover":      func(o *Observation) { o.Self.Tags = cluster.Tags{"nofailover": true} },
		"no position":     func(o *Observation) { o.Server.ReceiveLSN, o.Server.ReplayLSN = 0, 0 },
		"lag":             func(o *Observation) { o.Store.View.Status.Optime = 1000 + 2<<20 },
		"timeline":        func(o *Observation) { o.Settings.CheckTimeline, o.Server.Timeline = true, 1 },
		"c ahead":         answers("c", 1001),
		"c far ahead":     answers("c", 5000, unreachable),
		"c primary":       answers("c", 1000, primary),
		"c priority":      answers("c", 1000, tagged(cluster.Tags{"failover_priority": 5})),
		"c old timeline":  answers("c", 1000, func(p *Peer) { p.Timeline = 1 }),
		"sync, in it":     func(o *Observation) { syncKey(o, cluster.SyncOn, 0, "a") },
		"sync, not in it": func(o *Observation) { syncKey(o, cluster.SyncOn, 0, "c") },
		"quorum of one":   func(o *Observation) { syncKey(o, cluster.SyncQuorum, 1, "a", "c") },
		"quorum of two":   func(o *Observation) { syncKey(o, cluster.SyncQuorum, 2, "a", "c") },
	}
	for one, first := range changes {
		for two, second := range changes {
			t.Run(fmt.Sprintf("%s and %s", one, two), func(t *testing.T) {
				o := see(orphan, answers("b", 0, unreachable), answers("c", 1000), first, second)
				all := true
				checks := Standing(o)
				for _, c := range checks {
					all = all && c.Pass
				}
				d := Decide(o)
				if _, takes := d.Action.(AcquireLeader); takes != all {
					t.Errorf("Decide: %T %v, Standing: %+v", d.Action, d.Reasons, checks)
				}
			})
		}
	}
}

func syncKey(o *Observation, mode cluster.SynchronousMode, quorum int, standbys ...string) {
	o.Settings.SynchronousMode = mode
	o.Store.View.Sync = cluster.SyncState{Leader: "b", Standbys: standbys, Quorum: quorum}
}

func TestRefusalTellsOfEachMember(t *testing.T) {
	o := see(request("a", ""), answers("b", 1000, unreachable), answers("c", 1000, primary))
	d := Decide(o)
	want := []string{"switchover: no healthy members found, switchover is not possible", "b: not reachable", "c: not in recovery"}
	var got []string
	for _, r := range d.Reasons {
		got = append(got, r.Text)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
