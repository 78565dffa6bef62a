package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const (
	// followFor is how long the cluster is watched when nobody could say what became of a change.
	followFor = 30 * time.Second
	// followPause is the rest between two looks.
	followPause = 200 * time.Millisecond
)

// Outcome is what became of a change of leader.
type Outcome struct {
	// OK: it has happened, or is scheduled, or (FellBack) is written to etcd.
	OK bool
	// FellBack: no REST API could be reached, and the request is in etcd, for the members to see.
	FellBack bool
	At       time.Time
	Text     string        // the server's words; a failure has its status code in front
	View     *cluster.View // a fresh picture; nil after a failure
}

// Execute carries a change out and returns when the leader has changed, or the change has failed or is
// scheduled.
//
// The request goes to etcd instead only if it certainly did not reach the member: with the answer merely
// lost the switchover may be under way, and a second request would demote the leader that it made. Then,
// and when the server itself does not know, the leader key is watched and what it shows is reported.
func (c *Control) Execute(ctx context.Context, ch *Change) (Outcome, error) {
	// The server waits for the change for two loops of at least ten seconds each, then gives up.
	limit := 2*max(10*time.Second, LoopWait(ch.View)) + 15*time.Second
	answer, err := c.call(ctx, limit, http.MethodPost, ch.target(), string(ch.Kind), ch.body())
	if err == nil && answer.Status == http.StatusNotImplemented && strings.Contains(answer.Body, "Server does not support this operation") {
		answer, err = c.call(ctx, limit, http.MethodPost, ch.target(), "failover", ch.body())
	}
	switch {
	case asPlanned(err):
		return Outcome{}, err
	case err != nil && ctx.Err() != nil:
		return Outcome{}, context.Cause(ctx)
	case WasNotSent(err):
		c.warn(ctx, err.Error())
		return c.fallBack(ctx, ch)
	case err != nil:
		return c.follow(ctx, ch, err.Error())
	case answer.Status == http.StatusOK || answer.Status == http.StatusAccepted:
		v, err := c.Store.Snapshot(ctx, ch.Scope)
		return Outcome{OK: true, At: c.now(), Text: answer.Body, View: v}, err
	case strings.HasSuffix(answer.Body, "status unknown"):
		return c.follow(ctx, ch, fmt.Sprintf("%d, %s", answer.Status, answer.Body))
	}
	return Outcome{At: c.now(), Text: fmt.Sprintf("%d, %s", answer.Status, answer.Body)}, nil
}

// fallBack writes the request to etcd if the cluster still is as it was when the user decided.
func (c *Control) fallBack(ctx context.Context, ch *Change) (Outcome, error) {
	c.warn(ctx, "Failing over to DCS")
	v, err := c.Store.Snapshot(ctx, ch.Scope)
	if err != nil {
		return Outcome{}, err
	}
	if v.Leader.Name != ch.Leader {
		return Outcome{}, refuse("the leader of cluster %s is %q now, not %q: nothing was changed", ch.Cluster, v.Leader.Name, ch.Leader)
	}
	if v.Failover.Pending() && v.Failover.ScheduledAt.IsZero() {
		return Outcome{}, refuse("another %s of cluster %s is under way: nothing was changed", v.Failover.Action(), ch.Cluster)
	}
	ok, err := c.store().PutFailover(ctx, ch.Scope, ch.request(), v.Failover.Revision)
	if err != nil {
		return Outcome{}, fmt.Errorf("write the %s request to etcd: %w", ch.Kind, err)
	}
	if !ok {
		return Outcome{}, refuse("somebody else asked for a change of leader at the same moment: nothing was changed")
	}
	return Outcome{OK: true, FellBack: true, At: c.now(), View: v}, nil
}

// follow finds out from the leader key what became of a change; doubt is what is reported if it shows none.
func (c *Control) follow(ctx context.Context, ch *Change, doubt string) (Outcome, error) {
	v, err := c.Follow(ctx, ch)
	if err != nil {
		return Outcome{}, err
	}
	if v == nil {
		return Outcome{At: c.now(), Text: doubt}, nil
	}
	return Outcome{OK: true, At: c.now(), Text: ch.Success(v.Leader.Name), View: v}, nil
}

// Follow watches the leader key until another member holds it than when the change was planned, and gives
// that view; nil if the request was dropped or nothing happened within half a minute.
func (c *Control) Follow(ctx context.Context, ch *Change) (*cluster.View, error) {
	for end := time.Now().Add(followFor); ; {
		v, err := c.Store.Snapshot(ctx, ch.Scope)
		if err != nil {
			return nil, err
		}
		dropped := !v.Failover.Pending() && v.Leader.Name == ch.Leader
		scheduled := !v.Failover.ScheduledAt.IsZero() && v.Failover.Pending()
		switch {
		case v.Locked() && v.Leader.Name != ch.Leader:
			return v, nil
		case dropped || scheduled || time.Now().After(end):
			return nil, nil
		}
		if err := rest(ctx, followPause); err != nil {
			return nil, err
		}
	}
}

// Success is the server's wording for a change that ended with the given leader.
func (c *Change) Success(leader string) string {
	verb := "Switched over"
	if c.Kind == Failover {
		verb = "Failed over"
	}
	if want := c.candidate(); want != "" && want != leader {
		return fmt.Sprintf("%s to %q instead of %q", verb, leader, want)
	}
	return fmt.Sprintf("Successfully %s%s to %q", strings.ToLower(verb[:1]), verb[1:], leader)
}
