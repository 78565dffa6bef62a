package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// published is what was last told to the world, and when.
type published struct {
	heartbeat clock.Instant
	member    cluster.Member
	memberAt  clock.Instant
	statusAt  clock.Instant
	retained  map[string]clock.Instant // slot name -> when its member was last seen
	reign     int64                    // the creation of the leader key under which retained was begun
}

// publish tells the world what this turn has found: the member key, /status if we lead, and the snapshot
// that the REST API answers from.
func (a *Agent) publish(ctx context.Context, o ha.Observation, d ha.Decision) {
	m := a.member(o)
	a.takeSnapshot(o, d, m)
	if o.Store.View == nil || a.storeFails() || a.o.Store.Lease().ID == 0 {
		return
	}
	a.warnOfConflicts(o)
	a.putMember(ctx, o, m)
	if a.storeFails() {
		return // a second write would spend another retry_timeout, in which nobody looks at the lock
	}
	leads := o.Server.IsPrimary() || a.standbyLeader(o) && o.Server.Answered
	if a.holds(o) && o.Now.Before(o.Store.LockProven) && o.Job == nil && leads {
		a.putStatus(ctx, o)
	}
}

// storeFails reports whether etcd was found not to answer, which may be since the observation.
func (a *Agent) storeFails() bool {
	_, health := a.o.Store.Latest()
	return a.failingSince(health, a.o.Clock.Now()) != 0
}

// putMember writes the member key when something that others act on has changed, at once; when only
// positions have moved, once per loop_wait. Otherwise two busy nodes would wake each other for ever.
func (a *Agent) putMember(ctx context.Context, o ha.Observation, m cluster.Member) {
	p := &a.published
	present, _ := o.Store.View.Member(a.o.Name)
	gone := present.Name == "" || present.Lease != a.o.Store.Lease().ID
	if !gone && same(m, p.member) {
		return
	}
	if !gone && same(m.WithoutPositions(), p.member.WithoutPositions()) && !a.due(o, p.memberAt) {
		return
	}
	if err := a.o.Store.PutMember(ctx, m); err != nil {
		a.failed("could not write the member key", err)
		return
	}
	p.member, p.memberAt = m, o.Now
}

// due reports whether a loop_wait is over, less a tenth, so that a timer that fires a little early counts.
func (a *Agent) due(o ha.Observation, last clock.Instant) bool {
	return o.Now.Sub(last) >= a.settings.LoopWait*9/10
}

// member is what this node publishes about itself.
func (a *Agent) member(o ha.Observation) cluster.Member {
	s := &o.Server
	m := cluster.Member{
		Name: a.o.Name, ConnURL: a.o.ConnURL, APIURL: a.o.APIURL, ProxyURL: a.o.ProxyURL,
		State: a.state(s), Role: a.role(o), Version: cluster.PatroniVersion, HathiVersion: a.o.Version,
		Progress: s.Progress.String(),
		Tags:     a.tags(), Pause: a.settings.Pause,
		CheckpointPending:    a.memory.CheckpointPending && a.holds(o),
		PendingRestart:       len(s.PendingRestart) > 0,
		PendingRestartReason: s.PendingRestart,
		ScheduledRestart:     a.scheduledRestart(),
	}
	if s.Answered {
		m.XLogLocation, m.Timeline, m.Fork, m.ReplicationState = s.Position(), s.Timeline, s.Fork(), s.ReplicationState()
		if s.InRecovery {
			m.ReplayLSN, m.ReceiveLSN = s.ReplayLSN, s.ReceiveLSN
		}
	}
	return m
}

// tags are those of the configuration; a synchronous standby that wants to be let go adds that it must not be
// one. Source: Patroni 4.1, keyspace.md 4.2.
func (a *Agent) tags() cluster.Tags {
	if a.memory.Sync.LeavingSince == 0 {
		return a.o.Tags
	}
	leaving := cluster.Tags{"nosync": true, "sync_priority": 0}
	for name, value := range a.o.Tags {
		if name != "nosync" && name != "sync_priority" {
			leaving[name] = value
		}
	}
	return leaving
}

// state is the state that users see: the server's, unless a job knows better.
func (a *Agent) state(s *cluster.Server) cluster.State {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.job != nil {
		switch a.job.Kind {
		case ha.JobRestart, ha.JobCopySlots:
			return cluster.StateRestarting
		case ha.JobDemote, ha.JobStop:
			if s.Process != cluster.ProcessNone {
				return cluster.StateStopping
			}
		case ha.JobClone:
			return cluster.StateCreatingReplica
		}
	}
	if a.settings.Pause && s.Process == cluster.ProcessNone && s.State == cluster.StateCrashed {
		return cluster.StateStopped // somebody may have stopped it on purpose. Source: ha.md 7.1
	}
	return s.State
}

// role is what the node says of itself. Source: Patroni 4.1, member key.
func (a *Agent) role(o ha.Observation) cluster.Role {
	s := &o.Server
	a.mu.Lock()
	promoting := a.job != nil && a.job.Kind == ha.JobPromote
	a.mu.Unlock()
	switch {
	case s.Data == cluster.DataEmpty || s.Data == cluster.DataForeign:
		return cluster.RoleUninitialized
	case s.Answered && !s.InRecovery:
		return cluster.RolePrimary
	case promoting:
		return cluster.RolePromoted
	case a.standbyLeader(o) && (s.Answered || s.StandbySignal):
		return cluster.RoleStandbyLeader
	case s.Answered, s.StandbySignal:
		return cluster.RoleReplica
	case s.Process == cluster.ProcessNone && !a.holds(o):
		return cluster.RoleDemoted
	case a.memory.WasPrimary || a.holds(o):
		return cluster.RolePrimary
	}
	return cluster.RoleReplica
}

// standbyLeader reports whether this member leads a standby cluster.
func (a *Agent) standbyLeader(o ha.Observation) bool {
	return a.settings.StandbyCluster != nil && a.holds(o)
}

// putStatus publishes the leader's position and the positions of its slots, once per loop_wait: replicas
// judge their lag by it, and every change wakes them.
func (a *Agent) putStatus(ctx context.Context, o ha.Observation) {
	fresh := a.published.statusAt == 0
	if !fresh && !a.due(o, a.published.statusAt) || !historyPublished(o) && !a.standbyLeader(o) {
		return
	}
	s := &o.Server
	status := cluster.Status{Present: true, Optime: s.Position(), Slots: a.slotPositions(o)}
	status.RetainSlots = a.retain(o)
	if _, err := a.o.Store.PutStatus(ctx, status); err != nil {
		a.failed("could not write the status key", err)
		return
	}
	a.published.statusAt = o.Now
}

// historyPublished reports whether /history tells of the server's timeline. A position on a timeline of which
// others know nothing could not be compared with theirs.
func historyPublished(o ha.Observation) bool {
	known, own := o.Store.View.History, o.Server.Timeline.Lines(o.Server.History)
	if len(own) == 0 || len(known.Entries) == 0 {
		return known.Present && len(own) == len(known.Entries)
	}
	a, b := own[len(own)-1], known.Entries[len(known.Entries)-1]
	return a.Timeline == b.Timeline && a.LSN == b.LSN
}

// retain gives the slots of members, present ones and those that were seen within member_slots_ttl. The
// clock of a name from /status starts when this member begins to lead: another leader may have seen its member since this one
// led before. Source: keyspace.md 4.5.
func (a *Agent) retain(o ha.Observation) []string {
	if a.settings.MemberSlotsTTL <= 0 {
		return nil
	}
	if reign := o.Store.View.Leader.Created; a.published.retained == nil || a.published.reign != reign {
		a.published.retained, a.published.reign = map[string]clock.Instant{}, reign
		for _, name := range o.Store.View.Status.RetainSlots {
			a.published.retained[name] = o.Now
		}
	}
	for _, m := range o.Store.View.Members {
		if !m.Tags.NoStream() {
			a.published.retained[cluster.SlotName(m.Name)] = o.Now
		}
	}
	maps.DeleteFunc(a.published.retained, func(name string, seen clock.Instant) bool {
		if o.Now.Sub(seen) <= a.settings.MemberSlotsTTL {
			return false
		}
		a.o.Log.Info(fmt.Sprintf("Replication slot '%s' for absent cluster member is expired after %d sec.", name, int(a.settings.MemberSlotsTTL.Seconds())))
		return true
	})
	return slices.Sorted(maps.Keys(a.published.retained))
}

// takeSnapshot gives the API a new picture and tells everybody who waits for one.
func (a *Agent) takeSnapshot(o ha.Observation, d ha.Decision, m cluster.Member) {
	_, health := a.o.Store.Latest()
	s := &api.Snapshot{
		Scope: a.o.Scope, Name: a.o.Name, Tags: m.Tags, Taken: o.Now, Server: o.Server,
		State: m.State, Role: m.Role, Settings: a.settings, View: o.Store.View,
		DCSLastSeen: health.LastSeen, NextRun: o.Now.Add(a.settings.LoopWait),
		ScheduledRestart: m.ScheduledRestart, Line: d.Line(a.settings.Pause), WatchdogFailed: o.Self.WatchdogFailed,
		Observation: &o, Decision: d,
		FailsafeUntil: a.failsafeUntil(o), Guard: a.guardState(),
	}
	o.Peers = nil // the map is the loop's own
	// After an action the view may be newer than the one the decision was made from.
	if view, _ := a.o.Store.Latest(); view != nil {
		s.View = view
	}
	s.ViewConfirmed = o.Now
	if since := a.failingSince(health, o.Now); since != 0 {
		s.ViewConfirmed = since
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	s.LockUntil = a.proof.until
	if a.job != nil {
		s.Job = a.job.String()
	}
	a.snapshot = s
	close(a.updated)
	a.updated = make(chan struct{})
}
