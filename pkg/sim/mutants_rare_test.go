package sim

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// TestRareMutants plants mistakes that only rare runs can show.
func TestRareMutants(t *testing.T) {
	planted := slices.Concat(rareMutants, copyMutants)
	if testing.Short() {
		planted = planted[:1]
	}
	for _, m := range planted {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.find(t, Options{Plant: m.plant, Modes: []cluster.SynchronousMode{m.mode}, Rare: []string{m.rare}})
		})
	}
}

// rareMutant is a mistake and the hardship that shows it.
type rareMutant struct {
	mutant
	rare string
}

var rareMutants = []rareMutant{
	{mutant{"a member with the data of another cluster joins", "does not leave the data of another cluster alone", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Server.SystemID = systemID }, nil)
	}, cluster.SyncOff}, foreignData},
	{mutant{"a server runs unfenced while the cluster is founded", twoPrimaries, func(o *agent.Options) {
		o.Postgres = &unfenced{o.Postgres}
	}, cluster.SyncOff}, founderStruck},
	{mutant{"the initialize key of a member that founds the cluster is removed after a ttl", twoPrimaries, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			since := obs.Memory.InitializeEmptySince
			if rule(d) == "bootstrap-wait" && since != 0 && obs.Now.Sub(since) >= obs.Settings.TTL {
				d.Action = ha.AbandonInitialize{Revision: obs.Store.View.Initialize.Revision}
			}
		})
	}, cluster.SyncOff}, founderStruck},
	{mutant{"a primary whose lock is gone waits for etcd", twoPrimaries, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "store-lost-demote" && obs.Store.View != nil && obs.Store.LockProven == 0 && obs.Now.Sub(obs.Store.FailingSince) < obs.Settings.RetryTimeout {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff}, pauseFaults},
	{mutant{"the tag nostream is overlooked", "streams from somebody", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Self.Tags = nil }, nil)
	}, cluster.SyncOff}, noStream},
	{mutant{"who was asked to go is not asked whether it has gone", twoPrimaries, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v != nil && v.Failover.Pending() && !v.Locked() {
				obs.Peers = maps.Clone(obs.Peers)
				obs.Peers[v.Failover.Leader] = ha.Peer{Asked: obs.Now, SyncRevision: v.Sync.Revision}
			}
		}, nil)
	}, cluster.SyncOff}, slowNews},
	{mutant{"who is named by the leader key is promoted at once", twoPrimaries, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Memory.NamedSince = 0 }, nil)
	}, cluster.SyncOff}, nameWritten},
	{mutant{"a watchdog that is required is taken for a wish", "without the watchdog that it requires", func(o *agent.Options) {
		demand := o.Watchdog
		o.Watchdog = func(s cluster.Settings) (watchdog.Demand, bool) {
			d, _ := demand(s)
			d.Mode = watchdog.Automatic
			return d, true
		}
	}, cluster.SyncOff}, watchdogFails},
	{mutant{"any data are started while etcd is away", "does not leave the data of another cluster alone", func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "store-lost" && obs.Server.Process == cluster.ProcessNone && obs.Server.Data == cluster.DataPresent {
				d.Action = ha.StartReplica{}
			}
		})
	}, cluster.SyncOff}, foreignData},
	{mutant{"data that a rewind has left half changed is not replaced", notBack, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if rule(d) == "rewind-cut-reinitialize" {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff}, rewindCutOff},
	{mutant{"WAL on another timeline of the cluster's number counts", "behind the published position", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if v := obs.Store.View; v == nil || v.Locked() {
				return
			}
			obs.Server.History = nil
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				p.History = nil
				obs.Peers[name] = p
			}
		}, nil)
	}, cluster.SyncOff}, dataUnreadable},
	{mutant{"WAL on a timeline with a higher number than the cluster's counts", "behind the published position", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			v := obs.Store.View
			if v == nil || v.Locked() {
				return
			}
			if obs.Server.Timeline > v.History.Timeline() {
				obs.Server.History = nil
			}
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				if p.Timeline > v.History.Timeline() {
					p.History = nil
					obs.Peers[name] = p
				}
			}
		}, nil)
	}, cluster.SyncOff}, unheardHeir},
	{mutant{"the lock is given up as soon as the data can't be looked at", "gives the lock up while its server can write", func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if rule(d) == "leader" && obs.Server.Data != cluster.DataPresent {
				d.Action = ha.ReleaseLeader{}
			}
		})
	}, cluster.SyncOff}, dataUnreadable},
	{mutant{"a number that /history knows is given again", another, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.Promote); ok {
				d.Action = ha.Promote{}
			}
		})
	}, cluster.SyncOff}, controlUnreadable},
	{mutant{"a server that was told to become a primary is left alone without the lock", mayWrite, func(o *agent.Options) {
		o.Postgres = untold{o.Postgres}
	}, cluster.SyncOff}, promotionHangs},
	{mutant{"a primary takes the lock whatever /sync says", "begins to write, but /sync names", takesAnyway("race-sync-primary"), cluster.SyncOn}, startedBare},
	{mutant{"a primary takes the lock whatever /history says", "begins to write, but /sync names", takesAnyway("race-old-primary"), cluster.SyncOn}, startedOld},
}

// takesAnyway has a running primary take the lock where a rule forbids it.
func takesAnyway(name string) func(*agent.Options) {
	return func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if rule(d) == name {
				d.Action = ha.AcquireLeader{}
			}
		})
	}
}

// copyMutants are mistakes about copies that may lack what their member has acknowledged.
var copyMutants = []rareMutant{
	{mutant{"a copied standby leads as before", lacking, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			v := obs.Store.View
			obs.Server.Copied = obs.Server.Copied && v != nil && v.Sync.LedBy(obs.Self.Name)
		}, nil)
	}, cluster.SyncOn}, copiedBehind},
	{mutant{"the former leader's copy leads as before", lacking, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			v := obs.Store.View
			obs.Server.Copied = obs.Server.Copied && (v == nil || v.Locked() || !v.Sync.LedBy(obs.Self.Name))
		}, nil)
	}, cluster.SyncOn}, copiedBehind},
	{mutant{"the vote of a copied member counts", lacking, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Peers = maps.Clone(obs.Peers)
			for name, p := range obs.Peers {
				p.Copied = false
				obs.Peers[name] = p
			}
		}, nil)
	}, cluster.SyncQuorum}, copiedBehind},
	{mutant{"a copy is trusted as soon as somebody leads", lacking, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if rule(d) == "copied-ask" {
				d.Action = ha.TrustCopy{}
			}
		})
	}, cluster.SyncOn}, copiedBehind},
}

// lacking is what is found of who may lead and must not.
const lacking = "an acknowledged commit"

// untold never says that the server was told to become a primary.
type untold struct{ agent.Postgres }

func (p untold) Observe(ctx context.Context) cluster.Server {
	s := p.Postgres.Observe(ctx)
	s.Promoting = false
	return s
}

// unfenced starts the first server of a cluster without a guard.
type unfenced struct{ agent.Postgres }

func (p *unfenced) Bootstrap(ctx context.Context, _ agent.GuardServer) error {
	return p.Postgres.Bootstrap(ctx, nil)
}
