package ha

import (
	"fmt"
	"strings"
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
		"another line":    lostPromotion,
		"c on another":    answers("c", 5000, forked(700)),
		"c ahead":         answers("c", 1001),
		"c far ahead":     answers("c", 5000, unreachable),
		"c primary":       answers("c", 1000, primary),
		"c priority":      answers("c", 1000, tagged(cluster.Tags{"failover_priority": 5})),
		"c old timeline":  answers("c", 1000, func(p *Peer) { p.Timeline = 1 }),
		"sync, in it":     func(o *Observation) { syncKey(o, cluster.SyncOn, 0, "a") },
		"sync, not in it": func(o *Observation) { syncKey(o, cluster.SyncOn, 0, "c") },
		"quorum of one":   func(o *Observation) { syncKey(o, cluster.SyncQuorum, 1, "a", "c") },
		"listed":          listing("a", "b", "c"),
		"not listed":      listing("b", "c"),
		"promised":        func(o *Observation) { listing("a", "b")(o); promised(1)(o) },
		"just started":    func(o *Observation) { listing("a", "b")(o); began(1)(o) },
		"copied":          func(o *Observation) { o.Server.Copied = true },
		"c copied":        answers("c", 1001, func(p *Peer) { p.Copied = true }),
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

// TestStandingTellsWhatCounts: who has more than others and may not lead wants to know why.
func TestStandingTellsWhatCounts(t *testing.T) {
	o := see(orphan, lostPromotion, answers("b", 0, unreachable), answers("c", 2000, forked(700)))
	var texts []string
	for _, c := range Standing(o) {
		texts = append(texts, c.Text)
	}
	text := strings.Join(texts, "\n")
	for _, want := range []string{
		"has WAL up to 0/1F4; what follows, up to 0/3E8 on timeline 2, is not the cluster's",
		"c is not ahead, with WAL up to 0/1F4; what follows, up to 0/7D0 on timeline 2, is not the cluster's",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func syncKey(o *Observation, mode cluster.SynchronousMode, quorum int, standbys ...string) {
	o.Settings.SynchronousMode = mode
	o.Store.View.Sync = cluster.SyncState{Leader: "b", Standbys: standbys, Quorum: quorum}
}

func TestRefusalTellsOfEachMember(t *testing.T) {
	for name, c := range map[string]struct {
		changes []change
		want    []string
	}{
		"neither": {
			[]change{answers("b", 1000, unreachable), answers("c", 1000, primary)},
			[]string{"Member b is not reachable", "Member c is not in recovery"},
		},
		"lag and tag": {
			[]change{answers("b", 1000), answers("c", 1000), func(o *Observation) {
				o.Store.View.Status.Optime = 1000 + 2<<20
				o.Store.View.Members[2].Tags = cluster.Tags{"nofailover": true}
			}},
			[]string{"Member b exceeds maximum replication lag: 2097152 bytes behind, maximum_lag_on_failover is 1048576", "Member c is not allowed to promote"},
		},
		"quorum": {
			[]change{answers("b", 1000), answers("c", 1000), func(o *Observation) { syncKey(o, cluster.SyncQuorum, 1, "b") }},
			[]string{"Member c is not a synchronous standby", "Quorum requirement 1 can not be reached: more synchronous standbys than that have to be able to take over"},
		},
	} {
		o := see(append([]change{request("a", "")}, c.changes...)...)
		d := act(Wait{}, "request-nobody", "switchover: no healthy members found, switchover is not possible").turnedDown(&o, "request-nobody", "")
		if o.Settings.SynchronousMode == cluster.SyncOff { // with it, other rules come first
			*d = Decide(o)
		}
		var got []string
		for _, r := range d.Reasons {
			got = append(got, r.Text)
		}
		want := append([]string{"switchover: no healthy members found, switchover is not possible"}, c.want...)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
