package slots

import (
	"fmt"
	"os"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestCascade: a replica streams from another one with a slot there, and the primary keeps WAL for it and no more than
// it needs. When the one between is gone, the replica streams from the primary, and turns back when it has returned.
func TestCascade(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{TTL: 5, LoopWait: 1, Retry: 1})
	primary := c.Primary()
	between, last := c.Replicas(primary)[0], c.Replicas(primary)[1]
	run(t, primary, `CREATE TABLE t (n int)`)
	config, err := os.ReadFile(last.Config)
	if err != nil {
		t.Fatal(err)
	}
	tags := fmt.Sprintf("tags:\n  replicatefrom: %s\n", between.Name)
	if err := os.WriteFile(last.Config, append(config, tags...), 0o644); err != nil {
		t.Fatal(err)
	}
	c.Hathi("reload", c.Scope, last.Name, "--force")
	streams := func(from *testcluster.Node) func() bool {
		return func() bool { return has(from, last.Name, "AND active") }
	}
	rows := 0
	arrives := func() {
		t.Helper()
		rows++
		run(t, primary, `INSERT INTO t VALUES (1)`)
		c.WaitFor(enough, "a row at the end of the cascade", func() bool {
			got, err := last.SQL(`SELECT count(*) FROM t`)
			return err == nil && got == fmt.Sprint(rows)
		})
	}

	c.WaitFor(enough, last.Name+" to stream from "+between.Name, streams(between))
	arrives()
	at := run(t, primary, `SELECT pg_current_wal_flush_lsn()`)
	c.WaitFor(enough, "the slot on the primary to go forward", func() bool {
		run(t, primary, `SELECT pg_logical_emit_message(false, 'hathi', 'more')`)
		return has(primary, last.Name, "AND NOT active AND restart_lsn >= '"+at+"'")
	})

	between.Destroy()
	c.WaitFor(enough, last.Name+" to stream from the primary", streams(primary))
	arrives()

	between.Run()
	c.WaitFor(enough, last.Name+" to stream from "+between.Name+" again", streams(between))
	arrives()
}
