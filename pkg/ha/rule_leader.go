package ha

import (
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleLeader: the leader key is proven to be ours and the server answers.
// Source: Patroni 4.1, ha.py, process_healthy_cluster and enforce_primary_role.
func ruleLeader(o *Observation) *Decision {
	for _, rule := range []func(*Observation) *Decision{
		leaderWatchdog, leaderPromote, leaderHistory, leaderFailsafe, leaderSync, leaderRequest, leaderKeys, leaderCheckpoint, ruleRestart, ruleSlots,
	} {
		if d := rule(o); d != nil {
			return d
		}
	}
	return atRest(o)
}

// atRest: a leader with nothing to do.
func atRest(o *Observation) *Decision {
	d := wait("leader", "no action. I am (%s), the leader with the lock", o.Self.Name).until(syncWake(o))
	switch req := o.Store.View.Failover; {
	case !req.Pending() || req.ScheduledAt.IsZero():
	case o.paused():
		d.because("request-awaited", "%s at %s: not while the cluster is paused", req.Action(), cluster.FormatISO(req.ScheduledAt))
	default:
		d.because("request-awaited", "Awaiting %s at %s (in %.0f seconds)", req.Action(), cluster.FormatISO(req.ScheduledAt), req.ScheduledAt.Sub(o.Wall).Seconds())
	}
	return d
}

// leaderWatchdog: without the watchdog that is required nobody leads.
// Source: Patroni 4.1, ha.py, enforce_primary_role.
func leaderWatchdog(o *Observation) *Decision {
	switch {
	case !o.Self.WatchdogFailed || o.paused():
		return nil
	case o.Server.InRecovery:
		return act(ReleaseLeader{}, "leader-watchdog", "Not promoting self because watchdog could not be activated")
	}
	return act(Demote{Mode: DemoteImmediate}, "leader-watchdog", "Demoting self because watchdog could not be activated")
}

// leaderPromote: who holds the lock becomes primary; in pause only if it was named.
func leaderPromote(o *Observation) *Decision {
	if !o.Server.InRecovery {
		return nil
	}
	if o.paused() && o.Store.View.Failover.Candidate != o.Self.Name && !o.Server.Promoting {
		return act(ReleaseLeader{}, "leader-paused-release", "removed leader lock because postgres is not running as primary")
	}
	if _, refused := promotionRefused(o); refused {
		return act(ReleaseLeader{}, "leader-pre-promote", "Promotion cancelled because the pre-promote script failed").
			also("Releasing the leader key voluntarily because the pre-promote script failed")
	}
	if d := namedByOthers(o); d != nil {
		return d
	}
	if d := proveForMore(o); d != nil {
		return d
	}
	if !o.Server.Promoting { // else /sync and the names go together, and it may be a primary before both have changed
		if d := syncBeforePromotion(o); d != nil {
			return d
		}
	}
	if d := promotionStuck(o); d != nil {
		return d
	}
	lines, end := unheard(o)
	if !end {
		return wait("leader-replay", "waiting for the end of the WAL before promotion, as a timeline may have begun there").until(o.Now.Add(namesSettle / 5))
	}
	return act(Promote{Unheard: lines}, "leader-promote", "promoted self to leader because I had the session lock")
}

// namedByOthers: the key names this member, which has not taken it. The primary that it named before may not have heard of
// that. Whoever answers is believed. One that does not has lost the lock at the latest when a TTL is over: it can't
// renew its proof of a key that has our name. Patroni promotes at once.
func namedByOthers(o *Observation) *Decision {
	since := o.Memory.NamedSince
	if since == 0 || o.Server.Promoting {
		return nil
	}
	answers, question := ask(o, withAPI(raceSet(o)), "leader-ask", "asking the other members whether a primary is still alive")
	if question != nil {
		return question
	}
	fenced := since.Add(o.Settings.TTL)
	for _, p := range answers {
		switch {
		case livesAsPrimary(p):
			return wait("leader-primary-alive", "waiting for the end of the primary before promotion").
				because("leader-primary-alive", "Primary (%s) is still alive", p.Name).until(o.Now.Add(raceRetry))
		case !p.Reachable && !p.Stopped && o.Now.Before(fenced):
			return wait("leader-primary-unknown", "waiting until no primary can have the lock any more").
				because("leader-primary-unknown", "%s does not answer, and the leader key was not taken by %s", p.Name, o.Self.Name).
				until(min(fenced, o.Now.Add(raceRetry)))
		}
	}
	return nil
}

// unheard gives what /history tells of timelines that left this server's exactly where it ends. A promotion here would
// begin another of that number at that very place: nobody could tell the two apart, and a replica on the one would
// stream from the other. Timelines that began elsewhere can be told apart.
//
// Where this server ends is known when it has replayed all that it has. A restore_command may hang, and is not waited for.
func unheard(o *Observation) (lines []cluster.HistoryEntry, end bool) {
	s, known := &o.Server, o.Store.View.History
	at, ancestor := known.Began(s.Timeline)
	i := slices.IndexFunc(known.Entries, func(e cluster.HistoryEntry) bool { return e.Timeline == s.Timeline })
	short := i == 0 && s.Timeline > 1 // max_timelines_history: where this server's own timeline began is not told any more
	switch {
	case i < 0, !short && (ancestor != (s.Timeline > 1) || at.LSN != s.Fork()), known.Entries[i].LSN < s.ReplayLSN:
		return nil, true
	case known.Entries[i].LSN == s.ReplayLSN && !s.Replaying:
		return known.Entries[i:], true
	}
	return nil, s.ReplayPaused || s.RestoreCommand != "" || !s.Replaying && known.Entries[i].LSN > s.ReceiveLSN
}

// promotionStuck: a server that was told to become a primary does not end its recovery, say because a restore_command
// hangs. After primary_start_timeout it gives way to a member that has replayed all that this one has: that one's
// promotion takes no time, and nobody who could lead is held back by what only this one has. Patroni holds the lock and
// waits for ever.
func promotionStuck(o *Observation) *Decision {
	since := o.Memory.PromotingSince
	if since == 0 || o.paused() || o.Now.Sub(since) < o.Settings.PrimaryStartTimeout {
		return nil
	}
	names, question := successors(o, "", false)
	if question != nil {
		return question
	}
	for _, name := range names {
		if m, ok := o.Store.View.Member(name); ok && m.Timeline == o.Server.Timeline && m.ReplayLSN >= o.Server.Position() {
			if req := o.Store.View.Failover; req.Candidate == o.Self.Name { // others would wait for it to be followed
				return act(ClearFailover{Revision: req.Revision}, "promote-timeout-request",
					"%s: the promotion of %s does not end", req.Action(), o.Self.Name)
			}
			return act(Demote{Mode: DemoteImmediate}, "promote-timeout", "stopped PostgreSQL because its promotion does not end").
				because("promote-timeout", "%s has replayed all that this server has", name)
		}
	}
	return nil
}

// promotionRefused tells until when this member stays out of the race because the user's pre_promote has said no or
// its promotion did not end: a TTL, in which somebody else may take over. Source: Patroni 4.1, ha.py, enforce_primary_role.
func promotionRefused(o *Observation) (until clock.Instant, refused bool) {
	if o.Memory.PromotionRefusedAt == 0 {
		return 0, false
	}
	until = o.Memory.PromotionRefusedAt.Add(o.Settings.TTL)
	return until, o.Now.Before(until)
}

// leaderRequest: somebody asked for another leader.
// Source: Patroni 4.1, ha.py, process_manual_failover_from_leader.
func leaderRequest(o *Observation) *Decision {
	req := o.Store.View.Failover
	if !req.Pending() {
		return nil
	}
	drop := func(rule, format string, args ...any) *Decision {
		return act(ClearFailover{Revision: req.Revision}, rule, format, args...)
	}
	if req.Revision < o.Store.View.Leader.Created {
		return drop("request-done", "Cleaning up failover key after acquiring leader lock...") // it is about the reign before
	}
	if !req.ScheduledAt.IsZero() {
		if d, due := scheduled(o, req); !due {
			return d
		}
	}
	switch {
	case req.Leader != "" && req.Leader != o.Self.Name:
		return drop("request-other-leader", "%s: leader name does not match: %s != %s", req.Action(), req.Leader, o.Self.Name)
	case calledOff(o):
		return drop("request-called-off", "%s: called off, no candidate has received everything", req.Action())
	case req.Candidate == o.Self.Name:
		return drop("request-is-leader", "%s: I am already the leader, no need to %s", req.Action(), req.Action())
	}
	if o.paused() && req.Candidate == "" {
		return drop("request-paused", "%s is possible only to a specific candidate in a paused state", req.Action())
	}
	names, first := heirs(o, req)
	if first != nil {
		return first
	}
	if !anyStreams(o, names) {
		// Stopping now would leave them behind, and the change would be called off. A replica that has lost its
		// connection is back within seconds; its member key or the next turn tells.
		if at := o.Memory.RequestSince.Add(o.Settings.LoopWait); o.Now.Before(at) {
			return wait("request-wait-streaming", "%s: waiting for a candidate to stream", req.Action()).until(min(at, o.Now.Add(100*time.Millisecond)))
		}
		return drop("request-nobody-streams", "%s: no candidate streams from this member, %s is not possible", req.Action(), req.Action())
	}
	if d := failsafeBound(o); d != nil {
		return d
	}
	d := act(Demote{Mode: DemoteGraceful}, "request-demote", "%s: demoting myself", req.Action())
	if !req.ScheduledAt.IsZero() {
		d.also("Manual scheduled %s at %s", req.Action(), cluster.FormatISO(req.ScheduledAt))
	}
	return d
}

// heirs gives who can take over as a request asks, or what to do first: ask them, or turn down what nobody can follow.
func heirs(o *Observation, req cluster.FailoverRequest) (names []string, first *Decision) {
	names, question := successors(o, req.Candidate, false)
	if question != nil || len(names) > 0 {
		return names, question
	}
	return nil, act(ClearFailover{Revision: req.Revision}, "request-nobody", "%s: no healthy members found, %s is not possible", req.Action(), req.Action()).
		turnedDown(o, "request-nobody", req.Candidate)
}

// anyStreams reports whether one of the members streams from this server, or may do so from another replica.
func anyStreams(o *Observation, names []string) bool {
	for _, name := range names {
		if m, ok := o.Store.View.Member(name); ok && m.Tags.ReplicateFrom() != "" {
			return true
		}
		for _, s := range o.Server.Senders {
			if strings.EqualFold(s.ApplicationName, name) && s.State == "streaming" {
				return true
			}
		}
	}
	return false
}

// scheduled judges a request for a certain time: not yet, no more, or due now. In pause it stays as it is.
// Source: Patroni 4.1, ha.py, should_run_scheduled_action.
func scheduled(o *Observation, req cluster.FailoverRequest) (*Decision, bool) {
	left := req.ScheduledAt.Sub(o.Wall)
	switch {
	case o.paused():
		return nil, false
	case left > 0:
		// Nothing else has to wait for it: the other rules go on, and this moment wakes the loop.
		d, at := leaderRest(o), o.Now.Add(min(left, o.Settings.LoopWait))
		if d.WakeAt != 0 {
			at = min(at, d.WakeAt)
		}
		return d.until(at), false
	case stale(o, req.ScheduledAt):
		return act(ClearFailover{Revision: req.Revision}, "request-stale",
			"Found a stale %s value, cleaning up: %s", req.Action(), cluster.FormatISO(req.ScheduledAt)), false
	}
	return nil, true
}

// leaderRest are the rules after the request, while the request waits for its time.
func leaderRest(o *Observation) *Decision {
	for _, rule := range []func(*Observation) *Decision{leaderKeys, leaderHistory, leaderCheckpoint, ruleRestart, ruleSlots} {
		if d := rule(o); d != nil {
			return d
		}
	}
	return atRest(o)
}

// leaderKeys restores what the cluster can't do without.
func leaderKeys(o *Observation) *Decision {
	v := o.Store.View
	if v.Initialize.SystemID() == "" && o.Server.SystemID != "" {
		return act(WriteInitialize{SystemID: o.Server.SystemID, Revision: v.Initialize.Revision}, "leader-initialize", "writing system identifier of the cluster")
	}
	if !v.Config.Present {
		return act(WriteConfig{Revision: v.Config.Revision}, "leader-config", "writing the configuration of the cluster")
	}
	return nil
}

// leaderCheckpoint: pg_rewind on other members reads the control file of the leader, which names the new
// timeline only after a checkpoint. Source: Patroni 4.1, postgresql/rewind.py, ensure_checkpoint_after_promote.
func leaderCheckpoint(o *Observation) *Decision {
	m := o.Memory
	if !m.CheckpointPending || m.CheckpointRunning || o.Server.InRecovery || o.Now.Before(m.RewindRetryAt) {
		return nil
	}
	return act(Checkpoint{}, "leader-checkpoint", "running a checkpoint so that others can rewind")
}

// leaderHistory keeps /history true: the lines of the server's own history file, with the moment and the
// new leader where they are known. It comes before all that may take time: by what /history told before, a replica might
// take its own timeline for this one of the same number. Source: keyspace.md 4.9.
func leaderHistory(o *Observation) *Decision {
	if o.Server.Timeline == 0 || o.Server.InRecovery {
		return nil
	}
	if o.Server.Timeline > 1 && len(o.Server.History) == 0 {
		return nil // its file is gone or broken; what is stored is better than nothing
	}
	want := history(o)
	if sameHistory(o.Store.View.History, want) {
		return nil
	}
	return act(WriteHistory{History: want}, "leader-history", "writing the timeline history")
}

func history(o *Observation) cluster.History {
	stored := map[cluster.Timeline]cluster.HistoryEntry{}
	for _, e := range o.Store.View.History.Entries {
		stored[e.Timeline] = e
	}
	want := cluster.History{Present: true, Entries: []cluster.HistoryEntry{}}
	for _, e := range o.Server.Timeline.Lines(o.Server.History) {
		e.Reason = string([]rune(e.Reason)) // as JSON gives back what is no UTF-8; else it would be written for ever
		if old, ok := stored[e.Timeline]; ok && old.LSN == e.LSN {
			e.Timestamp, e.NewLeader = old.Timestamp, old.NewLeader
		}
		if e.Timestamp == "" && e.Timeline+1 == o.Server.Timeline && !o.Server.HistoryTime.IsZero() {
			e.Timestamp, e.NewLeader = cluster.FormatISO(o.Server.HistoryTime), o.Self.Name
		}
		want.Entries = append(want.Entries, e)
	}
	if n := o.Settings.MaxTimelinesHistory; n > 0 && len(want.Entries) > n {
		want.Entries = want.Entries[len(want.Entries)-n:]
	}
	return want
}

func sameHistory(a, b cluster.History) bool {
	if a.Present != b.Present || len(a.Entries) != len(b.Entries) {
		return false
	}
	for i := range a.Entries {
		if a.Entries[i] != b.Entries[i] {
			return false
		}
	}
	return true
}
