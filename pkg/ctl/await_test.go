package ctl_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// well is a cluster in which everybody works.
func well(change func(v *cluster.View)) *cluster.View {
	return demo(func(v *cluster.View) {
		for i := range v.Members {
			v.Members[i].Timeline, v.Members[i].Role, v.Members[i].ReplicationState = 2, cluster.RoleReplica, "streaming"
		}
		v.Members[0].Role, v.Members[0].ReplicationState = cluster.RolePrimary, ""
		if change != nil {
			change(v)
		}
	})
}

func TestUnwell(t *testing.T) {
	for _, c := range []struct {
		change func(v *cluster.View)
		want   string
	}{
		{nil, ""},
		{func(v *cluster.View) { v.Members[0].Role = cluster.RoleStandbyLeader }, ""},
		{func(v *cluster.View) { v.Members[0].Role = cluster.RolePromoted }, "node1 leads and is promoted still"},
		{func(v *cluster.View) { v.Members[1].State = cluster.StateRestarting }, "node2 is restarting"},
		{func(v *cluster.View) { v.Members[1].ReplicationState = "" }, "node2 does not stream"},
		{func(v *cluster.View) { v.Members[2].Timeline = 1 }, "node3 is on timeline 1, not 2"},
		{func(v *cluster.View) { v.Members = v.Members[:2] }, "node3 is not there"},
		{func(v *cluster.View) { v.Leader = cluster.Leader{} }, "node1 does not stream; nobody leads"},
	} {
		if got := strings.Join(ctl.Unwell(well(c.change), []string{"node1", "node2", "node3"}), "; "); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestAwaitWell(t *testing.T) {
	ill := well(func(v *cluster.View) { v.Members[1].State = cluster.StateRestarting })
	c := ctl.Control{Store: &fakeStore{views: []*cluster.View{ill, ill, well(nil)}}}
	var told []string
	_, err := c.AwaitWell(t.Context(), "demo", []string{"node1", "node2"}, func(missing []string) { told = append(told, missing...) })
	wantError(t, err, "")
	wantEqual(t, told, []string{"node2 is restarting"})

	ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, ctl.TimedOut{Limit: time.Second})
	defer cancel()
	c.Store = &fakeStore{views: []*cluster.View{ill}}
	_, err = c.AwaitWell(ctx, "demo", []string{"node2"}, func([]string) {})
	wantError(t, err, "not done within 1s: node2 is restarting")
	if !errors.As(err, &ctl.TimedOut{}) {
		t.Errorf("%v is not known as a time-out", err)
	}
}
