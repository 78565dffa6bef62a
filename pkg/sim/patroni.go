package sim

import (
	"context"
	"maps"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mixed clusters: every second member decides as Patroni 4.1 is documented to do where hathi differs on purpose, and
// as hathi elsewhere. It is a model of decisions: it was written from docs/differences-from-patroni.md, and knows
// nothing of Patroni's code, its pauses and its threads. Nothing fences such a member but its own loop, so no process of
// its agent is killed or frozen: in that Patroni promises nothing without a watchdog.

// patroni makes a member one of those.
func patroni(o *agent.Options) {
	o.Guard = noGuard{}
	rules := o.Decide
	o.Decide = func(obs ha.Observation) ha.Decision {
		unlocked := obs.Store.View != nil && !obs.Store.View.Locked()
		if unlocked && obs.Store.View.Failover.Leader != "" {
			// Who was asked to go is not asked whether it has gone.
			obs.Peers = maps.Clone(obs.Peers)
			if obs.Peers == nil {
				obs.Peers = map[string]ha.Peer{}
			}
			obs.Peers[obs.Store.View.Failover.Leader] = ha.Peer{Asked: obs.Now, SyncRevision: obs.Store.View.Sync.Revision}
		}
		d := rules(obs)
		switch d.Reasons[0].Rule {
		case "down-wait-leader": // a stopped server starts at once
			d.Action = ha.StartReplica{}
		case "race-lag", "race-behind", "race-priority": // replicas let go of their upstream while nobody leads
			if obs.Server.Answered && obs.Server.InRecovery && obs.Server.PrimaryConninfo.Host != "" {
				d.Action = ha.Follow{}
			}
		}
		return d
	}
}

// noGuard says yes and does nothing: Patroni has no guard.
type noGuard struct{}

// Arm implements agent.Guard.
func (noGuard) Arm(context.Context, func() agent.Charge) error { return nil }

// Extend implements agent.Guard.
func (noGuard) Extend(func() clock.Instant) {}

// Disarm implements agent.Guard.
func (noGuard) Disarm(context.Context) error { return nil }
