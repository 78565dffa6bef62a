package ctl

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Store is what the commands need of etcd. Every call is bounded in time.
type Store interface {
	// Snapshot reads all keys of a cluster at one revision, linearizably.
	Snapshot(ctx context.Context, scope string) (*cluster.View, error)
	// PutFailover writes /failover if its revision is still the one given; zero means it must not exist.
	// A false changed nothing. An empty request is written as {}.
	PutFailover(ctx context.Context, scope string, req cluster.FailoverRequest, revision int64) (bool, error)
	// PutConfig writes /config on the same terms.
	PutConfig(ctx context.Context, scope string, raw []byte, revision int64) (bool, error)
	// DeleteCluster removes every key of a cluster and gives how many there were.
	DeleteCluster(ctx context.Context, scope string) (int64, error)
}

// REST is what the commands need of the members' REST API. Any HTTP status is an answer; an error means
// there was none. One for which WasNotSent is true is a proof that the request had no effect.
type REST interface {
	Do(ctx context.Context, method, url string, body []byte) (Answer, error)
}

// Answer is what a member's REST API replied, shown to the user as it is.
type Answer struct {
	Status int
	Body   string
}

// Control carries out requests. The zero value of Now is the system's clock, that of Log discards. It is
// safe for concurrent use if its edges are.
type Control struct {
	Store Store
	REST  REST
	Now   func() time.Time
	Log   *slog.Logger
	// DryRun: nothing is changed. What would change something ends in a Planned error instead.
	DryRun bool
}

func (c *Control) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

func (c *Control) warn(ctx context.Context, text string, args ...any) {
	if c.Log != nil {
		c.Log.WarnContext(ctx, text, args...)
	}
}

// Refusal is a request that the present state of the cluster, or its own contents, forbid. Its text is
// complete and meant for the user; nothing has been changed.
type Refusal struct{ Text string }

func (r Refusal) Error() string { return r.Text }

func refuse(format string, args ...any) error { return Refusal{fmt.Sprintf(format, args...)} }

// rest waits between two looks at the cluster. The missing event: the commands hold no watch on etcd, and
// the members' REST API has nothing to subscribe to.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
