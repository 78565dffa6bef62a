package commands

import (
	"slices"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// exchange is what a terminal shows and what is typed then.
type exchange struct{ shown, typed string }

const (
	when    = "  [now]: "
	version = "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: "
)

// questions answers every command that asks, in a terminal, up to the point where something would be done, and then
// says no. hathi asks again after a wrong answer, and completes names; patronictl ends there.
func questions(t *testing.T, c *testcluster.Cluster) {
	for _, q := range []struct {
		program, args string
		talk          []exchange
		last          string
	}{
		{"patronictl", "failover", []exchange{{"Candidate ['node2', 'node3'] []: ", "node3\r"}, {"demoting current leader node1? [y/N]: ", "no\r"}}, "Error: Aborting failover"},
		{"hathi", "failover", []exchange{{"Candidate ['node2', 'node3'] []: ", "\r"}, {"Error: Failover could be performed only to a specific candidate", ""}, {"Candidate ['node2', 'node3'] []: ", "n\t\t"}, {"node2  node3", "3\r"}, {"demoting current leader node1? [y/N]: ", "maybe\r"}, {"Error: invalid input", ""}, {"[y/N]: ", "n\r"}}, "Error: Aborting failover"},
		{"hathi", "switchover", []exchange{{"Primary [node1]: ", "node2\r"}, {"Error: Member node2 is not the leader of cluster demo", ""}, {"Primary [node1]: ", "n\t\r"}, {"Candidate ", "node2\r"}, {when, "soon\r"}, {"Error: Unable to parse scheduled timestamp (soon)", ""}, {when, "2030-01-01T00:00Z\r"}, {"at 2030-01-01T00:00:00+00:00, demoting current leader node1? [y/N]: ", "\r"}}, "Error: Aborting scheduled switchover"},
		{"patronictl", "reinit demo", []exchange{{"Which member do you want to reinitialize [node2, node3]? []: ", "node1\r"}}, "Error: node1 is not a member of cluster"},
		{"hathi", "reinit demo", []exchange{{"Which member do you want to reinitialize [node2, node3]? []: ", "node1\r"}, {"Error: node1 is not a member of cluster", ""}, {"[node2, node3]? []: ", "no\t2\r"}, {"Are you sure you want to reinitialize members node2? [y/N]: ", "n\r"}}, "Error: Aborted reinitialize"},
		{"patronictl", "restart demo node2", []exchange{{when, "\r"}, {"Are you sure you want to restart members node2? [y/N]: ", "y\r"}, {version, "9.6\r"}}, "Error: Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6"},
		{"hathi", "restart demo node2", []exchange{{when, "later\r"}, {"Error: Unable to parse", ""}, {when, "\r"}, {"[y/N]: ", "y\r"}, {version, "9.6\r"}, {"Error: Invalid PostgreSQL version format", ""}, {version, "\x04"}}, "Aborted!"},
		{"hathi", "reload demo", []exchange{{"Are you sure you want to reload members node1, node2, node3? [y/N]: ", "\r"}}, "Error: Aborted reload"},
		{"hathi", "flush demo restart", []exchange{{"Are you sure you want to flush members node1, node2, node3? [y/N]: ", "N\r"}}, "Error: Aborted flush"},
		{"patronictl", "remove demo", []exchange{{"Please confirm the cluster name to remove: ", "demo\r"}, {`please type: "Yes I am aware": `, "Yes I am aware\r"}, {"Please specify the leader name to continue: ", "node2\r"}}, "Error: You did not specify the current leader of the cluster"},
		{"hathi", "remove demo", []exchange{{"Please confirm the cluster name to remove: ", "\r"}, {"Please confirm the cluster name to remove: ", "demo\r"}, {`please type: "Yes I am aware": `, "yes\r"}}, `Error: You did not exactly type "Yes I am aware"`},
		{"hathi", "demote-cluster --restore-command false", []exchange{{"Are you sure you want to demote demo cluster? [y/N]: ", "n\r"}}, "Error: Aborted cluster demotion"},
		{"hathi", "edit-config -q -s ttl=60", []exchange{{"Apply these changes? [y/N]: ", "\x04"}}, "Aborted!"},
	} {
		t.Run(q.program+" "+q.args, func(t *testing.T) {
			d := talk(t, c, q.program, nil, strings.Fields(q.args)...)
			for _, e := range q.talk {
				d.expect(e.shown)
				d.press(e.typed)
			}
			d.expect(q.last)
			if code := d.ends(); code != 1 {
				t.Errorf("exit code %d", code)
			}
		})
	}
	v := c.View()
	if v.Leader.Name != "node1" || len(v.Members) != len(c.Nodes) || slices.ContainsFunc(v.Members, func(m cluster.Member) bool { return m.ScheduledRestart != nil }) {
		t.Errorf("something was done: %s", c.Describe())
	}
}
