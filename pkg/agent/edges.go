package agent

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/guard"
)

// The edges of the agent: what it needs of the world, as the agent needs it. The simulator has an
// implementation of each; package cli wires the real ones.

// StopMode and Divergence are the cluster's; see there.
type (
	StopMode   = cluster.StopMode
	Divergence = cluster.Divergence
)

// The ways to stop a server.
const (
	StopFast      = cluster.StopFast
	StopImmediate = cluster.StopImmediate
	StopKill      = cluster.StopKill
)

// GuardServer has the guard take over a process that is about to become the server, named by its id and its start
// in clock ticks since boot. With an error it does not become one.
type GuardServer = func(ctx context.Context, pid int, ticks uint64) error

// Postgres controls the one PostgreSQL server of this node. Observe and Follow are quick; the others may
// take long, end early when their context does, and leave the server in a state that the next Observe
// tells truly. One of the long calls runs at a time.
type Postgres interface {
	// Observe looks at the server: one query in one round trip if it runs, its control file if not. It never
	// fails; what it could not find out is absent from the result.
	Observe(ctx context.Context) cluster.Server
	// Changed receives when the postmaster has ended, or was found to have been started; notifications coalesce.
	Changed() <-chan struct{}

	// Bootstrap makes the first database of a cluster, starts the server and creates the users. It leaves a
	// running primary. guard is asked as by StartPrimary, for each server that it starts.
	Bootstrap(ctx context.Context, guard GuardServer) error
	// Clone fills the data directory with a copy, and marks it as one. The server must be stopped; it is not started.
	Clone(ctx context.Context, c cluster.Copy) error
	// TrustCopy takes the mark away that Clone has left in the data, see cluster.Server.Copied.
	TrustCopy(ctx context.Context) error
	// MoveDataAside renames the data directory to *.failed (a failed bootstrap).
	MoveDataAside(ctx context.Context) error

	// StartPrimary starts the stopped server as what its files say it is, without recovery settings, and waits
	// until it accepts connections. guard is asked between the start of the process and its becoming the server;
	// with an error it ends.
	StartPrimary(ctx context.Context, timeout time.Duration, guard GuardServer) error
	// StartReplica starts the stopped server in standby mode; a zero upstream follows nobody.
	StartReplica(ctx context.Context, upstream cluster.Upstream) error
	// Stop stops the server and waits until no process of it is left. checkpoint asks for a checkpoint while it
	// still serves, so that the stop itself is short. It gives the position of the shutdown checkpoint, zero if
	// there is none. When ctx ends before the server does, the server is stopped the immediate way, and after
	// grace its processes are killed; Stop returns only when nothing is left that could write.
	Stop(ctx context.Context, mode StopMode, checkpoint bool) (cluster.LSN, error)
	// StopPrimary is a fast Stop of a primary. If processes stay for long after the shutdown checkpoint, which can't write any
	// more, shutDown is called with its position, again and again until it gives true. It may take seconds.
	StopPrimary(ctx context.Context, checkpoint bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error)
	// Restart restarts the server in the role it has. guard is asked as by StartPrimary if that is not a standby.
	Restart(ctx context.Context, timeout time.Duration, guard GuardServer) error
	// Promote promotes the server and waits until it is out of recovery. Unheard are lines that follow those of its own
	// timeline's history file: it takes none of the numbers of timelines that began by them.
	Promote(ctx context.Context, unheard ...cluster.HistoryEntry) error
	// Follow points the running replica to another upstream; a zero one disconnects it.
	Follow(ctx context.Context, upstream cluster.Upstream) error
	// Checkpoint runs a CHECKPOINT.
	Checkpoint(ctx context.Context) error
	// CrashRecovery runs the stopped server through single-user mode until it is shut down cleanly.
	CrashRecovery(ctx context.Context) error
	// CheckDivergence compares this server's history, running or stopped, with the leader's.
	CheckDivergence(ctx context.Context, leader cluster.Upstream) (Divergence, error)
	// Rewind stops the server if it runs and runs pg_rewind against the leader.
	Rewind(ctx context.Context, leader cluster.Upstream) error
	// SetSynchronousNames puts synchronous_standby_names into the configuration and has a running server read
	// it; nil gives it back to the user's configuration. It outlives the server and the agent: a server that is
	// started again starts with it.
	SetSynchronousNames(ctx context.Context, names *string) error
	// SyncSlots drops replication slots, and creates and advances physical ones. It may be called at any time.
	SyncSlots(ctx context.Context, plan cluster.SlotPlan) error
	// SyncLogicalSlots creates logical slots of a primary, advances and proves those of a standby, and names those
	// of it whose WAL is gone. It may be called at any time, and take long.
	SyncLogicalSlots(ctx context.Context, plan cluster.LogicalSlotPlan) (unusable []string, err error)
	// CopySlots copies logical slots from the leader, and restarts the standby for it. It names those that it has copied.
	CopySlots(ctx context.Context, leader cluster.Upstream, slots map[string]cluster.PermanentSlot) (copied []string, err error)
}

// Peers asks other members.
type Peers interface {
	// Ask asks all the given members for their state at once and gives an answer for each, within a time that
	// the implementation bounds (two seconds in Patroni).
	Ask(ctx context.Context, members []cluster.Member) []cluster.PeerStatus
	// AskFailsafe asks all the given members (name to API URL) at once whether this primary may go on without
	// etcd, and gives an answer for each, at the latest when ctx ends.
	AskFailsafe(ctx context.Context, members map[string]string, q cluster.FailsafeQuestion) []cluster.FailsafeAnswer
}

// Guard is the fence beside the agent; see package guard.
type Guard interface {
	// Arm tells the guard that the server may be a primary from now on, and until when the leader key is
	// proven. It returns when the guard has confirmed it; with an error the server must not be promoted. charge is
	// asked for at the moment of sending.
	Arm(ctx context.Context, charge func() Charge) error
	// Extend gives another deadline to an armed guard, asked for as that charge; zero is none. It does not block.
	Extend(deadline func() clock.Instant)
	// Disarm tells the guard that the server is no primary and needs no fence. It returns when confirmed.
	Disarm(ctx context.Context) error
}

// Charge is what a guard watches over; see there.
type Charge = guard.Charge

// Runtime runs jobs beside the loop: goroutines in the agent, coroutines of the scheduler in the simulator.
type Runtime interface {
	// Go runs f beside the loop.
	Go(name string, f func())
}
