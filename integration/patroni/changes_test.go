//go:build patroni

package patroni

import (
	"strings"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// planned has a switchover scheduled; unplanned has none.
func planned(c *testcluster.Cluster) {
	c.T.Helper()
	unplanned(c)
	c.Hathi("switchover", "--force", "--candidate", "node2", "--scheduled", later)
}

func unplanned(c *testcluster.Cluster) {
	c.T.Helper()
	firstLeads(c)
	c.Hathi("flush", "demo", "switchover")
}

// anotherLeads and restarted wait until what was asked for has happened.
func anotherLeads(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != c.Nodes[0] })
}

func restarted(c *testcluster.Cluster) {
	c.T.Helper()
	began := func() string {
		at, _ := c.Nodes[1].SQL("SELECT pg_postmaster_start_time()")
		return at
	}
	before := began()
	c.WaitFor(enough, "a restart of node2", func() bool { now := began(); return now != "" && now != before })
	c.WaitFor(enough, "no restart in any member key", func() bool { return !strings.Contains(c.Hathi("list"), "Scheduled") })
}

func leaders() []step {
	return []step{
		{args: "switchover --force --scheduled " + later, before: unplanned},
		{args: "switchover --scheduled " + later, input: "\n\ny\n", before: unplanned},
		{args: "list", before: planned},
		{args: "flush demo switchover", before: planned},
		{args: "flush demo switchover", before: unplanned},
		{args: "switchover --force --scheduled 2020-01-01T00:00Z", before: firstLeads},
		{args: "switchover --leader node2 --force", before: firstLeads},
		{args: "switchover --candidate node1 --force", before: firstLeads},
		{args: "switchover --candidate nobody --force", before: firstLeads},
		{args: "switchover", before: firstLeads},
		{args: "switchover", input: "\nnode2\n\nmaybe\ny\n", before: firstLeads, passing: true, after: leads(2)},
		{args: "switchover --leader node1 --candidate node3 --force", before: firstLeads, passing: true, after: leads(3)},
		{args: "switchover --force", before: firstLeads, passing: true, after: anotherLeads},
		{args: "switchover --force --candidate node2 --scheduled {soon}", before: unplanned, passing: true, after: leads(2)},
		{args: "restart demo node2 --force --scheduled {soon}", before: firstLeads, after: restarted},
		{args: "failover", input: "node2\ny\n", before: firstLeads, passing: true, after: leads(2)},
		{args: "failover --candidate node3 --force", before: firstLeads, passing: true, after: leads(3)},
		{args: "failover --force", before: firstLeads},
		{args: "failover --candidate node1 --force", before: firstLeads},
		{args: "history", before: firstLeads},
		{args: "history -f tsv"},
		{args: "history -f json"},
		{args: "history -f yaml"},
		{args: "reinit demo node2 --force --wait", before: firstLeads, after: settled},
		{args: "reinit demo --wait", input: "node3\ny\n", before: firstLeads, after: settled},
		{args: "reinit demo node1 --force", before: firstLeads},
		{args: "reinit demo --force", before: firstLeads},
		{args: "reinit demo node2", input: "n\n", before: firstLeads},
	}
}

// follows reports whether the cluster is to be a standby cluster.
func follows(c *testcluster.Cluster) bool {
	return strings.Contains(string(c.View().Config.Raw), "standby_cluster")
}

// isStandby waits until the cluster follows another, which it is made to first; isPrimary is the way back.
func isStandby(c *testcluster.Cluster) {
	c.T.Helper()
	if !follows(c) {
		c.Hathi("demote-cluster", "--restore-command", "false", "--force")
	}
	c.WaitFor(enough, "a standby leader", func() bool {
		v := c.View()
		m, ok := v.Member(v.Leader.Name)
		return ok && m.Role == cluster.RoleStandbyLeader && m.State == cluster.StateRunning
	})
}

func isPrimary(c *testcluster.Cluster) {
	c.T.Helper()
	if follows(c) {
		c.Hathi("promote-cluster", "--force")
	}
	c.WaitSettled(enough)
}

func standby() []step {
	return []step{
		{args: "promote-cluster --force", before: isPrimary},
		{args: "demote-cluster", before: isPrimary},
		{args: "demote-cluster --restore-command false", input: "n\n", before: isPrimary},
		{args: "demote-cluster --restore-command false --force", passing: true, before: isPrimary, after: isStandby},
		{args: "promote-cluster --force", passing: true, before: isStandby, after: isPrimary},
		{args: "list", before: isStandby},
	}
}

// stopped ends the nodes and leaves keys, as if one had ended without cleaning up.
func stopped(c *testcluster.Cluster) {
	c.T.Helper()
	for _, n := range c.Nodes {
		n.Destroy()
		c.Delete("members/" + n.Name)
	}
	c.Put("initialize", "7000000000000000001")
	c.Put("config", `{"ttl":20}`)
	c.Put("members/node1", `{"conn_url":"postgres://127.0.0.1:5432/postgres","api_url":"http://127.0.0.1:8008/patroni","state":"running","role":"replica","timeline":1}`)
}

// locked is stopped, with a leader.
func locked(c *testcluster.Cluster) { c.T.Helper(); stopped(c); c.Put("leader", "node1") }

func gone(c *testcluster.Cluster) {
	c.T.Helper()
	if text := c.Hathi("list"); !strings.Contains(text, "uninitialized") || strings.Contains(text, "node") {
		c.T.Errorf("keys are left:\n%s", text)
	}
}

func removal() []step {
	return []step{
		{args: "remove demo", input: "demo\nyes\n", before: locked},
		{args: "remove demo", input: "demo2\n"},
		{args: "remove demo", input: "demo\nYes I am aware\nnode2\n"},
		{args: "remove demo -f json", input: "demo\nYes I am aware\nnode1\n", before: locked, after: gone},
		{args: "remove demo", input: "demo\nYes I am aware\n", before: func(c *testcluster.Cluster) { stopped(c); c.Delete("leader") }, after: gone},
	}
}
