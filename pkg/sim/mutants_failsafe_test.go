package sim

import (
	"context"
	"maps"
	"slices"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mistakes in the rules of failsafe mode.

// tooLate is in what the checker says of a guard that counts to a moment that nobody has promised.
const tooLate = "deadline lies behind the end of the lease"

var failsafeMutants = []mutant{
	{"one member is not asked", tooLate, func(o *agent.Options) { o.Peers = &negligent{o.Peers} }, cluster.SyncOff},
	{"a refusal is overheard", tooLate, func(o *agent.Options) { o.Peers = &deaf{o.Peers} }, cluster.SyncOff},
	{"the promise counts from when it was answered", tooLate, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.ExtendProof); ok {
				d.Action = ha.ExtendProof{Until: obs.Now.Add(obs.Settings.TTL)}
			}
		})
	}, cluster.SyncOff},
	{"a member that is being promoted accepts", "is a primary, or about to be one", func(o *agent.Options) {
		o.AnswerFailsafe = func(r ha.FailsafeReceiver) ha.FailsafeReply { // as Patroni 4.1 does
			r.Leader, r.Promoting = false, false
			return ha.AnswerFailsafe(r)
		}
	}, cluster.SyncOff},
	{"a promise is not remembered", twoPrimaries, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Memory.Failsafe.Promised = 0 }, nil)
	}, cluster.SyncOff},
	{"a restarted member does not wait for what it has forgotten", twoPrimaries, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Memory.Failsafe.Began = 0 }, nil)
	}, cluster.SyncOff},
	{"who is not listed stands for the lock", twoPrimaries, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && !v.Locked() {
				other := *v
				other.Failsafe = nil
				obs.Store.View = &other
			}
		}, nil)
	}, cluster.SyncOff},
}

// negligent does not ask one of the members.
type negligent struct{ agent.Peers }

func (p *negligent) AskFailsafe(ctx context.Context, members map[string]string, q cluster.FailsafeQuestion) []cluster.FailsafeAnswer {
	names := slices.Sorted(maps.Keys(members))
	if len(names) == 0 {
		return nil
	}
	asked := maps.Clone(members)
	delete(asked, names[0])
	return append(p.Peers.AskFailsafe(ctx, asked, q), cluster.FailsafeAnswer{Name: names[0], Accepted: true})
}

// deaf takes every answer for a yes, and silence too.
type deaf struct{ agent.Peers }

func (p *deaf) AskFailsafe(ctx context.Context, members map[string]string, q cluster.FailsafeQuestion) []cluster.FailsafeAnswer {
	answers := p.Peers.AskFailsafe(ctx, members, q)
	for i := range answers {
		answers[i].Accepted, answers[i].Refused = true, false
	}
	return answers
}
