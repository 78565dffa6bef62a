// Package slots looks at replication slots of a cluster: permanent logical ones, whose consumer loses nothing when the
// primary dies, and what becomes of the others.
package slots

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// TestLogicalSlotFailsOver: a consumer confirms up to some change; the node of the primary dies; on the next primary
// the consumer gets every change after that, and is served again when the old primary is back and takes over.
func TestLogicalSlotFailsOver(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{
		Nodes: 2, TTL: 5, LoopWait: 1, Retry: 1,
		DCS: "    wal_level: logical\n    wal_receiver_status_interval: 1s\n    wal_keep_size: 256MB\n" +
			"slots:\n  app: {type: logical, database: postgres, plugin: test_decoding}\n  other: {type: physical}\n" +
			"ignore_slots:\n- {name: mine}",
	})
	old := c.Primary()
	next := c.Replicas(old)[0]
	run(t, old, `CREATE TABLE t (n int)`)
	c.WaitFor(enough, "the logical slot on the primary", func() bool { return has(old, "app", "") })
	mustSeeOnlyWanted(t, c, old)

	c.WaitFor(enough, "a slot on the replica that can be used", func() bool {
		consume(t, old, "app") // its consumer is at work
		if native(t, old) {
			run(t, old, `SELECT pg_log_standby_snapshot()`)
			return has(next, "app", "AND synced AND NOT temporary")
		}
		return strings.Contains(next.Log(), "Logical slot app is safe to be used after a failover")
	})
	run(t, old, `INSERT INTO t SELECT generate_series(1, 100)`)
	if got := consume(t, old, "app"); len(got) != 100 {
		t.Fatalf("%d changes of 100", len(got))
	}
	confirmed := run(t, old, `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'app'`)
	run(t, old, `INSERT INTO t SELECT generate_series(101, 200)`)
	c.WaitFor(enough, "the slot of the replica to follow", func() bool {
		return has(next, "app", "AND confirmed_flush_lsn >= '"+confirmed+"'")
	})
	end := run(t, old, `SELECT pg_current_wal_flush_lsn()`)
	c.WaitFor(enough, "the replica to have it all", func() bool {
		return run(t, next, `SELECT pg_last_wal_replay_lsn() >= '`+end+`'`) == "t"
	})

	old.Destroy()
	c.WaitFor(enough, "another primary", func() bool { return run(t, next, `SELECT pg_is_in_recovery()`) == "f" })
	got := consume(t, next, "app")
	for n := 101; n <= 200; n++ {
		if !got[fmt.Sprint(n)] {
			t.Errorf("change %d is missing after the failover", n)
		}
	}
	if len(got) != 100 {
		t.Errorf("%d changes after the failover, wanted 100", len(got))
	}
	if strings.Contains(next.Log(), "might be unsafe") {
		t.Error("it warns of a slot that is safe")
	}

	old.Run()
	c.WaitHealthy(enough)
	c.WaitFor(enough, "the slot on the old primary to be at the new one's", func() bool {
		run(t, next, `INSERT INTO t SELECT 0`)
		consume(t, next, "app")
		at := run(t, next, `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'app'`)
		if native(t, next) {
			run(t, next, `SELECT pg_log_standby_snapshot()`)
			return has(old, "app", "AND synced AND NOT temporary")
		}
		return has(old, "app", "AND confirmed_flush_lsn >= '"+confirmed+"'") && at != ""
	})
}

// mustSeeOnlyWanted makes slots that the cluster does not want and one that it is told to leave alone.
func mustSeeOnlyWanted(t *testing.T, c *testcluster.Cluster, n *testcluster.Node) {
	t.Helper()
	run(t, n, `SELECT pg_create_logical_replication_slot('mine', 'test_decoding')`)
	run(t, n, `SELECT pg_create_logical_replication_slot('stray', 'test_decoding'), pg_create_physical_replication_slot('stray2', true)`)
	c.WaitFor(enough, "stray slots to go", func() bool { return !has(n, "stray", "") && !has(n, "stray2", "") })
	if !has(n, "mine", "") || !has(n, "other", "AND restart_lsn IS NOT NULL") {
		t.Error("a slot that is to stay, or to be made, is not there")
	}
	if !strings.Contains(n.Log(), "ignore_slots") || !strings.Contains(n.Log(), "slot=stray ") {
		t.Error("the log does not name the slot and what keeps it")
	}
}

func native(t *testing.T, n *testcluster.Node) bool {
	return run(t, n, `SELECT current_setting('server_version_num')::int >= 170000`) == "t"
}

func run(t *testing.T, n *testcluster.Node, sql string) string {
	t.Helper()
	out, err := n.SQL(sql)
	if err != nil {
		t.Fatalf("%s on %s: %v", sql, n.Name, err)
	}
	return strings.TrimSpace(out)
}

// has reports whether a node has a slot for which more holds.
func has(n *testcluster.Node, name, more string) bool {
	out, err := n.SQL(`SELECT count(*) FROM pg_replication_slots WHERE slot_name = '` + name + `' ` + more)
	return err == nil && strings.TrimSpace(out) == "1"
}

// consume takes what a slot has, and gives the numbers that were inserted.
func consume(t *testing.T, n *testcluster.Node, slot string) map[string]bool {
	t.Helper()
	out := run(t, n, `SELECT string_agg(data, E'\n') FROM pg_logical_slot_get_changes('`+slot+`', NULL, NULL)`)
	got := map[string]bool{}
	for line := range strings.Lines(out) {
		if _, number, ok := strings.Cut(strings.TrimSpace(line), "INSERT: n[integer]:"); ok {
			got[number] = true
		}
	}
	return got
}
