package sim

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// Mistakes about what users ask for, about counting, and about when to leave well alone.

var moreMutants = []mutant{
	{"a member with nofailover races", "must not lead", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Self.Tags = maps.Clone(obs.Self.Tags)
			delete(obs.Self.Tags, "nofailover")
		}, nil)
	}, cluster.SyncOff},
	{"WAL on a branch that the cluster has left counts", "behind the published position", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && !v.Locked() {
				other := *v
				other.History = cluster.History{}
				obs.Store.View = &other
			}
		}, nil)
	}, cluster.SyncOff},
	{"the life of a lease is taken for twice as long", tooLate, func(o *agent.Options) {
		o.Store = &longLease{o.Store}
	}, cluster.SyncOff},
	{"a replica that lags is promoted instead of waiting", twoPrimaries, func(o *agent.Options) {
		o.Guard = noGuard{} // the real one refuses
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if len(d.Reasons) > 0 && d.Reasons[0].Rule == "race-lag" {
				d.Action = ha.Promote{}
			}
		})
	}, cluster.SyncOff},
	{"the leader hands over to a better member at rest", noCause, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if len(d.Reasons) > 0 && d.Reasons[0].Rule == "leader" && len(obs.Server.Senders) > 1 {
				d.Action = ha.Demote{Mode: ha.DemoteImmediate}
			}
		})
	}, cluster.SyncOff},
	{"the quorum in /sync is one too small", lost, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.WriteSync); ok && x.State.Quorum > 0 {
				x.State.Quorum--
				d.Action = x
			}
		})
	}, cluster.SyncQuorum},
	{"commits wait for one standby less", lost, func(o *agent.Options) {
		o.Postgres = fewer{o.Postgres}
	}, cluster.SyncQuorum},
	{"one vote less is enough", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && !v.Locked() && v.Sync.Quorum > 0 {
				other := *v
				other.Sync.Quorum--
				obs.Store.View = &other
			}
		}, nil)
	}, cluster.SyncQuorum},
	{"who is behind still takes over", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				p.Position = min(p.Position, obs.Server.Position())
				obs.Peers[name] = p
			}
		}, nil)
	}, cluster.SyncQuorum},
	{"the names are taken away when a standby is lost", lost, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.WriteSync); ok && !obs.Server.InRecovery && slices.Contains(obs.Store.View.Sync.Standbys, "node2") && !slices.Contains(x.State.Standbys, "node2") {
				d.Action = ha.ReleaseSyncNames{}
			}
		})
	}, cluster.SyncOn},
}

// longLease counts the life of a lease twice.
type longLease struct{ dcs.Store }

func (s *longLease) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	l, holds, err := s.Store.Renew(ctx, ttl, lead)
	if err == nil {
		l.Expires = l.Expires.Add(ttl)
	}
	return l, holds, err
}

// fewer sets names that wait for one standby less than was decided.
type fewer struct{ agent.Postgres }

func (p fewer) SetSynchronousNames(ctx context.Context, names *string) error {
	if names != nil {
		if n, ok := quorum.Parse(*names); ok && n.Required > 1 {
			n.Required--
			text := n.Text()
			names = &text
		}
	}
	return p.Postgres.SetSynchronousNames(ctx, names)
}

// noGuard says yes and does nothing.
type noGuard struct{}

// Arm implements agent.Guard.
func (noGuard) Arm(context.Context, func() agent.Charge) error { return nil }

// Extend implements agent.Guard.
func (noGuard) Extend(func() clock.Instant) {}

// Disarm implements agent.Guard.
func (noGuard) Disarm(context.Context) error { return nil }

// mixedMutants are found in clusters in which every second member runs the model of Patroni.
var mixedMutants = []mutant{
	{"a replica that has not replayed all that it has shows its position", lost, func(o *agent.Options) {
		o.Postgres = replayed{o.Postgres}
	}, cluster.SyncQuorum},
}

// replayed never says that it has more WAL than it shows.
type replayed struct{ agent.Postgres }

func (p replayed) Observe(ctx context.Context) cluster.Server {
	s := p.Postgres.Observe(ctx)
	s.Replaying = false
	return s
}
