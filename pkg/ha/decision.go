package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Decision is what Decide found: one action, and why.
type Decision struct {
	Action Action
	// Reasons say why, the most important first; the first is the line that is logged.
	Reasons []Reason
	// WakeAt asks for another look at that moment, if nothing happens before; zero leaves it to loop_wait.
	WakeAt clock.Instant
}

// Action is something that an agent can carry out. The types below are all there are. Each is safe to
// repeat.
type Action interface{ action() }

// DemoteMode is how a primary stops being one.
type DemoteMode string

// The modes. Source: Patroni 4.1, ha.py, demote.
const (
	// DemoteGraceful: a planned handover; checkpoint while serving, stop fast, release the leader key.
	DemoteGraceful DemoteMode = "graceful"
	// DemoteImmediate: stop at once, then release the leader key.
	DemoteImmediate DemoteMode = "immediate"
	// DemoteNoLock: the lock is somebody else's; stop at once and touch no key.
	DemoteNoLock DemoteMode = "immediate-nolock"
	// DemoteOffline: etcd can't be reached; stop fast, touch no key, start again as a replica of nobody.
	DemoteOffline DemoteMode = "offline"
	// DemoteCluster: the cluster becomes a standby cluster; stop fast, keep the leader key.
	DemoteCluster DemoteMode = "demote-cluster"
	// DemoteShutdown: the agent ends; stop as in graceful and do not start again.
	DemoteShutdown DemoteMode = "shutdown"
)

type (
	// Wait does nothing.
	Wait struct{}
	// AskPeers asks members for their state over REST and refreshes the view, both bounded in time.
	AskPeers struct{ Names []string }
	// Bootstrap founds the cluster: takes /initialize and runs initdb beside the loop. A standby cluster is founded
	// with a copy instead: of the remote server, or of a backup if From is empty.
	Bootstrap struct {
		Standby bool
		From    cluster.Upstream
	}
	// Clone copies the data of a member beside the loop, or of a backup if From is empty. The data directory is
	// empty.
	Clone struct{ From string }
	// Reinitialize stops the server, removes its data and clones it anew.
	Reinitialize struct {
		From string
		// Diverged: the removal is allowed by remove_data_directory_on_...; false: a user asked for it.
		Diverged bool
	}
	// AcquireLeader tries to create the leader key.
	AcquireLeader struct{}
	// ProveLock renews the lease and proves that the leader key is ours, or that it is not.
	ProveLock struct{}
	// ReleaseLeader deletes our leader key. Optime is put into /status if it is not zero.
	ReleaseLeader struct{ Optime cluster.LSN }
	// Promote promotes the server beside the loop. The leader key is ours. Unheard are the lines of /history about
	// timelines that began where this server ends: it may not have heard of them, and must not take their numbers.
	Promote struct{ Unheard []cluster.HistoryEntry }
	// Demote stops the primary beside the loop.
	Demote struct{ Mode DemoteMode }
	// StartPrimary starts a stopped primary again, on its timeline.
	StartPrimary struct{ Timeout time.Duration }
	// StartReplica starts the stopped server in recovery; a zero upstream follows nobody.
	StartReplica struct{ Upstream cluster.Upstream }
	// CrashRecovery runs a stopped server through single-user recovery so that its end is known.
	CrashRecovery struct{}
	// Follow points the running replica to an upstream.
	Follow struct{ Upstream cluster.Upstream }
	// CheckRewind compares the server's history with the leader's.
	CheckRewind struct{ Leader cluster.Upstream }
	// Rewind runs pg_rewind against the leader. The server is stopped for it.
	Rewind struct{ Leader cluster.Upstream }
	// Restart restarts the server because a user asked for it.
	Restart struct{}
	// Stop stops a replica for good: the agent ends.
	Stop struct{}
	// KillServer kills a postmaster that is there but does not answer, with all its children.
	KillServer struct{}
	// Checkpoint runs the checkpoint that pg_rewind on other members waits for.
	Checkpoint struct{}
	// ClearFailover removes the request of that revision.
	ClearFailover struct{ Revision int64 }
	// WriteInitialize puts the server's system identifier into /initialize.
	WriteInitialize struct {
		SystemID string
		Revision int64 // of the key as it was judged; zero: it must not exist
	}
	// AbandonInitialize removes the /initialize of that revision, which a crashed bootstrap left empty.
	AbandonInitialize struct{ Revision int64 }
	// WriteConfig puts the configuration this member remembers into a missing /config.
	WriteConfig struct{ Revision int64 }
	// WriteHistory puts the timeline history into /history.
	WriteHistory struct{ History cluster.History }
	// SyncSlots creates, drops and advances replication slots, beside the loop.
	SyncSlots struct{ Plan cluster.SlotPlan }
	// SyncLogicalSlots creates logical slots on a primary and advances and proves those of a replica, beside the loop.
	SyncLogicalSlots struct{ Plan cluster.LogicalSlotPlan }
	// CopySlots copies logical slots from the leader, which takes a restart of the replica, beside the loop.
	CopySlots struct {
		Leader cluster.Upstream
		Slots  map[string]cluster.PermanentSlot
	}
	// WriteSync puts a state into /sync, if that is still of the revision that was judged.
	WriteSync struct {
		State    cluster.SyncState
		Revision int64 // zero: it must not exist
	}
	// LeaveSync asks the leader to do without this synchronous standby, by the tags of the member key.
	LeaveSync struct{}
	// DeleteSync removes /sync if it is still of that revision.
	DeleteSync struct{ Revision int64 }
	// AskFailsafe asks members whether this primary may go on without etcd for a TTL; the answers are waited for
	// until a moment.
	AskFailsafe struct {
		Members map[string]string // name to API URL
		TTL     time.Duration
		Until   clock.Instant
	}
	// ExtendProof takes down until when no other member becomes a primary, and tells the guard.
	ExtendProof struct{ Until clock.Instant }
	// WriteFailsafe writes /failsafe if it is still of that revision; zero: it must not exist.
	WriteFailsafe struct {
		Members  map[string]string
		Revision int64
	}
	// SetSyncNames puts synchronous_standby_names into the server's configuration and has it read.
	SetSyncNames struct{ Names string }
	// ReleaseSyncNames gives synchronous_standby_names back to the user's configuration.
	ReleaseSyncNames struct{}
	// TrustCopy takes the mark away that the data were copied.
	TrustCopy struct{}
	// CancelJob tells the running job to end.
	CancelJob struct{}
	// Exit ends the agent with an error that a person has to look at.
	Exit struct{ Message string }
	// Done ends the agent: it was told to stop, and nothing is left to do.
	Done struct{}
)

func (TrustCopy) action()         {}
func (Wait) action()              {}
func (AskPeers) action()          {}
func (Bootstrap) action()         {}
func (Clone) action()             {}
func (Reinitialize) action()      {}
func (AcquireLeader) action()     {}
func (ProveLock) action()         {}
func (ReleaseLeader) action()     {}
func (Promote) action()           {}
func (Demote) action()            {}
func (StartPrimary) action()      {}
func (StartReplica) action()      {}
func (CrashRecovery) action()     {}
func (Follow) action()            {}
func (CheckRewind) action()       {}
func (Rewind) action()            {}
func (Restart) action()           {}
func (Stop) action()              {}
func (KillServer) action()        {}
func (Checkpoint) action()        {}
func (ClearFailover) action()     {}
func (WriteInitialize) action()   {}
func (AbandonInitialize) action() {}
func (WriteConfig) action()       {}
func (WriteHistory) action()      {}
func (SyncSlots) action()         {}
func (SyncLogicalSlots) action()  {}
func (CopySlots) action()         {}
func (WriteSync) action()         {}
func (LeaveSync) action()         {}
func (DeleteSync) action()        {}
func (AskFailsafe) action()       {}
func (ExtendProof) action()       {}
func (WriteFailsafe) action()     {}
func (SetSyncNames) action()      {}
func (ReleaseSyncNames) action()  {}
func (CancelJob) action()         {}
func (Exit) action()              {}
func (Done) action()              {}
