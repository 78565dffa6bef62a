//go:build patroni

package patroni

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// own gives commands under the name hathi, with what they have beyond patronictl: the exit code tells whether it was
// done, and with --wait it is done when the command ends.
func own(t *testing.T, c *testcluster.Cluster) {
	for _, s := range []struct {
		args   string
		before func(*testcluster.Cluster)
		code   int
		done   func(c *testcluster.Cluster, out string) bool
	}{
		{"list --all -f json", isPrimary, 0, says(`"Member": "node3"`)}, // it may be a standby cluster so far
		{"pause --wait --format json", resumed, 0, says(`"ok": true`)},
		{"pause", paused, 1, says("already paused")},
		{"resume --wait --format json", paused, 0, says(`"ok": true`)},
		{"switchover --dry-run --candidate node2", firstLeads, 0, leading("node1")},
		{"switchover --force --candidate node2 --wait --format json", firstLeads, 0, leading("node2")},
		{"switchover --force --candidate nobody", firstLeads, 1, leading("node1")},
		{"switchover --force --scheduled 2020-01-01T00:00Z", firstLeads, 1, says("in the past")},
		{"failover --force --candidate node3 --wait", firstLeads, 0, leading("node3")},
		{"reload demo --force --format json", firstLeads, 0, says(`"ok": true`)},
		{"restart demo node2 --force --wait --format json", firstLeads, 0, streams("node2")},
		{"restart demo node2 --force --pg-version 9.5.3", firstLeads, 1, says("conditions are not satisfied")},
		{"reinit demo node3 --force --wait --timeout 60 --format json", firstLeads, 0, streams("node3")},
		{"edit-config -s maximum_lag_on_failover=1048577 --force --format json", reset, 0, says(`"ok": true`)},
		{"edit-config -s ttl=soon --force", reset, 1, says("ttl")},
		{"explain", firstLeads, 0, says("node1")},
	} {
		t.Run(s.args, func(t *testing.T) {
			c.T = t
			s.before(c)
			out, code := c.RunAs("hathi", "", []string{"TZ=UTC"}, strings.Fields(s.args)...)
			if code != s.code || !s.done(c, out) {
				t.Errorf("exit code %d, want %d, or not done:\n%s\n%s", code, s.code, out, c.Hathi("list"))
			}
		})
	}
	c.T = t
}

func says(text string) func(*testcluster.Cluster, string) bool {
	return func(_ *testcluster.Cluster, out string) bool { return strings.Contains(out, text) }
}

func leading(name string) func(*testcluster.Cluster, string) bool {
	return func(c *testcluster.Cluster, _ string) bool { return c.View().Leader.Name == name }
}

func streams(name string) func(*testcluster.Cluster, string) bool {
	return func(c *testcluster.Cluster, _ string) bool {
		m, _ := c.View().Member(name)
		return m.ReplicationState == "streaming"
	}
}
