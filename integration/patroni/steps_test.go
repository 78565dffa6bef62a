//go:build patroni

package patroni

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

const later = "2030-01-01T00:00:00+00:00"

// TestPatronictlDrivesHathi: Patroni's patronictl gives every command to members of hathi, and prints what hathi
// prints when it is called by that name.
func TestPatronictlDrivesHathi(t *testing.T) {
	every(t, found(t, ""))
}

// TestHathiDrivesPatroni is the same on members of Patroni.
func TestHathiDrivesPatroni(t *testing.T) {
	every(t, found(t, "", 1, 2, 3))
}

func every(t *testing.T, c *testcluster.Cluster) {
	for _, part := range []struct {
		name  string
		steps []step
	}{
		{"reading", reading()},
		{"queries", queries()},
		{"configuration", configuration()},
		{"maintenance", maintenance()},
		{"leaders", leaders()},
		{"standby", standby()},
	} {
		t.Run(part.name, func(t *testing.T) { both(t, c, part.steps) })
	}
	t.Run("own", func(t *testing.T) { own(t, c) })
	t.Run("removal", func(t *testing.T) { both(t, c, removal()) })
}

func settled(c *testcluster.Cluster) { c.T.Helper(); c.WaitSettled(enough) }

// firstLeads has the first node lead and nobody lag.
func firstLeads(c *testcluster.Cluster) { c.T.Helper(); lead(c, c.Nodes[0]) }

// leads says who must lead after a command.
func leads(i int) func(*testcluster.Cluster) {
	return func(c *testcluster.Cluster) {
		c.T.Helper()
		c.WaitFor(enough, c.Nodes[i-1].Name+" leading", func() bool { return c.Leader() == c.Nodes[i-1] })
	}
}

// reading changes nothing.
func reading() []step {
	return []step{
		{args: "list", before: settled},
		{args: "list -e"},
		{args: "list demo -f tsv"},
		{args: "list demo -f json"},
		{args: "list demo -f yaml"},
		{args: "list -t -f json demo nosuch"},
		{args: "list nosuch"},
		{args: "list -f xml"},
		{args: "topology"},
		{args: "history"},
		{args: "history -f json"},
		{args: "show-config"},
		{args: "dsn"},
		{args: "dsn -m node3"},
		{args: "dsn -r replica"},
		{args: "dsn -m nobody"},
		{args: "version demo nobody"},
	}
}

const everyType = `'select 1 a, null n, true t, 2.0::float8 f, 1.50 num, ~{1,2}~::int[] i, ~{"b":[1,null],"a":"x"}~::json j'`

func queries() []step {
	return []step{
		{args: "query -c " + everyType},
		{args: "query --format pretty -c " + everyType},
		{args: "query --format json -c 'select 1 a, null n, true t, 2.0::float8 f, ~x~ s'"},
		{args: "query --format yaml -c 'select 1 a, null n, true t, 2.0::float8 f, ~x~ s'"},
		{args: "query --delimiter | -r replica -c 'select pg_is_in_recovery(), 1'"},
		{args: "query -f -", input: "select 1 as first; select 2 as second"},
		{args: "query -c selec"},
		{args: "query -c selec --format json"},
		{args: "query -c selec --format pretty"},
		{args: "query -c 'set work_mem to ~1MB~'"},
		{args: "query -r standby-leader -c 'select 1'"},
		{args: "query -m nobody -c 'select 1'"},
		{args: "query"},
	}
}

// reset gives the keys that are changed below the value of the founding. Patroni compares with a copy of the
// configuration that may be old, and then finds nothing to change: so it is asked again.
func reset(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitFor(enough, "the configuration of the founding", func() bool {
		now := string(c.View().Config.Raw)
		if strings.Contains(now, `"maximum_lag_on_failover":1048576`) && !strings.Contains(now, "work_mem") {
			return true
		}
		c.Nodes[0].Configure(`{"maximum_lag_on_failover": 1048576, "postgresql": {"parameters": {"work_mem": null}}}`)
		return false
	})
}

func configuration() []step {
	var steps []step
	for _, s := range []step{
		{args: "edit-config -s maximum_lag_on_failover=2097152 --force"},
		{args: "edit-config -p work_mem=5MB -s maximum_lag_on_failover=3145728", input: "y\n"},
		{args: "edit-config -p work_mem=5MB", input: "n\n"},
		{args: "edit-config -p work_mem=5MB"},
		{args: "edit-config -q -p work_mem=5MB --force"},
		{args: "edit-config --apply - --force", input: "postgresql: {parameters: {work_mem: 6MB}}\n"},
		{args: "edit-config --apply -", input: "postgresql: {parameters: {work_mem: 6MB}}\n"},
		{args: "edit-config -s maximum_lag_on_failover=1048576 --force"},
		{args: "edit-config -s nothing --force"},
		{args: "edit-config"},
	} {
		s.before = reset
		steps = append(steps, s)
	}
	return append(steps, step{args: "show-config", before: reset})
}

// paused and resumed set maintenance mode, and wait until all know of it.
func paused(c *testcluster.Cluster)  { c.T.Helper(); pause(c, true) }
func resumed(c *testcluster.Cluster) { c.T.Helper(); pause(c, false) }

func pause(c *testcluster.Cluster, on bool) {
	c.T.Helper()
	c.WaitSettled(enough)
	c.WaitFor(enough, "everybody to know of the pause", func() bool {
		v, all := c.View(), true
		for _, m := range v.Members {
			all = all && m.Pause == on
		}
		if set := strings.Contains(string(v.Config.Raw), `"pause":true`); set != on {
			c.Nodes[0].Configure(map[bool]string{true: `{"pause": true}`, false: `{"pause": null}`}[on])
			return false
		}
		return all && len(v.Members) == len(c.Nodes)
	})
	c.WaitSettled(enough)
}

// pending waits until all members need a restart.
func pending(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitSettled(enough)
	value := "900"
	if now, err := c.Nodes[0].SQL("SHOW max_files_per_process"); err == nil && now == value {
		value = "800"
	}
	c.Nodes[0].Configure(`{"postgresql": {"parameters": {"max_files_per_process": ` + value + `}}}`)
	c.WaitFor(enough, "a pending restart of all", func() bool { return strings.Count(c.Hathi("list"), "->"+value) == len(c.Nodes) })
	c.WaitSettled(enough)
}

func nonePending(c *testcluster.Cluster) {
	c.T.Helper()
	c.WaitFor(enough, "no pending restart", func() bool { return !strings.Contains(c.Hathi("list"), "Pending") })
}

// scheduled has a restart of the second node scheduled, and none of others.
func scheduled(c *testcluster.Cluster) {
	c.T.Helper()
	c.Hathi("restart", "demo", "node2", "--force", "--scheduled", later)
	c.WaitFor(enough, "the restart in the member key", func() bool { return strings.Contains(c.Hathi("list"), "2030-01-01") })
	c.WaitSettled(enough)
}

// unscheduled has none. Patroni may have dropped one that its key still tells of: that the flush fails then says nothing.
func unscheduled(c *testcluster.Cluster) {
	c.T.Helper()
	_, _ = c.TryHathi("", "flush", "demo", "restart", "--force")
	c.WaitFor(enough, "no restart in any member key", func() bool { return !strings.Contains(c.Hathi("list"), "2030-01-01") })
	c.WaitSettled(enough)
}

func maintenance() []step {
	return []step{
		{args: "pause --wait", before: resumed},
		{args: "pause", before: paused},
		{args: "list", before: paused},
		{args: "switchover --force --scheduled " + later, before: paused},
		{args: "restart demo --force --scheduled " + later, before: paused},
		{args: "resume --wait", before: paused},
		{args: "resume", before: resumed},
		{args: "reload demo --force", before: settled},
		{args: "reload demo node2", input: "y\n", before: settled},
		{args: "reload demo -r replica", input: "n\n", before: settled},
		{args: "reload demo nobody --force", before: settled},
		{args: "list", before: pending},
		{args: "list -f json"},
		{args: "list -f yaml"},
		{args: "restart demo --pending", input: "\ny\n\n", before: pending, passing: true, after: nonePending},
		{args: "restart demo --role replica --any --pending --scheduled now --force", before: settled},
		{args: "restart demo node2 --force", before: settled},
		{args: "restart demo node2 --scheduled " + later, input: "y\n\n", before: unscheduled},
		{args: "restart demo node2 --scheduled " + later, input: "y\n\n", before: scheduled},
		{args: "restart demo node2 --force --scheduled " + later, before: scheduled},
		{args: "list", before: scheduled},
		{args: "list -f json", before: scheduled},
		{args: "flush demo node1 node2 restart", input: "y\n", before: scheduled},
		{args: "flush demo restart --force", before: unscheduled},
		{args: "restart demo node2 --force --pg-version 9.5.3", before: settled},
		{args: "restart demo node2 --pg-version 9.6", input: "\ny\n", before: settled},
		{args: "restart demo node2 --scheduled soon", before: settled},
		{args: "restart nosuch --force"},
		{args: "restart demo nobody --force", before: settled},
	}
}
