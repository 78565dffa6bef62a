package ctl

import (
	"context"
	"fmt"
	"net/http"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Scheduled reports whether a switchover waits for its time.
func Scheduled(v *cluster.View) bool {
	return v.Failover.Pending() && !v.Failover.ScheduledAt.IsZero()
}

// Flushed is what became of the removal of a scheduled switchover.
type Flushed struct {
	// Answer settled it; nil if no member could.
	Answer *Answer
	// Written: the request is gone from etcd. False with a nil Answer means that somebody else has changed it.
	Written bool
}

// FlushSwitchover asks one member after the other, the leader first, to forget the scheduled switchover. told
// hears of each answer that settles nothing. Without a member that answers, the request is removed from etcd,
// if it is still the one of v.
func (c *Control) FlushSwitchover(ctx context.Context, scope string, v *cluster.View, told func(member string, a Answer)) (Flushed, error) {
	for _, m := range leaderFirst(v) {
		answer, err := c.call(ctx, askTimeout, http.MethodDelete, m.APIURL, "switchover", "")
		switch {
		case asPlanned(err):
			return Flushed{}, err
		case err != nil && ctx.Err() != nil:
			return Flushed{}, context.Cause(ctx)
		case err != nil:
			c.warn(ctx, err.Error())
			c.warn(ctx, fmt.Sprintf("Member %s is not accessible", m.Name))
		case answer.Status == http.StatusOK || answer.Status == http.StatusNotFound:
			return Flushed{Answer: &answer, Written: answer.Status == http.StatusOK}, nil
		default:
			told(m.Name, answer)
		}
	}
	c.warn(ctx, "Failing over to DCS")
	ok, err := c.store().PutFailover(ctx, scope, cluster.FailoverRequest{}, v.Failover.Revision)
	if err != nil {
		return Flushed{}, fmt.Errorf("remove the scheduled switchover from etcd: %w", err)
	}
	return Flushed{Written: ok}, nil
}
