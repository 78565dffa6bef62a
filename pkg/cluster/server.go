package cluster

import (
	"errors"
	"fmt"
	"time"
)

// DataDir is what a data directory holds.
type DataDir int

// The kinds of content of a data directory.
const (
	// DataEmpty: missing, or nothing in it but dot files and lost+found.
	DataEmpty DataDir = iota
	// DataPresent: a database, by its global/pg_control.
	DataPresent
	// DataForeign: something is in it that is not a database. Never touched.
	DataForeign
	// DataUnreadable: it could not be looked at.
	DataUnreadable
)

// Process is what the operating system says of the postmaster.
type Process int

// The states of the postmaster process.
const (
	ProcessNone    Process = iota // there is none
	ProcessRunning                // it is there and may run
	ProcessFrozen                 // it is there and stopped by a signal (SIGSTOP, a debugger)
)

// Server is what is known of one PostgreSQL server at one moment. Absent is not zero where zero could be
// a value; each field says what its zero value means.
type Server struct {
	Data      DataDir
	DataError string // why Data is DataForeign or DataUnreadable
	SystemID  string // empty: unknown
	Version   int    // like 150004; zero: unknown

	State           State // what the controlling side knows: running, starting, stopped, crashed, ...
	Process         Process
	PostmasterPID   int
	PostmasterTicks uint64    // its start in clock ticks since boot, which together with its id names it for good
	PostmasterStart time.Time // zero: unknown

	// Answered: the monitoring query worked this time. The fields of this block mean nothing without it.
	Answered        bool
	InRecovery      bool
	Timeline        Timeline // zero: unknown
	FlushLSN        LSN      // primary only
	ReceiveLSN      LSN      // in recovery; zero: never received
	ReplayLSN       LSN      // in recovery
	ReplayTimestamp time.Time
	// Replaying: in recovery, and since its start it has not come to the end of the WAL that it has itself. It
	// has more than ReplayLSN says, and nobody can say how much.
	Replaying    bool
	ReplayPaused bool
	// LimitsTooSmall: replay has stopped because the primary runs with a higher max_connections, or another limit of
	// its kind, than this server. Only a restart lets it go on. Source: PostgreSQL 17, 26.4.3.
	LimitsTooSmall  bool
	ReceiverStatus  string // pg_stat_wal_receiver.status; empty: no receiver
	LatestEndLSN    LSN    // what the WAL receiver last heard of the upstream's end of WAL
	RestoreCommand  string
	PrimaryConninfo Upstream // what the server follows now; zero Host: nothing
	ConfigLoaded    string   // when it last read its files, as it says itself; changes with each time
	Senders         []Sender
	Slots           []Slot
	// FailoverSlots are logical slots that the servers keep alike on their standbys by themselves (PostgreSQL 17 and
	// later); they are not among Slots.
	FailoverSlots    []Slot
	ServerTimeOffset time.Duration
	// SynchronousNames is synchronous_standby_names as a session sees it now.
	SynchronousNames string
	// CheckpointerIdle: while SynchronousNames is not empty, the checkpointer was found waiting at a place where
	// it has read all settings that were reloaded a moment before. It is the checkpointer that makes commits
	// wait at all. Source: PostgreSQL 17, replication/syncrep.c, SyncRepUpdateSyncStandbysDefined.
	CheckpointerIdle bool

	// SilentFor: how long the server has not answered although its process is there; zero if it answers.
	SilentFor time.Duration
	// Rejecting: it answers that it is starting up, shutting down or recovering (SQLSTATE 57P03).
	Rejecting bool

	// Control is read from the control file when no postmaster runs; nil if that was not possible.
	Control *Control
	// StandbySignal: standby.signal or recovery.signal is there.
	StandbySignal bool
	// BackupLabel: a base backup that has not been started yet.
	BackupLabel bool

	// OwnSynchronousNames: synchronous_standby_names was set by an agent, it is not what the user configured.
	OwnSynchronousNames bool

	// PendingRestart are settings that wait for a restart of the server.
	PendingRestart []PendingRestart
	// History are the lines of the current timeline's history file; nil if there is none.
	History []HistoryEntry
	// HistoryTime is when that file was written.
	HistoryTime time.Time
	// RewindPossible: pg_rewind is there, and wal_log_hints or data checksums are on.
	RewindPossible bool
	// CheckpointTimeline is the timeline of the last checkpoint in the control file; zero: unknown.
	CheckpointTimeline Timeline
	// Promoting: this postmaster was told to become a primary, or may have been. It goes on with that until it is one,
	// whatever is wanted then; only its end takes it back.
	Promoting bool
	// RewindCut: a pg_rewind has begun to change the data and did not come to its end. It must not be started.
	RewindCut bool
	// Copied: the data are marked as a copy that may lack what this member has acknowledged before, or that can't be told.
	Copied bool
	// Progress is that of a base backup, a rewind or a recovery.
	Progress Progress
	// WALGone is the error of the server that this one follows when it no longer has the WAL that is needed next;
	// empty: it has it, or that is not known.
	WALGone string
}

// Fork is where the server's timeline left the one before; zero: it is the first, or that is not known.
func (s *Server) Fork() LSN {
	if len(s.History) == 0 {
		return 0
	}
	return s.History[len(s.History)-1].LSN
}

// IsPrimary reports whether the server is known not to be in recovery.
func (s *Server) IsPrimary() bool { return s.Answered && !s.InRecovery }

// Position is how far the server has come: flushed on a primary, received or replayed, whichever is
// further, in recovery. Zero if it did not answer.
func (s *Server) Position() LSN {
	switch {
	case !s.Answered:
		return 0
	case !s.InRecovery:
		return s.FlushLSN
	}
	return max(s.ReceiveLSN, s.ReplayLSN)
}

// Counting gives a standby as members that run Patroni are to see it: they compare positions, know a timeline by its
// number at most, and wait for whoever has more. So while nobody leads it shows only what counts by /history.
func (s Server) Counting(v *View) Server {
	if v != nil && !v.Locked() && s.InRecovery {
		s.ReceiveLSN = v.History.Counts(s.ReceiveLSN, s.Timeline, s.History)
		s.ReplayLSN = v.History.Counts(s.ReplayLSN, s.Timeline, s.History)
	}
	return s
}

// Withheld reports whether members that run Patroni must be shown no position of a standby of that name, as if it could not be
// reached. They count its vote by what it shows, and may promote somebody who lacks what a commit has waited for; but what
// it may have is more while it replays its own WAL after a start, and what /sync names it for was more before its data were
// copied. Without synchronous replication what it shows is better than nothing: who is behind that must not be promoted.
// Source: Patroni 4.1, ha.py, _MemberStatus.
func (s *Server) Withheld(v *View, mode SynchronousMode, name string) bool {
	copied := s.Copied && s.InRecovery
	if v == nil {
		return s.Replaying || copied
	}
	return mode != SyncOff && (s.Replaying || copied && v.Sync.Has(name))
}

// ReplicationState is what a replica publishes: streaming, in archive recovery, or nothing.
func (s *Server) ReplicationState() string {
	switch {
	case !s.Answered || !s.InRecovery:
		return ""
	case s.ReceiverStatus == "streaming":
		return "streaming"
	case s.RestoreCommand != "":
		return "in archive recovery"
	}
	return ""
}

// Control is what pg_controldata tells of a server that does not run.
type Control struct {
	State            string // "in production", "shut down", "shut down in recovery", ...
	Timeline         Timeline
	Checkpoint       LSN
	MinRecoveryLSN   LSN
	MinRecoveryTLI   Timeline
	DataChecksums    bool
	WalLogHints      bool
	BackupStartPoint LSN
}

// String tells what is known in the words of pg_controldata, in one line.
func (c *Control) String() string {
	return fmt.Sprintf("Database cluster state: %s, Latest checkpoint location: %s, Latest checkpoint's TimeLineID: %d, "+
		"Minimum recovery ending location: %s, Min recovery ending loc's timeline: %d, Backup start location: %s",
		c.State, c.Checkpoint, c.Timeline, c.MinRecoveryLSN, c.MinRecoveryTLI, c.BackupStartPoint)
}

// Upstream is a server to follow.
type Upstream struct {
	Member string // name of the member; empty for a remote server
	Host   string
	Port   string
	Slot   string // empty: follow without a slot
}

// Title gives the upstream a name for people.
func (u Upstream) Title() string {
	if u.Member == "" {
		return "remote server " + u.Host + ":" + u.Port
	}
	return "leader '" + u.Member + "'"
}

// Same reports whether two upstreams are the same server through the same slot.
func (u Upstream) Same(o Upstream) bool {
	return u.Host == o.Host && u.Port == o.Port && u.Slot == o.Slot
}

// Sender is one row of pg_stat_replication.
type Sender struct {
	User, ApplicationName, ClientAddr, State, SyncState string
	SyncPriority                                        int
	WriteLSN, FlushLSN, ReplayLSN                       LSN
}

// PeerStatus is what another member answered when it was asked for its state over REST.
type PeerStatus struct {
	Name string
	// Reachable: there was an answer with a position in it. Without it nothing below has a meaning.
	// Source: Patroni 4.1, ha.py, _MemberStatus: an answer without xlog counts as not reachable.
	Reachable  bool
	InRecovery bool
	Position   LSN  // the larger of received and replayed, or the primary's own
	Replaying  bool // it has more than that; see Server.Replaying. Patroni does not tell
	Copied     bool // see Server.Copied. Patroni does not tell
	Timeline   Timeline
	// History are the last lines of that timeline's history file, without reasons; nil: it is the first timeline, or that
	// is not known. Patroni does not tell.
	History        []HistoryEntry
	Tags           Tags
	WatchdogFailed bool
	Error          string // why it is not reachable
	// MayWrite: its agent says that the processes of a primary are there, which is being stopped or does not answer, or of
	// a server that is becoming one. Also of a member that is not reachable in that sense. Patroni does not tell.
	MayWrite bool
	// Stopped: its agent says that no server runs there. Also of a member that is not reachable in that sense.
	Stopped bool
}

// ErrPromotionRefused: the user's pre_promote command has said that the server must not be promoted.
var ErrPromotionRefused = errors.New("the command says no")

// Copy says what the copy of a server is to be made from.
type Copy struct {
	// From is the server to copy; a zero host if nobody leads: then it can only come from a backup.
	From Upstream
	// SystemID is that of the cluster, which the source must have; empty: not known, or none yet.
	SystemID string
	// Replace: what is in the data directory may go, because a user or the configuration has said so.
	Replace bool
	// Basebackup: it must be a base backup of that very server, whatever other ways are configured.
	Basebackup bool
}
