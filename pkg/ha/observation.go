package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Observation is everything a decision is made from. It is a value: Decide gets one and nothing else.
type Observation struct {
	Now  clock.Instant
	Wall time.Time // for schedules only

	Self     Self
	Settings cluster.Settings
	Store    Store
	Server   cluster.Server
	// Peers are the answers of other members, newest only, by name. A member that was not asked is absent.
	Peers map[string]Peer
	// Job is what runs beside the loop; nil if nothing does.
	Job    *Job
	Memory Memory
	// Stopping: the agent was told to end.
	Stopping bool
}

// Self is what a member knows of itself before it looks at anything.
type Self struct {
	Name string
	Tags cluster.Tags
	// CanBootstrap: the configuration has a bootstrap section, so this member may found a cluster.
	CanBootstrap bool
	// WatchdogFailed: a watchdog is required and does not work, so this member must not lead.
	WatchdogFailed bool
}

// Store is what is known of etcd.
type Store struct {
	// View is the newest complete view, nil before the first.
	View *cluster.View
	// FailingSince is when etcd was first found not to answer, zero while it does.
	FailingSince clock.Instant
	// Refuses: it does answer, but refuses to renew the lease. That is no reason for failsafe mode. Source: ha.md 17.
	Refuses bool
	// Lease is ours, and LeaseExpires the earliest moment at which etcd may let it go; zero: no lease.
	Lease        int64
	LeaseExpires clock.Instant
	// LockProven is until when the leader key is proven to be ours: the lease's end at the last renewal that
	// also found our name in the key. Zero: never proven, or disproven since. Until this member takes the leader key of a
	// cluster that it founds it is the same of the /initialize key. Before the first view: what the agent before this one had
	// proven, as its guard tells.
	LockProven clock.Instant
	// LockLife is how far LockProven was ahead when its proof was asked for: the TTL of then. Zero: that of now.
	LockLife time.Duration
}

// Peer is one answer of another member.
type Peer struct {
	cluster.PeerStatus
	// Asked is when the question was sent; answers age from there.
	Asked clock.Instant
	// SyncRevision is that of /sync when the question was sent. Nobody is promoted under synchronous replication
	// without a new one, so an answer from before tells nothing of what was acknowledged since.
	SyncRevision int64
}

// JobKind names what can run beside the loop.
type JobKind string

// The jobs; the text is what is shown to users. Source: Patroni 4.1, ha.py, names of async actions.
const (
	JobBootstrap     JobKind = "bootstrap"
	JobClone         JobKind = "bootstrap from leader"
	JobStartPrimary  JobKind = "starting primary after failure"
	JobStartReplica  JobKind = "restarting after failure"
	JobCrashRecovery JobKind = "doing crash recovery in a single user mode"
	JobPromote       JobKind = "promote"
	JobDemote        JobKind = "demote"
	JobCheckRewind   JobKind = "checking for divergence"
	JobRewind        JobKind = "running pg_rewind"
	JobReinitialize  JobKind = "reinitialize"
	JobRestart       JobKind = "restart"
	JobKill          JobKind = "killing unresponsive postgres"
	JobStop          JobKind = "stopping postgres"
	JobCopySlots     JobKind = "copy_logical_slots"
)

// Job is one long action under way.
type Job struct {
	Kind  JobKind
	Since clock.Instant
	// Title is what is shown to users; empty: the kind says it all.
	Title string
	// Mode is the mode of a demotion.
	Mode DemoteMode
	// Cancelled: it was told to end.
	Cancelled bool
}

// String is what is shown to users.
func (j Job) String() string {
	if j.Title != "" {
		return j.Title
	}
	return string(j.Kind)
}

// RewindState is what is known about whether this server's history has left the leader's.
type RewindState int

// The states of that question.
const (
	RewindUnknown   RewindState = iota // nothing gives reason to ask
	RewindCheck                        // something happened after which it has to be asked
	RewindNeeded                       // asked: the histories have parted
	RewindNotNeeded                    // asked: this server's history is part of the leader's
	RewindDone                         // pg_rewind has run; start now
	RewindFailed                       // pg_rewind failed although the leader is healthy
)

// Memory is what a member remembers between two turns. It is all there is of state outside etcd and
// PostgreSQL; a restarted agent begins with the zero value and must be safe with it.
type Memory struct {
	Rewind RewindState
	// RewindAgainst is the leader and timeline the answer in Rewind was found against.
	RewindAgainst         string
	RewindAgainstTimeline cluster.Timeline
	// RewindLSN is how far this server had come when it was compared; zero: unknown.
	RewindLSN cluster.LSN
	// RewindRetryAt: not before then is the check or the rewind tried again (the leader was not ready).
	RewindRetryAt clock.Instant

	// WasPrimary: this agent last saw its server run as a primary.
	WasPrimary bool
	// CrashRecoveryTried since the server last ran well.
	CrashRecoveryTried bool
	// StartFailures in a row, and when the last was.
	StartFailures int
	LastStart     clock.Instant
	// CloneFailures in a row, and when the last was.
	CloneFailures int
	LastClone     clock.Instant
	// StartingSince is when the server was first seen starting; zero if it is not.
	StartingSince clock.Instant
	// CheckpointPending: promoted here, and the checkpoint after it is not done.
	CheckpointPending bool
	// FormerLeader is the last member other than nobody that was seen to hold the leader key.
	FormerLeader string
	// PromotingSince is when the server was first seen to be Promoting under our lock; zero if it is not.
	PromotingSince clock.Instant
	// PromotionRefusedAt is when the user's pre_promote last refused the promotion, or when one that did not end was
	// given up; zero if that never was.
	PromotionRefusedAt clock.Instant
	// HandedOver: this agent stopped the server so that another member could lead, and it has not run since.
	HandedOver bool
	// DemotedCluster: this agent stopped the server because the cluster became a standby cluster, and it has not run since.
	DemotedCluster bool
	// RaceLostAt is when this member last tried for the leader key in vain.
	RaceLostAt clock.Instant
	// ReinitializeRequested: a user asked for it over REST.
	ReinitializeRequested bool
	// ReinitializeFromLeader: the copy must come from the leader itself.
	ReinitializeFromLeader bool
	// RestartRequested: a user asked for it over REST.
	RestartRequested bool
	// Adopted: the server was already running when the agent began.
	Adopted bool
	// Joined: this agent has seen itself as part of the initialised cluster.
	Joined bool
	// CheckpointRunning: the checkpoint after promotion is under way.
	CheckpointRunning bool
	// FrozenSince is when the postmaster was first seen stopped by a signal; zero if it runs.
	FrozenSince clock.Instant
	// InitializeEmptySince is when the empty /initialize of InitializeRevision was first seen; zero if it is not empty.
	InitializeEmptySince clock.Instant
	InitializeRevision   int64
	// RefusedRequest is the revision of a request that was tried and called off; zero if there is none.
	RefusedRequest int64
	// RequestSince is when the present request was first seen, RequestRevision which one that is.
	RequestSince    clock.Instant
	RequestRevision int64
	// LockWon: this agent has created the leader key that names it. NamedSince is when the key was first seen to name it
	// although it has not: a person has written the name, a backup of etcd was restored, an answer was lost, or the agent is
	// another one than then. Zero if it does not.
	LockWon    bool
	NamedSince clock.Instant
	// UnlockedSince is when the leader key was first seen to be gone; zero if somebody holds it.
	UnlockedSince clock.Instant
	Sync          SyncMemory
	Failsafe      FailsafeMemory
	Slots         SlotMemory
	Copy          CopyMemory
}

// SlotMemory is what is remembered of the work on replication slots, which goes on beside the loop.
type SlotMemory struct {
	// Adjusting and Decoding: a SyncSlots, a SyncLogicalSlots is under way.
	Adjusting, Decoding bool
	// Not before these moments: after what failed, and what is worth doing only now and then.
	AdjustAt, AdvanceAt, CreateAt, DecodeAt, CopyAt clock.Instant
	// Unusable are logical slots of this replica whose WAL is gone, so that they have to be copied again.
	Unusable []string
}
