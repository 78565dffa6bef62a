package commands

import (
	"strings"
	"syscall"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

const later = "2030-01-01T00:00:00Z"

// dryRuns show what each command would do; the steps after them show that nothing was done.
func dryRuns() []step {
	return []step{
		{name: "dry-switchover", args: "hathi switchover --dry-run --candidate node2"},
		{name: "dry-switchover-json", args: "hathi switchover --dry-run --format json"},
		{name: "dry-failover", args: "hathi failover --dry-run --candidate node3"},
		{name: "dry-failover-json", args: "hathi failover --dry-run --candidate node3 --format json"},
		{name: "dry-refused", args: "hathi switchover --dry-run --candidate node1"},
		{name: "dry-pause", args: "hathi pause --dry-run"},
		{name: "dry-pause-json", args: "hathi pause --dry-run --format json"},
		{name: "dry-resume", args: "hathi resume --dry-run"},
		{name: "dry-restart", args: "hathi restart demo --dry-run -r replica"},
		{name: "dry-restart-json", args: "hathi restart demo node2 --dry-run --scheduled " + later + " --format json"},
		{name: "dry-reload", args: "hathi reload demo node2 --dry-run"},
		{name: "dry-reload-json", args: "hathi reload demo node2 --dry-run --format json"},
		{name: "dry-reinit", args: "hathi reinit demo node2 --dry-run"},
		{name: "dry-reinit-json", args: "hathi reinit demo node2 --from-leader --dry-run --format json"},
		{name: "dry-flush-restart", args: "hathi flush demo restart --dry-run"},
		{name: "dry-edit-config", args: "hathi edit-config --dry-run -s ttl=7"},
		{name: "dry-edit-config-json", args: "hathi edit-config --dry-run -q -s ttl=7 --format json"},
		{name: "dry-remove", args: "hathi remove demo --dry-run"},
		{name: "dry-remove-json", args: "hathi remove demo --dry-run -f json"},
		{name: "dry-demote", args: "hathi demote-cluster --dry-run --host 192.0.2.4"},
		{name: "dry-demote-json", args: "hathi demote-cluster --dry-run --restore-command 'cp /a/%f %p' --format json"},
		{name: "dry-promote", args: "hathi promote-cluster --dry-run"},
	}
}

func maintenance() []step {
	return []step{
		{name: "pause", args: "patronictl pause --wait", before: settled},
		{name: "pause-again", args: "patronictl pause"},
		{name: "list-paused", args: "patronictl list", before: settled},
		{name: "switchover-paused", args: "patronictl switchover --force --scheduled " + later},
		{name: "resume-json", args: "hathi resume --wait --format json"},
		{name: "resume-again", args: "hathi resume --format json"},
		{name: "pause-json", args: "hathi pause --wait --format json", before: settled},
		{name: "topology-paused", args: "patronictl topology", before: settled},
		{name: "dry-resume-paused", args: "hathi resume --dry-run --format json"},
		{name: "restart-paused", args: "patronictl restart demo node2 --force --scheduled " + later, before: settled},
		{name: "resume", args: "patronictl resume"},
		{name: "reload", args: "patronictl reload demo --force", before: settled},
		{name: "reload-asked", args: "patronictl reload demo node2", input: "y\n", before: settled},
		{name: "reload-json", args: "hathi reload demo node3 node2 --format json", input: "y\n"},
		{name: "reload-refused", args: "patronictl reload demo -r replica", input: "n\n", before: settled},
		{name: "reload-nobody", args: "patronictl reload demo nobody --force", before: settled},
		{name: "reload-no-answer", args: "hathi reload demo --format json"},
		{name: "edit-config", args: "patronictl edit-config -p max_files_per_process=900 -s maximum_lag_on_failover=2097152", input: "y\n"},
		{name: "edit-config-same", args: "patronictl edit-config -s maximum_lag_on_failover=2097152 --force"},
		{name: "edit-config-apply", args: "patronictl edit-config --apply -", input: "retry_timeout: 3\n"},
		{name: "edit-config-replace", args: "hathi edit-config --replace - --force --dry-run", input: "ttl: 6\nloop_wait: 2\nretry_timeout: 2\n"},
		{name: "edit-config-mistake", args: "hathi edit-config -s ttl=soon --force --format json"},
		{name: "edit-config-json", args: "hathi edit-config -s maximum_lag_on_failover=1048576 --force -q --format json"},
		{name: "list-pending", args: "patronictl list", before: pendingEverywhere},
		{name: "list-pending-json", args: "patronictl list -f json"},
		{name: "list-pending-tsv", args: "patronictl list -f tsv"},
		{name: "list-pending-yaml", args: "patronictl list -f yaml"},
		{name: "restart-pending", args: "patronictl restart demo --pending", input: "\ny\n\n", before: settled, passing: true},
		{name: "restart-scheduled", args: "patronictl restart demo node2 --scheduled " + later, input: "y\n\n", before: settled},
		{name: "restart-scheduled-twice", args: "hathi restart demo node2 --scheduled " + later + " --pg-version 99.1 --format json", input: "y\n"},
		{name: "list-restart", args: "patronictl list", before: restartScheduled},
		{name: "flush-restart", args: "patronictl flush demo node1 node2 restart", input: "y\n", before: settled},
		{name: "flush-restart-json", args: "hathi flush demo restart --force --format json"},
		{name: "restart-wait-json", args: "hathi restart demo node3 --force --wait --format json", before: settled, passing: true},
		{name: "restart-condition", args: "hathi restart demo node2 --force --pg-version 9.5.3", before: settled},
		{name: "restart-version", args: "patronictl restart demo node2 --pg-version 9.6", input: "\ny\n", before: settled},
		{name: "restart-timeout", args: "hathi restart demo node2 --force --timeout never", before: settled},
		{name: "restart-stranger", args: "hathi restart node2 --force"},
		{name: "restart-time", args: "patronictl restart demo node2 --scheduled soon", before: settled},
	}
}

// restartScheduled waits until the member shows it, which it does with its next turn.
func restartScheduled(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitFor(enough, "a scheduled restart", func() bool {
		m, ok := c.View().Member("node2")
		return ok && m.ScheduledRestart != nil
	})
	settled(c)
}

// pendingEverywhere waits until all members show what waits for their restart. It is a parameter that a replica need
// not have as large as the primary, or the agents would restart the replicas by themselves as soon as it has it.
func pendingEverywhere(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitFor(enough, "a pending restart of all", func() bool { return strings.Count(c.Hathi("list"), "max_files_per_process: 1000->900") == len(c.Nodes) })
	settled(c)
}

// leaders change the leader; at the end it is the first node again.
func leaders() []step {
	copies := 0 // of the second node, before it is reinitialized
	return []step{
		{name: "switchover-scheduled", args: "patronictl switchover --force --scheduled " + later, before: settled},
		{name: "list-scheduled", args: "patronictl list"},
		{name: "flush-switchover", args: "patronictl flush demo switchover"},
		{name: "switchover-scheduled-json", args: "hathi switchover --candidate node3 --force --scheduled " + later + " --format json"},
		{name: "dry-flush-switchover", args: "hathi flush demo switchover --dry-run"},
		{name: "flush-switchover-json", args: "hathi flush demo switchover --format json"},
		{name: "flush-switchover-none", args: "hathi flush demo switchover --format json"},
		{name: "switchover-past", args: "hathi switchover --force --scheduled 2020-01-01T00:00Z", before: settled},
		{name: "switchover-wrong-leader", args: "patronictl switchover --leader node2 --force", before: settled},
		{name: "switchover-stranger", args: "patronictl switchover --candidate nobody --force", before: settled},
		{name: "switchover-no-answer", args: "patronictl switchover", before: settled},
		{name: "switchover-no-answer-json", args: "hathi switchover --format json"},
		{name: "switchover-asked", args: "patronictl switchover", input: "\nnode2\n\nmaybe\ny\n", before: settled, passing: true},
		{name: "switchover-json", args: "hathi switchover --candidate node3 --force --wait --format json", before: settled, passing: true},
		{name: "switchover-wait", args: "hathi switchover --candidate node2 --force --wait", before: settled, passing: true},
		{name: "failover-asked", args: "patronictl failover", input: "node1\ny\n", before: settled, passing: true},
		{name: "failover-json", args: "hathi failover --candidate node2 --force --wait --format json", before: settled, passing: true},
		{name: "failover-wait", args: "hathi failover --candidate node1 --force --wait --timeout 60", before: settled, passing: true},
		{name: "failover-nobody", args: "patronictl failover --force", before: settled},
		{name: "history", args: "patronictl history", before: settled},
		{name: "history-tsv", args: "patronictl history -f tsv"},
		{name: "history-json", args: "patronictl history -f json"},
		{name: "history-yaml", args: "patronictl history -f yaml"},
		{name: "reinit-timeout", args: "hathi reinit demo node2 --force --wait --timeout 0.1", before: func(c *testcluster.Cluster) {
			c.T.Helper()
			followed(c)
			copies = copied(c.Nodes[1])
		}, after: func(c *testcluster.Cluster) {
			c.T.Helper()
			streamsAnew(c, c.Nodes[1], copies)
		}},
		{name: "reinit-asked", args: "patronictl reinit demo --wait", input: "node2\ny\n", before: settled},
		{name: "reinit-json", args: "hathi reinit demo node3 --force --wait --timeout 60 --format json", before: settled, passing: true},
		{name: "reinit-leader", args: "patronictl reinit demo node1 --force", before: settled},
		{name: "reinit-nobody", args: "patronictl reinit demo --force", before: settled},
		{name: "list-all", args: "hathi list --all -f tsv"},
	}
}

// endings turn the cluster into a standby cluster and back, and remove it at last.
func endings() []step {
	return []step{
		{name: "promote-needless", args: "patronictl promote-cluster --force"},
		{name: "demote-nowhere", args: "patronictl demote-cluster"},
		{name: "demote-refused", args: "patronictl demote-cluster --restore-command false", input: "n\n", before: settled},
		{name: "demote", args: "patronictl demote-cluster --restore-command false", input: "y\n", before: settled, passing: true},
		{name: "dry-promote-standby", args: "hathi promote-cluster --dry-run --format json"},
		{name: "promote", args: "patronictl promote-cluster --force", passing: true},
		{name: "demote-json", args: "hathi demote-cluster --restore-command false --timeout 60 --format json", input: "y\n", before: promoted, passing: true},
		{name: "promote-json", args: "hathi promote-cluster --force --timeout 60 --format json", passing: true},
		{name: "remove-wrong-tsv", args: "patronictl remove demo -f tsv", input: "other\n", before: promoted},
		{name: "remove-wrong-json", args: "patronictl remove demo -f json", input: "other\n"},
		{name: "remove-wrong-yaml", args: "patronictl remove demo --format yaml", input: "other\n"},
		{name: "remove-no-answer-json", args: "hathi remove demo --format json"},
		{name: "remove-wrong", args: "patronictl remove demo", input: "demo\nyes\n", before: settled},
		{name: "remove-json", args: "hathi remove demo -f json", input: "demo\nYes I am aware\nnode1\n", before: stopped},
	}
}

// copied gives how often a node has got its data by a copy.
func copied(n *testcluster.Node) int { return strings.Count(n.Log(), "bootstrapped from ") }

// streamsAnew waits until a node that nobody waits for has got one more copy and streams. Its key tells of the former server
// until the agent has stopped that.
func streamsAnew(c *testcluster.Cluster, n *testcluster.Node, copies int) {
	c.T.Helper()
	c.WaitFor(enough, "another copy on "+n.Name, func() bool { return copied(n) > copies })
	c.WaitFor(enough, n.Name+" streaming", func() bool {
		status, err := n.SQL("SELECT status FROM pg_stat_wal_receiver")
		return err == nil && status == "streaming"
	})
}

// followed changes the leader there and back, and restarts a member, in front of a person, who is told how it goes. A command
// that the machine stops for a moment finds everybody well after a switchover, so it is enough that one of two tells.
func followed(c *testcluster.Cluster) {
	c.T.Helper()
	settled(c)
	there := tells(c, "switchover --candidate node2 --force --wait", "Waiting: node1 ", func() {})
	if back := tells(c, "switchover --candidate node1 --force --wait", "Waiting: node2 ", func() {}); !there && !back {
		c.T.Error("no switchover has told whom it waits for")
	}
	n := c.Nodes[2]
	stops := func() int { return strings.Count(n.Log(), "received fast shutdown request") }
	before := stops()
	receiver := n.FreezeReceiver(enough) // the agent lets it go on after two seconds
	defer testcluster.Thaw(receiver)
	if !tells(c, "restart demo node3 --force --wait", "  node3: Replica, ", func() {
		c.WaitFor(enough, "the stop of "+n.Name, func() bool { return stops() > before })
		_ = syscall.Kill(n.Guard(), syscall.SIGHUP) // its next turn, which publishes that, could come when all is over
	}) {
		c.T.Error("the restart has not told how it goes")
	}
}

// tells runs a command in a terminal until its end, and reports whether it has told something before it was done.
func tells(c *testcluster.Cluster, args, what string, meanwhile func()) bool {
	c.T.Helper()
	d := talk(c.T.(*testing.T), c, "hathi", nil, strings.Fields(args)...)
	meanwhile()
	shown, told := d.await(what, enough)
	if code := d.ends(); code != 0 {
		c.T.Errorf("%s: exit code %d", args, code)
	}
	settled(c)
	return told && !strings.Contains(shown, "Success: restart")
}

// stopped ends the nodes, which would write their keys anew, but leaves a leader key.
func stopped(c *testcluster.Cluster) {
	c.T.Helper()
	for _, n := range c.Nodes {
		n.Destroy()
	}
	c.Put("leader", "node1")
}
