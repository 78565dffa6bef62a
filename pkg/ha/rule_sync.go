package ha

import (
	"fmt"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// Synchronous replication. Two rules carry it; package quorum holds the argument for what lies between.
//
//  1. Whoever is named as the leader in /sync has every acknowledged commit. So a member becomes a primary
//     only after it has put its own name there, over the very revision by which it was found fit.
//  2. Names in the server and voters in the key change in the order that quorum.Next gives, and only from a
//     key that this agent is known to have written. A write without an answer may still take effect later;
//     until a further write has been answered, which makes that impossible, nothing is built on either.

// SyncMemory is what a member remembers of synchronous replication.
type SyncMemory struct {
	// Written is the revision of /sync as this agent wrote it and had it confirmed; zero: never.
	Written int64
	// Seen is the revision that /sync was last seen at, Stale that to which it had gone back then: a backup of etcd was
	// restored. Zero: none.
	Seen, Stale int64
	// Judged is the revision of /sync by which this member was found fit when it took the lock.
	Judged int64
	// Before is what /sync said before this member named itself there, for a promotion that its server was not told of yet;
	// nil: nothing.
	Before *cluster.SyncState

	// Names were last seen in force, in the server of that process id, and not otherwise since Since.
	Names string
	PID   int
	Since clock.Instant
	// FailedAt is when setting them last failed; zero if the last attempt worked.
	FailedAt clock.Instant
	// Asked are the names that were set last, until the server is seen with them; nil: it was. What it shows until then
	// it may go by no longer.
	Asked *string
	// Waits: the checkpointer has made commits wait for names, these or others before them.
	Waits bool
	// Settled: they are in force in all of its processes.
	Settled bool
	// Mark is how far a primary had flushed when they were; zero: not yet. What was acknowledged under other
	// names lies before it.
	Mark cluster.LSN
	// Alive are the members that answered in the race for the lock that this one holds.
	Alive []string
	// LeavingSince is when this standby asked to be let go; zero if it does not ask.
	LeavingSince clock.Instant
	// PrimarySince is when this server was first seen as a primary in this life; zero if it is none.
	PrimarySince clock.Instant
	// Source is what became of the member that is followed. It stands here because a commit waits for the standby.
	Source Source
}

// namesSettle is how long after a session has seen new names every other process that is awake has read
// them too. They are signalled together and look each time they wake. A checkpointer that is busy may take
// longer, and is waited for; but it only says whether commits wait at all, so from some names to others its
// word is not needed. Patroni waits 100 ms and for nobody.
const namesSettle = 250 * time.Millisecond

// Note updates the memory from what was just seen.
func (m *SyncMemory) Note(o *Observation) {
	s := &o.Server
	if !o.Stopping && !o.Memory.RestartRequested && !o.Memory.ReinitializeRequested && o.Job == nil {
		m.LeavingSince = 0
	}
	m.Source.note(o)
	if v := o.Store.View; v != nil {
		m.noteRevision(v.Sync.Revision)
	}
	if !s.Answered {
		if s.Process == cluster.ProcessNone {
			*m = SyncMemory{Written: m.Written, Seen: m.Seen, Stale: m.Stale, Judged: m.Judged, FailedAt: m.FailedAt, Alive: m.Alive, LeavingSince: m.LeavingSince}
		}
		return
	}
	switch {
	case s.InRecovery:
		m.PrimarySince = 0
	case m.PrimarySince == 0, m.PID != s.PostmasterPID:
		m.PrimarySince = o.Now
	}
	m.Waits = m.Waits && m.PID == s.PostmasterPID && s.SynchronousNames != ""
	if m.PID != s.PostmasterPID || m.Names != s.SynchronousNames || m.Since == 0 {
		m.Names, m.PID, m.Since, m.Settled, m.Mark = s.SynchronousNames, s.PostmasterPID, o.Now, false, 0
	}
	if o.Now.Sub(m.Since) >= namesSettle && (m.Waits || s.CheckpointerIdle) {
		m.Settled, m.Waits = true, s.SynchronousNames != ""
	}
	if m.Asked != nil && *m.Asked == s.SynchronousNames {
		m.Asked = nil
	}
	if m.Asked != nil {
		m.Settled, m.Mark = false, 0
	}
	if m.Settled && m.Mark == 0 && !s.InRecovery {
		m.Mark = s.FlushLSN
	}
}

// noteRevision finds out whether /sync has gone back to an earlier time. It stays so until the key is written again.
func (m *SyncMemory) noteRevision(now int64) {
	switch {
	case now != 0 && now < m.Seen:
		m.Stale = now
	case now != m.Stale:
		m.Stale = 0
	}
	m.Seen = now
}

// leaderSync takes the primary one step towards the synchronous standbys that it should have.
func leaderSync(o *Observation) *Decision {
	key := o.Store.View.Sync
	if o.Settings.SynchronousMode == cluster.SyncOff {
		return syncDisabled(o)
	}
	switch {
	case !key.LedBy(o.Self.Name):
		return act(WriteSync{State: cluster.SyncState{Leader: o.Self.Name}, Revision: key.Revision}, "sync-enable", "Enabled synchronous replication")
	case key.Revision == o.Memory.Sync.Stale:
		// Who stands in that key may lack what was acknowledged since.
		return act(WriteSync{State: cluster.SyncState{Leader: o.Self.Name}, Revision: key.Revision}, "sync-restored",
			"the synchronous replication key is of an earlier time, as from a backup of etcd: beginning without standbys")
	case key.Revision != o.Memory.Sync.Written:
		// Written by an agent before this one, or perhaps by this one: make sure of it.
		return act(WriteSync{State: key, Revision: key.Revision}, "sync-claim", "confirming the synchronous replication key")
	}
	now, want := syncSetting(o), syncWanted(o)
	step := quorum.Next(now, want)
	switch {
	case step.Key != nil:
		state := cluster.SyncState{Leader: o.Self.Name, Standbys: step.Key.Voters, Quorum: step.Key.Quorum}
		return act(WriteSync{State: state, Revision: key.Revision}, "sync-key", "%s", keyLine(o, state))
	case step.Names != nil && !namesFail(o):
		return act(SetSyncNames{Names: step.Names.Text()}, "sync-names", "%s", namesLine(o, *step.Names))
	case namesLost(o):
		return act(SetSyncNames{Names: now.Names.Text()}, "sync-names", "%s", namesLine(o, now.Names))
	}
	return nil
}

// namesLost: others were set in vain, or not; and those that the server shows are the ones that are wanted again.
func namesLost(o *Observation) bool { return namesDoubtful(o) && !namesFail(o) }

// namesDoubtful: names were set in vain, or not. Until the server was told again it may come to go by them.
func namesDoubtful(o *Observation) bool {
	return o.Memory.Sync.Asked != nil && o.Memory.Sync.FailedAt != 0
}

// namesFail: the names could not be set a moment ago (a full disk, for one). Other rules get their turn.
func namesFail(o *Observation) bool {
	at := o.Memory.Sync.FailedAt
	return at != 0 && o.Now.Sub(at) < o.Settings.LoopWait
}

// syncDisabled: replication is asynchronous. The key goes first: it must not promise what is not kept.
func syncDisabled(o *Observation) *Decision {
	if key := o.Store.View.Sync; key.Revision != 0 {
		return act(DeleteSync{Revision: key.Revision}, "sync-disable", "Disabled synchronous replication")
	}
	return releaseNames(o)
}

func releaseNames(o *Observation) *Decision {
	if !o.Server.OwnSynchronousNames || namesFail(o) {
		return nil
	}
	return act(ReleaseSyncNames{}, "sync-release", "giving synchronous_standby_names back to the configuration")
}

// leaveSync: a synchronous standby that is about to stop asks the leader to do without it, so that no commit
// has to wait for its end to be noticed. If the leader does not in time it goes all the same.
// Source: Patroni 4.1, ha.py, _release_sync_standby and sync_standby_leave.
func leaveSync(o *Observation) *Decision {
	if o.Store.View == nil || o.Store.FailingSince != 0 || !syncActive(o) || !o.other() || !o.Store.View.Sync.HasStandby(o.Self.Name) {
		return nil
	}
	asked := o.Memory.Sync.LeavingSince
	if asked == 0 {
		asked = o.Now
	}
	limit := asked.Add(2 * o.Settings.LoopWait)
	if !o.Now.Before(limit) {
		return nil
	}
	return act(LeaveSync{}, "sync-leave", "Waiting for primary to release us from synchronous standby").until(limit)
}

// syncWake is when a primary at rest has to look again: nothing tells that a standby has caught up, or gone.
func syncWake(o *Observation) clock.Instant {
	if o.Settings.SynchronousMode == cluster.SyncOff || o.Server.InRecovery || !o.Server.Answered {
		return 0
	}
	now, want := syncSetting(o), syncWanted(o)
	arrived := now.Names.Equal(want.Names) && now.Key.Equal(quorum.Key{Voters: want.Voters, Quorum: want.Quorum()})
	switch {
	case arrived:
		return o.Now.Add(time.Second)
	case !o.Memory.Sync.Settled:
		return o.Now.Add(namesSettle / 5)
	}
	return o.Now.Add(namesSettle) // somebody has to catch up, which may take long
}

func quorumMissed(need, votes int) string {
	return fmt.Sprintf("Quorum requirement %d can not be reached: %d of the synchronous members have answered and are not ahead", need, votes)
}

// keyLine and namesLine tell of a step in the words that users of Patroni grep for.
func keyLine(o *Observation, s cluster.SyncState) string {
	before := o.Store.View.Sync
	switch {
	case o.Settings.SynchronousMode == cluster.SyncQuorum:
		return fmt.Sprintf("Setting leader to %s, quorum to %d of %d (%s)", s.Leader, s.Quorum, len(s.Standbys), strings.Join(s.Standbys, ", "))
	case len(s.Standbys) < len(before.Standbys):
		return fmt.Sprintf("Updating synchronous privilege temporarily from %s to %s", strings.Join(before.Standbys, ", "), strings.Join(s.Standbys, ", "))
	}
	return "Synchronous standby status assigned to " + strings.Join(s.Standbys, ", ")
}

func namesLine(o *Observation, n quorum.Names) string {
	switch {
	case n.Has(quorum.Nobody) && o.Settings.SynchronousMode == cluster.SyncQuorum:
		return fmt.Sprintf("Replication factor %d requested, but %d synchronous standbys available. Commits will be delayed.",
			o.Settings.SynchronousNodeCount, len(n.Standbys)-1)
	case n.Has(quorum.Nobody):
		return "No standbys available! Commits wait for one because synchronous_mode_strict is on"
	case len(n.Standbys) == 0:
		return "no synchronous standbys: commits wait for none"
	case o.Settings.SynchronousMode == cluster.SyncQuorum:
		return fmt.Sprintf("Setting synchronous replication to %d of %d (%s)", n.Required, len(n.Standbys), strings.Join(n.Standbys, ", "))
	}
	return "Assigning synchronous standby status to " + strings.Join(n.Standbys, ", ")
}
