package sim

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// Mistakes in the rules of synchronous replication.

// lost is in what the checker says of a commit that could be lost.
const lost = "an acknowledged commit"

var syncMutants = []mutant{
	{"a candidate does not ask whether it is in /sync", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && !v.Locked() {
				obs.Settings.SynchronousMode = cluster.SyncOff
			}
		}, nil)
	}, cluster.SyncOn},
	{"a candidate does not count the quorum", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && !v.Locked() {
				other := *v
				other.Sync.Quorum = 0
				obs.Store.View = &other
			}
		}, nil)
	}, cluster.SyncQuorum},
	{"a member is promoted and then named in /sync", "begins to write, but /sync names", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; obs.Server.InRecovery && v != nil {
				other := *v
				other.Sync = cluster.SyncState{} // it takes nothing away
				obs.Store.View, obs.Settings.SynchronousMode = &other, cluster.SyncOff
			}
		}, nil)
	}, cluster.SyncOn},
	{"a standby is listed before it is named", lost, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.SetSyncNames); ok && !obs.Server.InRecovery {
				if names, _ := quorum.Parse(x.Names); !names.Has(quorum.Nobody) {
					key := obs.Store.View.Sync
					state := cluster.SyncState{Leader: obs.Self.Name, Standbys: names.Standbys, Quorum: len(names.Standbys) - names.Required}
					if !slices.Equal(key.Standbys, state.Standbys) {
						d.Action = ha.WriteSync{State: state, Revision: key.Revision}
					}
				}
			}
		})
	}, cluster.SyncOn},
	{"a standby that has gone leaves the names before the key", lost, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			names, _ := quorum.Parse(obs.Server.SynchronousNames)
			if x, ok := d.Action.(ha.WriteSync); ok && !obs.Server.InRecovery && len(x.State.Standbys) < len(names.Standbys) {
				names := quorum.Names{Required: len(x.State.Standbys), Standbys: x.State.Standbys}
				d.Action = ha.SetSyncNames{Names: names.Text()}
			}
		})
	}, cluster.SyncOn},
	{"a standby is listed as soon as it is named", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Memory.Sync.Mark = 1 }, nil)
	}, cluster.SyncOn},
	{"nobody waits for the checkpointer", lost, func(o *agent.Options) { o.Postgres = &hasty{o.Postgres} }, cluster.SyncOn},
	{"a server that crashed starts without its names", lost, func(o *agent.Options) { o.Postgres = &forgetful{o.Postgres} }, cluster.SyncOn},
	{"the positions in the member keys are taken for answers", lost, func(o *agent.Options) {
		o.Peers = published{o.Peers}
	}, cluster.SyncQuorum},
	{"a replica that has not replayed all that it has gives its vote", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				p.Replaying = false
				obs.Peers[name] = p
			}
		}, nil)
	}, cluster.SyncQuorum},
	{"positions on different timelines are compared", lost, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				p.Timeline = obs.Server.Timeline
				obs.Peers[name] = p
			}
		}, nil)
	}, cluster.SyncQuorum},
	{"a replica is promoted without waiting for anybody in strict mode", "in strict mode that nobody else has", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if obs.Server.InRecovery {
				obs.Settings.SynchronousModeStrict = false
			}
		}, nil)
	}, cluster.SyncOn},
}

// hasty says that the checkpointer is idle whenever it is asked.
type hasty struct{ agent.Postgres }

func (p *hasty) Observe(ctx context.Context) cluster.Server {
	s := p.Postgres.Observe(ctx)
	s.CheckpointerIdle = true
	return s
}

// forgetful writes the configuration of a primary anew before each start.
type forgetful struct{ agent.Postgres }

func (p *forgetful) StartPrimary(ctx context.Context, timeout time.Duration, guard agent.GuardServer) error {
	none := ""
	if err := p.SetSynchronousNames(ctx, &none); err != nil {
		return err
	}
	return p.Postgres.StartPrimary(ctx, timeout, guard)
}

// published gives the positions that members have published, which is once per loop_wait.
type published struct{ agent.Peers }

func (p published) Ask(ctx context.Context, members []cluster.Member) []cluster.PeerStatus {
	answers := p.Peers.Ask(ctx, members)
	for i := range answers {
		answers[i].Position = members[i].XLogLocation
	}
	return answers
}
