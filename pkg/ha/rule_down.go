package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleDown: there is data, but no postmaster.
// Source: Patroni 4.1, ha.py, recover.
func ruleDown(o *Observation) *Decision {
	if o.Server.Process != cluster.ProcessNone {
		return nil
	}
	if o.paused() {
		if d := downPaused(o); d != nil {
			return d
		}
	}
	if o.Server.RewindCut && !o.mine() {
		return rewindCut(o)
	}
	if o.standbyCluster() {
		return standbyDown(o)
	}
	if o.mine() {
		return downLeader(o)
	}
	if at, blocked := backoff(o.Now, o.Memory.LastStart, o.Memory.StartFailures); blocked {
		return wait("down-backoff", "failed to start postgres").until(at)
	}
	return downReplica(o)
}

// downPaused: in pause a server that has ended stays down, unless the agent itself stopped it for a change of the
// leader or for a standby cluster, or a user asks for a restart. Source: Patroni 4.1, ha.py, handle_paused_state and restart.
func downPaused(o *Observation) *Decision {
	switch {
	case o.Memory.RestartRequested && (o.Server.StandbySignal || !o.other()):
		return act(Restart{}, "restart", "restart requested") // a primary beside another leader stays down
	case o.mine() && (calledOff(o) || o.Memory.DemotedCluster):
		return nil // nobody else has what it wrote last, so it starts where it stood
	case o.mine():
		return act(ReleaseLeader{}, "down-paused-release", "removed leader lock because postgres is not running")
	case o.Memory.HandedOver && o.other():
		return nil
	}
	return wait("down-paused", "postgres is not running")
}

// downLeader: the server of the member that holds the leader key has ended. Its data is the newest there
// is, so it is started again where it stands; only if that fails, or if the cluster prefers it so
// (primary_start_timeout 0), the lock goes to another.
func downLeader(o *Observation) *Decision {
	if d := proveForMore(o); d != nil {
		return d
	}
	switch {
	case o.Memory.StartFailures > 0:
		return act(ReleaseLeader{}, "down-start-failed",
			"removed leader key after trying and failing to start postgres")
	case o.Server.StandbySignal, syncActive(o) && !o.Store.View.Sync.LedBy(o.Self.Name):
		return act(StartReplica{}, "down-leader-replica", "starting as readonly because i had the session lock")
	case calledOff(o), stoppedInOrder(o):
		// It was no crash, and nobody else may have what it wrote last: a switchover was called off, or a demotion to a
		// standby cluster, or somebody has stopped the server.
		return act(StartPrimary{Timeout: cluster.DefaultSettings().PrimaryStartTimeout}, "down-called-off",
			"starting as the primary again because it was stopped in order and still has the lock")
	case o.Settings.PrimaryStartTimeout > 0:
		return act(StartPrimary{Timeout: o.Settings.PrimaryStartTimeout}, "down-start-primary", "starting primary after failure")
	}
	names, ask := successors(o, "", false)
	switch {
	case ask != nil:
		return ask
	case len(names) > 0:
		return act(ReleaseLeader{}, "down-failover", "stopped PostgreSQL to fail over after a crash").
			because("down-failover", "Primary crashed. Failing over.")
	}
	// Nobody could take over, so the timeout of zero has nothing to give way to.
	return act(StartPrimary{Timeout: cluster.DefaultSettings().PrimaryStartTimeout}, "down-start-primary-alone",
		"starting primary after failure").because("down-failover", "nobody is able to take over")
}

// successorWait is how long a stopped server waits for somebody to take the lock: after a switchover that
// takes milliseconds, and then it can start once, with the right upstream.
const successorWait = 2 * time.Second

// downReplica: the server is to be a replica of whoever leads. Before it starts, its history is compared
// with the leader's: a former primary may hold WAL that the leader never saw.
func downReplica(o *Observation) *Decision {
	if d := crashRecovery(o); d != nil {
		return d
	}
	if !o.locked() {
		if at := o.Memory.UnlockedSince.Add(successorWait); o.Memory.UnlockedSince != 0 && o.Now.Before(at) && len(o.Store.View.Members) > 1 {
			return wait("down-wait-leader", "waiting for a new leader before starting").until(at)
		}
		// It takes part in the race from recovery, where nothing can be written.
		return act(StartReplica{}, "down-unlocked", "starting as a secondary")
	}
	if d := rejoin(o); d != nil {
		return d
	}
	return act(StartReplica{Upstream: target(o)}, "down-start-replica", "starting as a secondary")
}

// rewindCut: a pg_rewind has begun to change the data and did not come to its end. Nothing can be done with them; they
// are removed only where the configuration says so.
func rewindCut(o *Observation) *Decision {
	replace := o.Settings.RemoveDataDirOnRewindFailure || o.Settings.RemoveDataDirOnDivergedTimeline
	if !replace || o.standbyCluster() {
		return wait("rewind-cut", "an earlier pg_rewind of %s did not come to its end and left its data unusable: run reinit for %s",
			o.Self.Name, o.Self.Name)
	}
	source := cloneSource(o)
	if !o.locked() || source.ConnURL == "" {
		return wait("rewind-cut-alone", "waiting for a leader to copy from")
	}
	if at, blocked := backoff(o.Now, o.Memory.LastClone, o.Memory.CloneFailures); blocked {
		return wait("rewind-cut-backoff", "waiting before another attempt to copy '%s'", source.Name).until(at)
	}
	return act(Reinitialize{From: source.Name, Diverged: true}, "rewind-cut-reinitialize",
		"reinitializing because an earlier pg_rewind did not come to its end")
}

// crashRecovery: a primary that did not shut down cleanly has to reach the end of its WAL before anybody
// can say whether that WAL is the leader's, or how far it goes in a race. With a backup_label the normal
// start does it.
func crashRecovery(o *Observation) *Decision {
	if unclean(o) && !o.Server.BackupLabel && !o.Memory.CrashRecoveryTried {
		return act(CrashRecovery{}, "down-crash-recovery", "doing crash recovery in a single user mode")
	}
	return nil
}

// unclean reports whether the stopped server is a primary whose end of WAL nobody knows.
func unclean(o *Observation) bool {
	if o.Server.Control == nil || o.Server.StandbySignal {
		return false
	}
	switch o.Server.Control.State {
	case "in production", "shutting down", "in crash recovery":
		return true
	}
	return false
}

// comparable reports whether the control file of the stopped server tells where its WAL ends.
func comparable(o *Observation) bool {
	if o.Server.Control == nil {
		return false
	}
	switch o.Server.Control.State {
	case "shut down", "shut down in recovery", "in archive recovery":
		return true
	}
	return false
}

// rejoin finds out whether the stopped server may simply follow the leader, and mends it if not.
func rejoin(o *Observation) *Decision {
	if !divergenceMatters(o) || o.Server.BackupLabel || !comparable(o) {
		// A copy that has not been started yet is part of the history it was taken from. A server whose end of
		// WAL is not known has to recover first; it is compared while it runs.
		return nil
	}
	leader := upstreamOf(o, o.leader())
	switch answer(o) {
	case RewindNeeded, RewindFailed:
		return mend(o)
	case RewindNotNeeded, RewindDone:
		return nil
	}
	if leader.Host == "" || !leaderReady(o) {
		return notReady(o)
	}
	if o.Now.Before(o.Memory.RewindRetryAt) {
		return wait("rejoin-retry", "waiting for leader %s before comparing histories", leader.Member).until(o.Memory.RewindRetryAt)
	}
	return act(CheckRewind{Leader: leader}, "rejoin-check", "comparing history with leader '%s'", leader.Member)
}

// notReady: the leader can't be asked yet. A former primary waits for it, because started as it is it
// might never be able to follow. A replica starts: its reads are wanted, and it can be checked while it runs.
func notReady(o *Observation) *Decision {
	if o.Server.StandbySignal {
		return nil
	}
	return wait("rejoin-wait-leader", "waiting for leader %s to become primary", o.leader().Name)
}

// divergenceMatters: the answer is of use only if something can be done about it.
func divergenceMatters(o *Observation) bool {
	return o.Server.RewindPossible && o.Settings.UsePgRewind || o.Settings.RemoveDataDirOnDivergedTimeline
}

// leaderReady: pg_rewind and the comparison need a leader that has been promoted.
func leaderReady(o *Observation) bool {
	m := o.leader()
	return m.Role == cluster.RolePrimary && m.State == cluster.StateRunning
}

// answer is the state of the rewind question, as far as it was asked about the present leader on its
// present timeline; an older answer is none.
func answer(o *Observation) RewindState {
	m, mem := o.leader(), o.Memory
	if mem.Rewind == RewindUnknown || mem.Rewind == RewindCheck {
		return mem.Rewind
	}
	if mem.RewindAgainst != m.Name || m.Timeline != 0 && mem.RewindAgainstTimeline != m.Timeline {
		return RewindCheck
	}
	if mem.Rewind == RewindNotNeeded && o.Server.Answered && o.Server.ReplayLSN > mem.RewindLSN && mem.RewindLSN != 0 {
		return RewindCheck // it has replayed more since, perhaps from a leader that was on its way out
	}
	return mem.Rewind
}

// mend brings a server whose history has left the leader's back into the cluster.
// Source: Patroni 4.1, postgresql/rewind.py, and ha.py, _handle_rewind_or_reinitialize.
func mend(o *Observation) *Decision {
	leader := o.leader()
	failed := o.Memory.Rewind == RewindFailed
	if o.Server.RewindPossible && o.Settings.UsePgRewind && !failed {
		switch {
		case leader.CheckpointPending:
			// The leader's control file still names the old timeline, which pg_rewind would believe. The member
			// key changes when the checkpoint is done, and that wakes us.
			return wait("rewind-wait-checkpoint", "Waiting for checkpoint on %s before rewind", leader.Name)
		case !leaderReady(o):
			return wait("rewind-wait-leader", "waiting for leader %s to become primary", leader.Name)
		case o.Now.Before(o.Memory.RewindRetryAt):
			return wait("rewind-retry", "waiting before another attempt to rewind from %s", leader.Name).until(o.Memory.RewindRetryAt)
		}
		return act(Rewind{Leader: upstreamOf(o, leader)}, "rewind", "running pg_rewind from %s", leader.Name)
	}
	if o.Settings.RemoveDataDirOnDivergedTimeline || failed && o.Settings.RemoveDataDirOnRewindFailure {
		if at, blocked := backoff(o.Now, o.Memory.LastClone, o.Memory.CloneFailures); blocked {
			return wait("rewind-reinitialize-backoff", "waiting before another attempt to copy '%s'", cloneSource(o).Name).until(at)
		}
		return act(Reinitialize{From: cloneSource(o).Name, Diverged: true}, "rewind-reinitialize",
			"reinitializing due to diverged timelines")
	}
	if o.Server.Process == cluster.ProcessNone {
		return act(StartReplica{Upstream: target(o)}, "rewind-impossible", "starting as a secondary").
			because("rewind-impossible", "its timeline has diverged from %s and can't be rewound: run reinit for %s", leader.Name, o.Self.Name)
	}
	return wait("rewind-impossible", "the timeline of %s has diverged from leader %s and can't be rewound; reinitialize it",
		o.Self.Name, leader.Name)
}

// stoppedInOrder reports whether the server has ended as a primary, with a shutdown checkpoint. Patroni takes that for a
// crash, too.
func stoppedInOrder(o *Observation) bool {
	return o.Server.Control != nil && o.Server.Control.State == "shut down"
}

// calledOff reports whether the request that is still there is one that this member has tried and called off.
func calledOff(o *Observation) bool {
	req := o.Store.View.Failover
	return req.Revision != 0 && req.Revision == o.Memory.RefusedRequest
}
