package ha

import (
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestLinesBeside: what users of Patroni look for stands beside the line of the decision.
func TestLinesBeside(t *testing.T) {
	judgedBy := func(p *Peer) { p.SyncRevision = 30 } // of synchronous
	voters := []change{
		orphan, synchronous(cluster.SyncQuorum, "", 1, "a", "c"), syncLed("b"), answers("b", 1000, unreachable, judgedBy), answers("c", 1000, judgedBy),
	}
	for name, c := range map[string]struct {
		changes []change
		want    []string
	}{
		"another identity in pause": {
			[]change{replica, paused, foreign},
			[]string{
				"no action. I am (a), a secondary, and following a leader (b)",
				"system ID has changed while in paused mode. Patroni will exit when resuming unless system ID is reset: 7000000000000000001 != 7000000000000000009",
			},
		},
		"… of the leader": {
			[]change{paused, foreign},
			[]string{
				"released leader key voluntarily due to the system ID mismatch",
				"system ID has changed while in paused mode. Patroni will exit when resuming unless system ID is reset: 7000000000000000001 != 7000000000000000009",
			},
		},
		"the lock is lost while the primary starts": {
			[]change{starting, func(o *Observation) { o.Store.View.Leader.Name = "b" }},
			[]string{"stopped PostgreSQL while starting up because leader key was lost", "Lost lock while starting up. Demoting self."},
		},
		"… and in the job": {
			[]change{down("in production"), running(JobStartPrimary), unlocked},
			[]string{"lost leader lock during starting primary after failure", "Demoting primary during starting primary after failure"},
		},
		"pre_promote said no": {
			[]change{promotable, refusedPromotion},
			[]string{
				"Promotion cancelled because the pre-promote script failed",
				"Releasing the leader key voluntarily because the pre-promote script failed",
			},
		},
		"… a moment ago": {
			[]change{orphan, refusedPromotion, answers("b", 0, unreachable), answers("c", 1000)},
			[]string{
				"following a different leader because i am not the healthiest node",
				"backoff: skip leader race after pre_promote script failure and releasing the lock voluntarily, or after a promotion that did not end",
			},
		},
		"no timeline": {
			[]change{orphan, func(o *Observation) { o.Settings.CheckTimeline, o.Server.Timeline = true, 0 }},
			[]string{"following a different leader because i am not the healthiest node", "Can not figure out my timeline"},
		},
		"an old primary that may not lead": {
			[]change{unlocked, func(o *Observation) { o.Server.Timeline, o.Self.Tags = 1, cluster.Tags{"nofailover": true} }},
			[]string{"demoting self because I am not allowed to become primary", "My timeline 1 is behind last known cluster timeline 2"},
		},
		"votes": {voters, []string{"promoted self to leader by acquiring session lock", "Got quorum vote from c"}},
		"the former leader's priority": {
			[]change{orphan, answers("b", 1000, tagged(cluster.Tags{"failover_priority": 5})), answers("c", 1000)},
			[]string{
				"promoted self to leader by acquiring session lock",
				"Ignoring former leader b having priority 5 higher than this nodes 1 priority",
			},
		},
		"a planned switchover": {
			[]change{answers("b", 1000), answers("c", 1000), request("a", "b"), at(-time.Second)},
			[]string{"switchover: demoting myself", "Manual scheduled switchover at 2027-03-01T07:59:59+00:00"},
		},
		"quorum mode without standbys": {
			[]change{synchronous(cluster.SyncQuorum, "", 0), strict, func(o *Observation) { o.Server.Senders = nil }},
			[]string{"Replication factor 1 requested, but 0 synchronous standbys available. Commits will be delayed."},
		},
	} {
		d := Decide(see(c.changes...))
		var got []string
		for _, r := range d.Reasons {
			got = append(got, r.Text)
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %T\n%s\nwant\n%s", name, d.Action, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
