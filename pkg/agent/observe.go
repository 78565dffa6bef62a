package agent

import (
	"context"
	"strings"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// observe gathers everything the decision is made from.
func (a *Agent) observe(ctx context.Context) ha.Observation {
	view, health := a.o.Store.Latest()
	if view != nil {
		a.adopt(ctx, view)
	}
	server := a.o.Postgres.Observe(ctx)
	now := a.o.Clock.Now()

	if view != nil && view.Leader.Name != a.o.Name && !a.founds(view, server) {
		a.setProof(proof{}) // own writes are in the view at once, so this is never older than our own key
	}
	_, failed := a.watchdog(a.settings)
	lease := a.o.Store.Lease()
	failing := a.failingSince(health, now)
	a.mu.Lock()
	o := ha.Observation{
		Now: now, Wall: a.o.Clock.Wall(),
		Self:     ha.Self{Name: a.o.Name, Tags: a.o.Tags, CanBootstrap: a.o.CanBootstrap, WatchdogFailed: failed},
		Settings: a.settings,
		Store: ha.Store{
			View: view, FailingSince: failing, Refuses: failing != 0 && health.FailingSince == 0 && a.renewals.refused != 0,
			Lease: lease.ID, LeaseExpires: lease.Expires, LockProven: a.proof.until, LockLife: a.proof.life,
		},
		Server: server, Peers: a.peers, Stopping: a.stopping,
	}
	if view == nil {
		o.Store.LockProven, o.Store.LockLife = a.counted, a.o.FencedFor
	}
	if a.job != nil {
		j := a.job.Job
		o.Job = &j
	}
	a.mu.Unlock()
	a.remember(&o)
	a.dueRestart(o)
	a.lapsedRestart(o)
	o.Memory = a.memory
	return o
}

// remember updates what is kept between turns from what was just seen.
func (a *Agent) remember(o *ha.Observation) {
	m, s := &a.memory, o.Server
	switch {
	case s.Answered:
		m.WasPrimary = !s.InRecovery
	case a.first && s.Process != cluster.ProcessNone:
		m.WasPrimary = !s.StandbySignal
	}
	if a.first {
		m.Adopted = s.Process != cluster.ProcessNone
	}
	if s.Answered && o.Job == nil {
		m.StartFailures, m.CrashRecoveryTried, m.HandedOver, m.DemotedCluster = 0, false, false, false
		if m.Rewind != ha.RewindNeeded && m.Rewind != ha.RewindFailed {
			m.CloneFailures = 0 // else it runs only because the copy that is to replace it can't be had
		}
		if m.Rewind == ha.RewindDone {
			m.Rewind = ha.RewindUnknown
		}
	}
	o.Memory = *m
	m.Sync.Note(o)
	m.Copy.Note(o)
	a.noteFailsafe(o)
	since(&m.StartingSince, o, !s.Answered && s.State == cluster.StateStarting)
	since(&m.FrozenSince, o, s.Process == cluster.ProcessFrozen)
	if v := o.Store.View; v != nil {
		if v.Initialize.Revision != m.InitializeRevision {
			m.InitializeEmptySince, m.InitializeRevision = 0, v.Initialize.Revision // another member has begun since
		}
		since(&m.InitializeEmptySince, o, v.Initialize.Present && v.Initialize.Value == "")
		since(&m.UnlockedSince, o, !v.Locked())
		mine := v.Leader.Name == a.o.Name
		m.LockWon = m.LockWon && mine
		since(&m.NamedSince, o, mine && !m.LockWon)
		since(&m.PromotingSince, o, s.Promoting && v.Leader.Name == a.o.Name && s.Answered && s.InRecovery)
		if r := v.Failover; !r.Pending() || r.Revision != m.RequestRevision {
			m.RequestSince, m.RequestRevision = o.Now, r.Revision
		}
		if v.Locked() {
			m.FormerLeader = v.Leader.Name
		}
		if v.Initialize.SystemID() != "" && v.Initialize.SystemID() == s.SystemID {
			m.Joined = true
		}
	}
	for name, p := range a.peers {
		if o.Now.Sub(p.Asked) > 10*a.settings.LoopWait {
			delete(a.peers, name)
		}
	}
}

// since notes when a condition began; zero while it does not hold.
func since(at *clock.Instant, o *ha.Observation, holds bool) {
	switch {
	case !holds:
		*at = 0
	case *at == 0:
		*at = o.Now
	}
}

// askPeers asks members for their state and refreshes the view, so that what is decided next is decided on
// what is true now.
func (a *Agent) askPeers(ctx context.Context, view *cluster.View, names []string) {
	var members []cluster.Member
	for _, n := range names {
		if m, ok := view.Member(n); ok {
			members = append(members, m)
		}
	}
	asked := a.o.Clock.Now()
	answers := a.o.Peers.Ask(ctx, members)
	peers := make(map[string]ha.Peer, len(a.peers)+len(answers))
	for n, p := range a.peers {
		peers[n] = p
	}
	for _, s := range answers {
		peers[s.Name] = ha.Peer{PeerStatus: s, Asked: asked, SyncRevision: view.Sync.Revision}
		if s.Reachable {
			a.o.Log.Info("Got response from " + s.Name + ": " + describe(s))
		} else {
			a.o.Log.Warn("Request failed to "+s.Name, "error", s.Error)
		}
	}
	// Observations hold the old map; they are values and must not change behind a decision.
	a.peers = peers
	a.refresh(ctx)
}

// refresh brings the view up to date.
func (a *Agent) refresh(ctx context.Context) {
	_, err := a.o.Store.Refresh(ctx)
	a.failed("could not read the cluster from etcd", err)
}

func describe(s cluster.PeerStatus) string {
	role := "primary"
	if s.InRecovery {
		role = "replica"
	}
	return strings.Join([]string{role, "at", s.Position.String()}, " ")
}
