// Package explain_test asks a cluster of real processes to explain itself.
package explain_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/explain"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// TestExplain holds what is explained against what then happens: a healthy cluster, one that is paused and has no
// leader, one whose etcd is away, and one whose leader has died.
func TestExplain(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 5, LoopWait: 1, Retry: 2})
	leader := c.Primary()
	replicas := c.Replicas(leader)

	var r explain.Report
	c.WaitFor(20*time.Second, "a cluster of which both replicas could take over", func() bool {
		r = report(c)
		return len(r.Failover.Winners) == 2 && r.Switchover.Possible
	})
	if r.Leader != leader.Name || !r.Failover.LostIsBound || r.Failover.LostBytes == nil || len(r.Switchover.Candidates) != 2 || len(r.Notes) != 0 {
		t.Errorf("healthy: %+v", r)
	}
	for _, m := range r.Members {
		if m.Now == nil || m.Hathi == "" || m.LSN == "" {
			t.Errorf("healthy: %+v", m)
		}
	}
	t.Log(c.Hathi("explain"))
	t.Log(c.Hathi("explain", replicas[0].Name))

	c.Etcd.Kill(0) // a clean stop takes so long that etcd drops the members' keys first
	var text string
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("explained last:\n" + text)
		}
	})
	c.WaitFor(30*time.Second, "replicas that miss etcd", func() bool {
		text, _ = c.TryHathi("", "explain")
		for _, n := range replicas {
			if !strings.Contains(text, n.Name+" has had no answer from etcd for ") {
				return false
			}
		}
		return true
	})
	t.Log(text)
	for _, want := range []string{"etcd can't be read from here", "DCS is not accessible", "not possible: ", "without etcd nobody can take the leader key"} {
		if !strings.Contains(text, want) {
			t.Errorf("etcd is away, and %q is not said", want)
		}
	}
	c.Etcd.Start(0)
	leader = c.WaitHealthy(60 * time.Second)

	c.Hathi("pause", "--wait")
	leader.Terminate(30 * time.Second) // a paused cluster keeps PostgreSQL running
	testcluster.Kill(leader.Postmaster())
	c.WaitFor(30*time.Second, "a paused cluster without a leader", func() bool {
		r = report(c)
		return r.Leader == "" && r.Paused
	})
	if len(r.Failover.Winners) != 0 || r.Switchover.Possible {
		t.Errorf("nobody is promoted in pause: %+v", r)
	}
	t.Log(c.Hathi("explain"))

	c.Hathi("resume")
	c.WaitFor(30*time.Second, "a new leader", func() bool {
		next := c.Leader()
		return next != nil && next != leader
	})
	if now := report(c).Leader; !slices.ContainsFunc(c.Nodes, func(n *testcluster.Node) bool { return n != leader && n.Name == now }) {
		t.Errorf("%q leads after the pause", now)
	}
}

// report asks for the report; a cluster that can't be asked right now gives an empty one.
func report(c *testcluster.Cluster) explain.Report {
	var r explain.Report
	out, err := c.TryHathi("", "explain", "--format", "json")
	if err != nil {
		return r
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		c.T.Fatalf("%v in %s", err, out)
	}
	return r
}
