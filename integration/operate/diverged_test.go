package operate

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// diverge lets the leader acknowledge a row that no replica has, kills its node, waits for another leader, has
// that acknowledge a row of its own, and starts the node again.
func diverge(t *testing.T, c *testcluster.Cluster, row string) (old *testcluster.Node) {
	t.Helper()
	old = c.WaitHealthy(enough)
	must(t, old, "CREATE TABLE IF NOT EXISTS told (who text)")
	for _, r := range c.Replicas(old) {
		c.WaitFor(enough, "the table on "+r.Name, func() bool { _, err := r.SQL("SELECT FROM told"); return err == nil })
	}
	old.FreezeSenders(c.Replicas(old)...)
	must(t, old, "INSERT INTO told VALUES ('lost "+row+"')")
	old.Destroy()
	c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != old })
	must(t, c.Primary(), "INSERT INTO told VALUES ('kept "+row+"')")
	old.Run()
	return old
}

func must(t *testing.T, n *testcluster.Node, statement string) {
	t.Helper()
	if _, err := n.SQL(statement); err != nil {
		t.Fatalf("%s: %s: %v", n.Name, statement, err)
	}
}

const told = "SELECT coalesce(string_agg(who, ', ' ORDER BY who), '') FROM told"

// sameRows checks that a node has the leader's rows, the row that was kept and not the one that was lost.
func sameRows(t *testing.T, c *testcluster.Cluster, n *testcluster.Node, row string) {
	t.Helper()
	want, err := c.WaitHealthy(2 * enough).SQL(told)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(want, "kept "+row) || strings.Contains(want, "lost "+row) {
		t.Errorf("the leader has %q", want)
	}
	c.WaitFor(enough, "the leader's rows on "+n.Name, func() bool { got, err := n.SQL(told); return err == nil && got == want })
}

// TestDiverged: a former leader comes back with rows that nobody else has.
func TestDiverged(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 6, LoopWait: 2, Retry: 2})
	t.Run("rewound", func(t *testing.T) {
		c.T = t
		n := diverge(t, c, "rewound")
		sameRows(t, c, n, "rewound")
		if !strings.Contains(n.Log(), "running pg_rewind") {
			t.Errorf("%s was not rewound", n.Name)
		}
	})
	t.Run("cloned", func(t *testing.T) {
		c.T = t
		c.WaitHealthy(enough).Configure(`{"postgresql": {"use_pg_rewind": false, "remove_data_directory_on_diverged_timelines": true}}`)
		n := diverge(t, c, "cloned")
		sameRows(t, c, n, "cloned")
		if !strings.Contains(n.Log(), "reinitializing due to diverged timelines") {
			t.Errorf("%s was not cloned", n.Name)
		}
	})
	t.Run("left alone", func(t *testing.T) {
		c.T = t
		c.WaitHealthy(enough).Configure(`{"postgresql": {"remove_data_directory_on_diverged_timelines": null}}`)
		n := diverge(t, c, "alone")
		mark := n.Data + "/a-file-of-mine"
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		c.WaitFor(enough, "a word on what to do", func() bool {
			return strings.Contains(n.Log(), "can't be rewound: run reinit for "+n.Name) || strings.Contains(n.Log(), "can't be rewound; reinitialize it")
		})
		time.Sleep(5 * time.Second) // some turns of the loop, which must not do anything
		if _, err := os.Stat(mark); err != nil {
			t.Errorf("the data directory was touched: %v", err)
		}
		if got, err := n.SQL("SELECT count(*) || ' ' || pg_is_in_recovery() FROM told WHERE who = 'lost alone'"); got != "1 true" {
			t.Errorf("its row and its role: %q, %v", got, err)
		}
		c.Hathi("reinit", c.Scope, n.Name, "--force", "--wait")
		sameRows(t, c, n, "alone")
	})
	t.Run("behind", func(t *testing.T) {
		c.T = t
		behind(t, c)
	})
}

// behind: a replica lags by more than maximum_lag_on_failover. Another takes over; and while there is no other,
// nobody does until the leader is back.
func behind(t *testing.T, c *testcluster.Cluster) {
	l := c.WaitHealthy(enough)
	l.Configure(`{"maximum_lag_on_failover": 65536, "postgresql": {"use_pg_rewind": true}}`)
	other, lagging := c.Replicas(l)[0], c.Replicas(l)[1]
	lag(t, c, l, lagging)
	c.WaitFor(enough, "the other replica in the lead", func() bool { return c.Leader() == other })
	l.Run()
	l, other = c.WaitHealthy(enough), l
	other.Terminate(enough)
	lag(t, c, l, lagging)
	time.Sleep(10 * time.Second) // longer than a lease and a loop
	if !c.ReadOnly() {
		t.Errorf("a member that lags too far was promoted:\n%s", c.Describe())
	}
	l.Run()
	other.Run()
	c.WaitFor(enough, "the former leader in the lead again", func() bool { return c.Leader() == l })
	c.WaitHealthy(enough)
}

// lag lets a replica fall behind and kills the leader's node.
func lag(t *testing.T, c *testcluster.Cluster, l, lagging *testcluster.Node) {
	t.Helper()
	l.FreezeSenders(lagging)
	must(t, l, "CREATE TABLE IF NOT EXISTS big (text text)")
	must(t, l, "INSERT INTO big SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
	text, err := l.SQL("SELECT pg_current_wal_lsn()")
	if err != nil {
		t.Fatal(err)
	}
	position, err := cluster.ParseLSN(text)
	if err != nil {
		t.Fatal(err)
	}
	c.WaitFor(enough, "the position in etcd", func() bool { v := c.Look(); return v != nil && v.Status.Optime >= position })
	l.Destroy()
}
