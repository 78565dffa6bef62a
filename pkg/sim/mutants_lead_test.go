package sim

import (
	"context"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mistakes by which the lead goes around, or the cluster does not come back in time.

const noCause = "loses the lead without a cause"

var leadMutants = []mutant{
	{"the lead goes back to the first member as soon as it streams", noCause, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			first := func(s cluster.Sender) bool { return s.ApplicationName == "node1" }
			if rule(d) == "leader" && slices.ContainsFunc(obs.Server.Senders, first) {
				d.Action = ha.Demote{Mode: ha.DemoteGraceful}
			}
		})
	}, cluster.SyncOff},
	{"another lease is taken for another reign", "before its time", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil {
				other := *v
				other.Leader.Created = v.Leader.Revision
				obs.Store.View = &other
			}
		}, nil)
	}, cluster.SyncOff},
	{"a leader at rest waits for what has passed", "times within a second", func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "leader" {
				d.WakeAt = obs.Now - 1
			}
		})
	}, cluster.SyncOff},
	{"two rules undo what the other does, and rest in between", "times within a second", func(o *agent.Options) {
		turn := 0
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) != "leader" {
				return
			}
			if turn++; turn%3 == 0 { // without a rest the agent makes pauses
				d.WakeAt = obs.Now.Add(10 * time.Millisecond)
				return
			}
			d.Action = ha.ProveLock{}
			d.Reasons = []ha.Reason{{Rule: []string{"race-paused-candidate", "identity-release"}[turn%3-1]}}
		})
	}, cluster.SyncOff},
	{"a leader that no replica streams from steps down", noCause, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "leader" && len(obs.Server.Senders) == 0 && len(obs.Store.View.Members) > 2 {
				d.Action = ha.Demote{Mode: ha.DemoteImmediate}
			}
		})
	}, cluster.SyncOff},
	{"a new leader steps down when the one before is back", "one change more than there are causes", func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "leader" && obs.Server.Timeline > 2 && len(obs.Server.Senders) > 0 && o.Name != "node1" {
				d.Action = ha.Demote{Mode: ha.DemoteImmediate}
			}
		})
	}, cluster.SyncOff},
	{"a member whose start has failed is not started again", notBack, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.StartReplica); ok && obs.Memory.StartFailures > 0 {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"a replica stays with the leader it had", notBack, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.Follow); ok {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"a lease keeps the ttl that it was granted with", tooLate, func(o *agent.Options) {
		o.Store = &firstTTL{Store: o.Store}
	}, cluster.SyncOff},
}

const notBack = "does not come back"

// rule names what a decision came of.
func rule(d *ha.Decision) string { return d.Reasons[0].Rule }

// firstTTL renews with the ttl of its beginning, and believes that it is the one of now.
type firstTTL struct {
	dcs.Store
	ttl time.Duration
}

func (s *firstTTL) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	if s.ttl == 0 {
		s.ttl = ttl
	}
	l, holds, err := s.Store.Renew(ctx, s.ttl, lead)
	if err == nil {
		l.Expires = l.Expires.Add(ttl - s.ttl)
	}
	return l, holds, err
}
