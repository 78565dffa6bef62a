package api

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Snapshot is what the agent last saw and decided. It is immutable; handlers answer from it and never
// query the database or etcd for a health check.
type Snapshot struct {
	Scope, Name string
	Tags        cluster.Tags
	Taken       clock.Instant // when the loop took it
	Server      cluster.Server
	State       cluster.State // own state as published: Server.State, or what a running job makes of it
	Role        cluster.Role  // own role as published in the member key
	Settings    cluster.Settings
	// View is the last complete view of etcd; nil before the first. It stays while etcd is away.
	View *cluster.View
	// ViewConfirmed is when etcd last confirmed that the view is current; the view is valid for a TTL from there.
	ViewConfirmed clock.Instant
	// LockUntil is until when the leader key is proven to be ours; zero: it is not.
	LockUntil clock.Instant
	// DCSLastSeen is the wall time of etcd's last answer; zero before the first.
	DCSLastSeen time.Time
	// NextRun is when the next turn of the loop is due (liveness).
	NextRun clock.Instant
	// Job is the name of the long action under way, as users see it; empty if there is none.
	Job              string
	ScheduledRestart *cluster.ScheduledRestart
	// WatchdogFailed: a watchdog is required and can't be used, so this member can't lead.
	WatchdogFailed bool
	// FailsafeUntil is until when failsafe mode is active here: it keeps this primary up, or this member waits
	// for one that it keeps up. Zero: it is not.
	FailsafeUntil clock.Instant
	// Guard is armed, disarmed or unknown; empty before the first turn.
	Guard string
	// Line is the newest heartbeat line of the log.
	Line string
	// Observation and Decision are of the last turn, for /explain; nil before the first.
	Observation *ha.Observation
	Decision    ha.Decision
}

// What a request to the node can be refused with. Other errors are failures.
var (
	//lint:ignore ST1005 wording of the contract
	ErrNoLeader = errors.New("Cluster has no leader, can not reinitialize")
	//lint:ignore ST1005 wording of the contract
	ErrIsLeader      = errors.New("I am the leader, can not reinitialize")
	ErrConditions    = errors.New("restart conditions are not satisfied")
	ErrStillStarting = errors.New("postgres is still starting")
	ErrRestartFailed = errors.New("restart failed")
	//lint:ignore ST1005 wording of the contract
	ErrAlreadyPlanned = errors.New("Another restart is already scheduled")
	ErrNothingPlanned = errors.New("no restarts are scheduled")
	ErrFailsafeOff    = errors.New("failsafe mode is off")
	//lint:ignore ST1005 wording of the contract
	ErrFailsafePrimary = errors.New("Running as a leader")
)

// BusyError refuses a request because a long action is running.
type BusyError struct{ Job string }

func (e BusyError) Error() string { return e.Job + " already in progress" }

// RestartRequest is the body of POST /restart after validation.
type RestartRequest struct {
	Role            string
	PostgresVersion string // as given; VersionNum is what to compare with
	VersionNum      int
	RestartPending  bool
	Timeout         time.Duration // zero: primary_start_timeout
}

// Node is what the API needs of the agent.
type Node interface {
	Snapshot() *Snapshot
	// Look gives the snapshot with the server as it is now: observed after the call, as far as ctx allows. Other
	// members decide by it who has everything.
	Look(ctx context.Context) *Snapshot
	// Updated gives a channel that is closed at the next new snapshot.
	Updated() <-chan struct{}
	// Wake makes the loop turn now.
	Wake()
	// Restart restarts PostgreSQL and blocks until it is done; the request goes on when ctx ends.
	Restart(ctx context.Context, r RestartRequest) error
	// ScheduleRestart keeps a restart for later; ErrAlreadyPlanned if there is one.
	ScheduleRestart(r cluster.ScheduledRestart, at time.Time) error
	// CancelScheduledRestart forgets it; ErrNothingPlanned if there is none.
	CancelScheduledRestart() error
	// Reinitialize starts over with a copy of the leader; it returns as soon as that is accepted.
	Reinitialize(ctx context.Context, force, fromLeader bool) error
	// Reload re-reads the configuration files.
	Reload()
	// Failsafe promises a primary without etcd not to be promoted for a TTL, and gives this member's position;
	// ErrFailsafeOff, ErrFailsafePrimary.
	Failsafe(q cluster.FailsafeQuestion) (cluster.LSN, error)
}

// Store is what the API needs of etcd; dcs.Store satisfies it.
type Store interface {
	// Latest gives the newest complete view, nil before the first, without asking etcd. Own writes are in it.
	Latest() (*cluster.View, dcs.Health)
	Refresh(ctx context.Context) (*cluster.View, error)
	PutConfig(ctx context.Context, raw []byte, revision int64) (bool, error)
	PutFailover(ctx context.Context, req cluster.FailoverRequest, revision int64) (bool, error)
}
