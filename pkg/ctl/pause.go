package ctl

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// configTimeout bounds one PATCH /config, which takes the server one write to etcd.
const configTimeout = 15 * time.Second

// CheckPause refuses to pause a paused cluster, and to resume one that is not.
func CheckPause(v *cluster.View, pause bool) error {
	switch paused := Paused(v); {
	case paused && pause:
		return refuse("Cluster is already paused")
	case !paused && !pause:
		return refuse("Cluster is not paused")
	}
	return nil
}

// Pause asks one member after the other, the leader first, to switch maintenance mode, until one answers.
func (c *Control) Pause(ctx context.Context, v *cluster.View, pause bool) (Answer, error) {
	var b body
	if pause {
		b.set("pause", true)
	} else {
		b.set("pause", nil)
	}
	for _, m := range leaderFirst(v) {
		answer, err := c.call(ctx, configTimeout, http.MethodPatch, m.APIURL, "config", b.String())
		if err == nil || asPlanned(err) {
			return answer, err
		}
		if ctx.Err() != nil {
			return Answer{}, context.Cause(ctx)
		}
		c.warn(ctx, err.Error())
		c.warn(ctx, fmt.Sprintf("Member %s is not accessible", m.Name))
	}
	return Answer{}, refuse("Can not find accessible cluster member")
}

// leaderFirst gives the members that have a REST API, the leader before the others.
func leaderFirst(v *cluster.View) []cluster.Member {
	var list []cluster.Member
	for _, m := range v.Members {
		switch {
		case m.APIURL == "":
		case m.Name == v.Leader.Name:
			list = slices.Insert(list, 0, m)
		default:
			list = append(list, m)
		}
	}
	return list
}

// AwaitPause waits until all members that had a REST API when before was read publish the wanted state, at
// most for the limit (by contract the cluster's loop_wait) and a second. It gives the names of those that don't, and
// after how long.
func (c *Control) AwaitPause(ctx context.Context, scope string, before *cluster.View, pause bool, limit time.Duration) (late []string, waited time.Duration, err error) {
	waited = limit
	for end := time.Now().Add(waited + time.Second); ; {
		v, err := c.Store.Snapshot(ctx, scope)
		if err != nil {
			return nil, 0, err
		}
		late = nil
		for _, m := range v.Members {
			if old, known := before.Member(m.Name); known && old.APIURL != "" && m.Pause != pause {
				late = append(late, m.Name)
			}
		}
		if len(late) == 0 || time.Now().After(end) {
			return late, waited, nil
		}
		if err := rest(ctx, followPause); err != nil {
			return nil, 0, err
		}
	}
}
