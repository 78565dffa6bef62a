// Package standby lets one cluster of real processes follow another.
package standby

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// TestStandbyCluster: a cluster is founded as the standby of another, gets its rows, fails over inside, stands for
// itself, and becomes a standby again although it has written what the other never had.
func TestStandbyCluster(t *testing.T) {
	timing := testcluster.Options{Nodes: 2, TTL: 6, LoopWait: 1, Retry: 1}
	first := timing
	first.Scope = "alpha"
	a := testcluster.Start(t, first)
	far := a.Primary()
	second := timing
	second.Scope, second.EtcdAt = "beta", a.Etcd.Addresses()
	second.DCS = fmt.Sprintf("standby_cluster:\n  host: 127.0.0.1\n  port: %d", far.Port)
	b := testcluster.Prepare(t, second)
	for _, n := range b.Nodes {
		n.Run()
	}
	leader := awaitStandby(b)
	execute(t, far, "CREATE TABLE rows (id int); INSERT INTO rows VALUES (1)")
	awaitRows(b, b.Nodes, "1")
	judgeStandby(t, b, leader)

	leader.Terminate(enough)
	other := b.Replicas(leader)[0]
	b.WaitFor(enough, "the other member leading", func() bool { v := b.Look(); return v != nil && v.Leader.Name == other.Name })
	leader.Run()
	awaitStandby(b)
	execute(t, far, "INSERT INTO rows VALUES (2)")
	awaitRows(b, b.Nodes, "2")

	b.Hathi("switchover", "--candidate", leader.Name, "--force")
	if now := awaitStandby(b); now != leader {
		t.Errorf("%s leads after a switchover to %s", now.Name, leader.Name)
	}
	execute(t, far, "INSERT INTO rows VALUES (3)")
	awaitRows(b, b.Nodes, "3")

	if out := b.Hathi("promote-cluster", "--force"); !strings.Contains(out, "cluster is successfully promoted") {
		t.Errorf("promote-cluster says:\n%s", out)
	}
	own := b.WaitHealthy(enough)
	execute(t, own, "INSERT INTO rows VALUES (100), (101), (102)")
	awaitRows(b, b.Nodes, "6")

	execute(t, far, "INSERT INTO rows VALUES (4)")
	out := b.Hathi("demote-cluster", "--host", "127.0.0.1", "--port", fmt.Sprint(far.Port), "--force")
	if !strings.Contains(out, "cluster is successfully demoted") {
		t.Errorf("demote-cluster says:\n%s", out)
	}
	awaitStandby(b)
	awaitRows(b, b.Nodes, "4")
	judgeStandby(t, b, b.Node(b.View().Leader.Name))
}

// awaitStandby waits until a standby leader leads and all servers stream.
func awaitStandby(c *testcluster.Cluster) *testcluster.Node {
	c.T.Helper()
	c.WaitFor(2*enough, "a standby leader and everybody streaming", func() bool {
		v := c.Look()
		if v == nil || len(v.Members) != len(c.Nodes) {
			return false
		}
		for _, m := range v.Members {
			role := cluster.RoleReplica
			if m.Name == v.Leader.Name {
				role = cluster.RoleStandbyLeader
			}
			if m.Role != role || m.State != cluster.StateRunning || m.ReplicationState != "streaming" {
				return false
			}
		}
		return v.Locked()
	})
	return c.Node(c.View().Leader.Name)
}

func awaitRows(c *testcluster.Cluster, nodes []*testcluster.Node, want string) {
	c.T.Helper()
	for _, n := range nodes {
		c.WaitFor(enough, want+" rows on "+n.Name, func() bool {
			got, err := n.SQL("SELECT count(*)::text FROM rows")
			return err == nil && got == want
		})
	}
}

func execute(t *testing.T, n *testcluster.Node, sql string) {
	t.Helper()
	for statement := range strings.SplitSeq(sql, "; ") {
		if _, err := n.SQL(statement); err != nil {
			t.Fatalf("%s on %s: %v", statement, n.Name, err)
		}
	}
}

// judgeStandby: nobody accepts writes, and everybody says what it is.
func judgeStandby(t *testing.T, c *testcluster.Cluster, leader *testcluster.Node) {
	t.Helper()
	for _, n := range c.Nodes {
		want := map[string]int{"standby-leader": 503, "primary": 503, "replica": 200}
		if n == leader {
			want = map[string]int{"standby-leader": 200, "primary": 503, "replica": 503, "leader": 200}
		}
		for path, code := range want {
			if got, _ := n.Get("/" + path); got != code {
				t.Errorf("GET /%s of %s is %d, want %d", path, n.Name, got, code)
			}
		}
		if _, err := n.SQL("INSERT INTO rows VALUES (0)"); err == nil {
			t.Errorf("%s accepts writes", n.Name)
		}
	}
	if list := c.Hathi("list"); !strings.Contains(list, "| Standby Leader |") {
		t.Errorf("list shows no standby leader:\n%s", list)
	}
}
