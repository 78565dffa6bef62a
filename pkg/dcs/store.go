package dcs

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// What can have become of a request that failed. Callers branch with errors.Is.
var (
	// ErrNotSent: the request did not reach etcd and has had no effect.
	ErrNotSent = errors.New("request was not sent")
	// ErrMaybe: the request may have been applied; read before concluding anything.
	ErrMaybe = errors.New("request may have been applied")
	// ErrRefused: etcd answered, with an error.
	ErrRefused = errors.New("etcd refused the request")
)

// Lease is the one etcd lease of this agent, on which its member key and, if it leads, the leader key hang.
type Lease struct {
	ID  int64
	TTL time.Duration
	// Expires is the earliest moment at which etcd can let the lease go: the TTL counted from just before
	// the last confirmed renewal was sent. etcd counts from when it handled that request, which is later, so
	// until Expires the lease lives. Zero: there is no lease.
	Expires clock.Instant
}

// NewLease is the only way to make a Lease, so that nobody counts from the arrival of the answer.
func NewLease(id int64, ttl time.Duration, sent clock.Instant) Lease {
	return Lease{ID: id, TTL: ttl, Expires: sent.Add(ttl)}
}

// Health is how the connection to etcd does.
type Health struct {
	// FailingSince is when the first of the present row of failures was noticed; zero while all is well. A
	// broken watch counts as a failure until it is back.
	FailingSince clock.Instant
	// LastError is the newest failure of that row.
	LastError error
	// LastSeen is the wall time of the last answer; zero before the first.
	LastSeen time.Time
}

// Store is a cluster's key space as its agent sees it: a watched local view, one lease, and the writes of
// keyspace.md. Each call is bounded in time by the implementation as well as by its context. Booleans
// report whether the compare held; a false with a nil error changed nothing. All methods are safe for
// concurrent use.
type Store interface {
	// Latest gives the newest complete view, nil before the first, without asking etcd. Own successful
	// writes are in it.
	Latest() (*cluster.View, Health)
	// Refresh reads the key space linearizably and gives the view of that read.
	Refresh(ctx context.Context) (*cluster.View, error)
	// Changed receives after every change of the view that is a reason to look at it, and of the health;
	// notifications coalesce. Own writes, a value that stays equal and a member key in which nothing but the
	// log positions moved are in the view but wake nobody: members that write their position in each turn
	// would otherwise wake each other without end.
	Changed() <-chan struct{}

	// Lease gives the lease as it was last confirmed.
	Lease() Lease
	// Renew keeps the lease alive, or grants a new one if there is none, if it was lost, or if its TTL is
	// not ttl. With lead it also proves, in a transaction after the renewal, that the leader key holds our
	// name, and moves that key to our lease if it hangs on another one (an agent that was restarted). holds
	// is false if the key holds another name or is gone.
	Renew(ctx context.Context, ttl time.Duration, lead bool) (lease Lease, holds bool, err error)

	// Forsake says that somebody else is ending a lease. If it is ours, the next Renew takes another one, to which
	// the keys are moved; it does not ask etcd.
	Forsake(lease int64)

	// AcquireLeader creates the leader key on our lease if it does not exist and if /failsafe is still of the
	// given revision; zero means it must not exist. After ErrMaybe the implementation reads back, so a true is
	// certain and a false means that somebody else has it, or that /failsafe has changed.
	AcquireLeader(ctx context.Context, failsafe int64) (bool, error)
	// ReleaseLeader deletes the leader key if it holds our name; with a status, that is put in the same
	// transaction.
	ReleaseLeader(ctx context.Context, status *cluster.Status) (bool, error)

	// PutMember writes our member key on our lease. Equal content on the same lease is not written again.
	PutMember(ctx context.Context, m cluster.Member) error
	// DeleteMember removes our member key (a clean end of the agent).
	DeleteMember(ctx context.Context) error

	// CreateInitialize makes /initialize with the given value if it does not exist. An empty one hangs on our lease:
	// it is gone when whoever was to fill it can't go on.
	CreateInitialize(ctx context.Context, systemID string) (bool, error)
	// PutInitialize overwrites /initialize if it is still of the given revision. Then it hangs on no lease.
	PutInitialize(ctx context.Context, systemID string, revision int64) (bool, error)
	// DeleteInitialize removes /initialize if it is still empty and of that revision.
	DeleteInitialize(ctx context.Context, revision int64) (bool, error)

	// PutConfig writes /config if its revision is still the one given; zero means it must not exist.
	PutConfig(ctx context.Context, raw []byte, revision int64) (bool, error)
	// PutFailover writes /failover if its revision is still the one given; zero means it must not exist. An
	// empty request is written as {}.
	PutFailover(ctx context.Context, req cluster.FailoverRequest, revision int64) (bool, error)
	// PutStatus and PutHistory write while the leader key holds our name. Equal content is not written again.
	PutStatus(ctx context.Context, s cluster.Status) (bool, error)
	PutHistory(ctx context.Context, h cluster.History) (bool, error)
	// PutSync writes /sync if its revision is still the one given; zero means it must not exist.
	PutSync(ctx context.Context, s cluster.SyncState, revision int64) (bool, error)
	// DeleteSync removes /sync if it is still of the given revision.
	DeleteSync(ctx context.Context, revision int64) (bool, error)

	// PutFailsafe writes /failsafe if its revision is still the one given, zero meaning that it must not exist,
	// and while the leader key holds our name.
	PutFailsafe(ctx context.Context, members map[string]string, revision int64) (bool, error)

	// SetTimeouts adapts the time limits of the calls to the cluster's settings.
	SetTimeouts(retry time.Duration)
	Close() error
}
