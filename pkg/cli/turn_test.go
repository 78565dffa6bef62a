package cli

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// roles is the cluster with a leader that says a role and a state of itself, and others that run.
func roles(leader string, role cluster.Role, state cluster.State) *cluster.View {
	return demo(func(v *cluster.View) {
		v.Leader.Name = leader
		for i := range v.Members {
			v.Members[i].Role = cluster.RoleReplica
			if v.Members[i].Name == leader {
				v.Members[i].Role, v.Members[i].State = role, state
			}
		}
	})
}

func TestTurnCluster(t *testing.T) {
	patched := map[string][]ctl.Answer{"PATCH node1/config": answer(200, "{}")}
	primary, standby := roles("node1", "primary", "running"), roles("node1", "standby_leader", "running")
	moved := roles("node2", "standby_leader", "running")
	moved.Members[0].State = "stopped"
	const now = "2026-11-23 02:30:30 "
	const top = "Current cluster topology\n…\n"
	for _, c := range []struct {
		args, input string
		views       []*cluster.View
		answers     map[string][]ctl.Answer
		want        string
		code        int
	}{
		{args: "demote-cluster", want: "Error: At least --host, --port or --restore-command should be specified\n", code: 1},
		{args: "demote-cluster --host far", input: "n\n", views: []*cluster.View{primary}, want: top + "Are you sure you want to demote demo cluster? [y/N]: Error: Aborted cluster demotion\n", code: 1},
		{args: "demote-cluster --host far", views: []*cluster.View{standby}, want: "Error: Cluster is already in the required state\n", code: 1},
		{args: "demote-cluster --port 1 --force", views: []*cluster.View{led("")}, want: "Error: Cluster has no leader, demotion is not possible\n", code: 1},
		{args: "demote-cluster --host far --force", views: []*cluster.View{primary}, want: top + "Error: Failed to demote demo cluster: connection refused\n", code: 1},
		{
			args: "demote-cluster --host far --force", views: []*cluster.View{primary}, answers: map[string][]ctl.Answer{"PATCH node1/config": answer(503, "no")},
			want: top + "Error: Failed to demote demo cluster: Failed to demote demo cluster: /config PATCH status code=503, (no)\n", code: 1,
		},
		{
			args: "demote-cluster --host far --force", answers: patched,
			views: []*cluster.View{primary, moved, roles("node1", "standby_leader", "stopping"), standby},
			want: top + now + "cluster is unlocked: False, leader role: standby_leader, leader state: running, previous leader state: 'stopped'\n" +
				now + "cluster is unlocked: False, leader role: standby_leader, leader state: stopping\n" + now + "cluster is successfully demoted\n…\n",
		},
		{
			args: "promote-cluster", input: "y\n", answers: patched, views: []*cluster.View{standby, led(""), primary},
			want: top + "Are you sure you want to promote demo cluster? [y/N]: " + now + "cluster is unlocked: True, leader role: None, leader state: None\n" +
				now + "cluster is successfully promoted\n…\n",
		},
		{args: "promote-cluster", views: []*cluster.View{primary}, want: "Error: Cluster is already in the required state\n", code: 1},
	} {
		t.Run(c.args, func(t *testing.T) {
			t.Parallel()
			f := &fakeCluster{views: c.views, answers: map[string][]ctl.Answer{}}
			for k, v := range c.answers {
				f.answers[k] = v
			}
			got, code := run(t, f, "patronictl", c.input, strings.Fields(c.args)...)
			if got = withoutTables(got); got != c.want || code != c.code {
				t.Errorf("got (exit %d)\n%s\nwant (exit %d)\n%s", code, got, c.code, c.want)
			}
		})
	}
}
