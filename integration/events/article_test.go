package events

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestArticle tells the story of the article that started the project: two nodes and an etcd.
func TestArticle(t *testing.T) {
	o := quick
	o.Nodes = 2
	c := testcluster.Start(t, o)
	first := c.Primary()
	second := c.Replicas(first)[0]

	must(t, first, "CREATE TABLE employees (id serial PRIMARY KEY, name text NOT NULL, role text NOT NULL, salary numeric(10,2))")
	must(t, first, "INSERT INTO employees (name, role, salary) VALUES ('saka', 'DBA', 100.00), ('yoko', 'Developer', 200.00)")
	c.WaitFor(enough, "both rows on the replica", func() bool { return rows(second) == "2" })
	document(t, first, "role", "primary")
	document(t, second, "role", "replica")
	document(t, second, "replication_state", "streaming")

	// Failover: node1 stops, node2 takes over and accepts writes.
	first.Terminate(enough)
	c.WaitFor(enough, "the second node as leader", func() bool { return c.Leader() == second })
	must(t, second, "INSERT INTO employees (name, role, salary) VALUES ('nanasi', 'DevOps', 500.00)")

	// node1 comes back as a replica with everything.
	first.Run()
	c.WaitHealthy(enough)
	c.WaitFor(enough, "three rows on the node that came back", func() bool { return rows(first) == "3" })
	document(t, first, "role", "replica")

	// Fail back: node2 stops, node1 leads again; node2 returns.
	second.Terminate(enough)
	c.WaitFor(enough, "the first node as leader", func() bool { return c.Leader() == first })
	second.Run()
	c.WaitHealthy(enough)

	// etcd stops: both are replicas and nobody writes. It starts: one leads, the other follows.
	c.Etcd.Stop(0)
	c.WaitFor(enough, "end of writes without etcd", func() bool { return c.ReadOnly() })
	for _, n := range c.Nodes {
		c.WaitFor(enough, "three rows on "+n.Name+" without etcd", func() bool { return rows(n) == "3" })
	}
	c.Etcd.Start(0)
	leader := c.WaitHealthy(enough)

	// Switchover, by question and answer.
	other := c.Replicas(leader)[0]
	out, err := c.TryHathi("\ny\n", "switchover", c.Scope, "--leader", leader.Name, "--candidate", other.Name)
	if err != nil || !strings.Contains(out, fmt.Sprintf("Successfully switched over to %q", other.Name)) {
		t.Fatalf("switchover: %v\n%s", err, out)
	}
	if now := c.WaitHealthy(enough); now != other {
		t.Errorf("%s leads after the switchover, want %s", now.Name, other.Name)
	}
	// Waited for: the guard had given up the lease of the former leader, and when etcd carries that out its member
	// key is gone until it has written it anew.
	for _, want := range []string{"| Leader  | running   |", "| Replica | streaming |", "+ Cluster: demo ("} {
		c.WaitFor(enough, "list with "+want, func() bool { return strings.Contains(c.Hathi("list"), want) })
	}
	c.WaitFor(enough, "topology with "+leader.Name+" below the leader", func() bool { return strings.Contains(c.Hathi("topology"), "| + "+leader.Name) })
	if history := c.Hathi("history"); strings.Count(history, "no recovery target specified") < 3 {
		t.Errorf("history with fewer than three changes:\n%s", history)
	}
}

func must(t *testing.T, n *testcluster.Node, query string) {
	t.Helper()
	if _, err := n.SQL(query); err != nil {
		t.Fatalf("%s on %s: %v", query, n.Name, err)
	}
}

func rows(n *testcluster.Node) string {
	count, err := n.SQL("SELECT count(*) FROM employees")
	if err != nil {
		return err.Error()
	}
	return count
}

// document checks one field of the status document that a node serves.
func document(t *testing.T, n *testcluster.Node, field, want string) {
	t.Helper()
	_, raw := n.Get("/patroni")
	var doc map[string]any
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	if doc[field] != want {
		t.Errorf("%s of %s is %v, want %s: %s", field, n.Name, doc[field], want, raw)
	}
}
