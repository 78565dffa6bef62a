package ctl

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Unwell says of each of the named members what keeps it from being a working part of the cluster, in the order of
// the names: the leader has to run, a replica to replicate from it on its timeline. Empty: nothing.
func Unwell(v *cluster.View, names []string) []string {
	var list []string
	leader, led := v.Member(v.Leader.Name)
	for _, name := range names {
		m, there := v.Member(name)
		switch {
		case !there:
			list = append(list, name+" is not there")
		case m.State != cluster.StateRunning:
			list = append(list, name+" is "+orNone(string(m.State)))
		case m.Name == v.Leader.Name && m.Role != cluster.RolePrimary && m.Role != cluster.RoleStandbyLeader:
			list = append(list, name+" leads and is "+string(m.Role)+" still")
		case m.Name == v.Leader.Name:
		case m.ReplicationState != "streaming" && m.ReplicationState != "in archive recovery":
			list = append(list, name+" does not stream")
		case led && m.Timeline != leader.Timeline:
			list = append(list, fmt.Sprintf("%s is on timeline %d, not %d", name, m.Timeline, leader.Timeline))
		}
	}
	if !v.Locked() {
		list = append(list, "nobody leads")
	}
	return list
}

// AwaitWell waits until all of the named members are working parts of the cluster, and gives that view. tell hears
// what is missing whenever that changes. It ends with its context.
func (c *Control) AwaitWell(ctx context.Context, scope string, names []string, tell func(missing []string)) (*cluster.View, error) {
	var told []string
	for {
		v, err := c.Store.Snapshot(ctx, scope)
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return nil, c.unfinished(err, told)
		}
		missing := Unwell(v, names)
		if len(missing) == 0 {
			return v, nil
		}
		if !slices.Equal(missing, told) {
			tell(missing)
			told = missing
		}
		if err := rest(ctx, followPause); err != nil {
			return nil, c.unfinished(err, missing)
		}
	}
}

// TimedOut is a wait that took longer than the user allowed.
type TimedOut struct{ Limit time.Duration }

func (t TimedOut) Error() string { return fmt.Sprintf("not done within %s", t.Limit) }

func (c *Control) unfinished(err error, missing []string) error {
	if len(missing) == 0 {
		return err
	}
	return fmt.Errorf("%w: %s", err, strings.Join(missing, ", "))
}
