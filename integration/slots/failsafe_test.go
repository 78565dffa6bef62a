package slots

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestSlotsFollowWithoutEtcd: while etcd is away and the primary goes on in failsafe mode, the slots of the replica
// follow: the logical one, the permanent physical one, and the one that is kept for the primary itself.
func TestSlotsFollowWithoutEtcd(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{
		Nodes: 2, TTL: 6, LoopWait: 1, Retry: 1,
		DCS: "    wal_level: logical\n    wal_receiver_status_interval: 1s\nfailsafe_mode: true\n" +
			"slots:\n  app: {type: logical, database: postgres, plugin: test_decoding}\n  other: {type: physical}\n",
	})
	primary := c.Primary()
	replica := c.Replicas(primary)[0]
	run(t, primary, `CREATE TABLE t (n int)`)
	c.WaitFor(enough, "all members in /failsafe", func() bool { return len(c.View().Failsafe) == 2 })
	c.WaitFor(enough, "the slots on both", func() bool {
		consume(t, primary, "app") // its consumer is at work
		if native(t, primary) {
			run(t, primary, `SELECT pg_log_standby_snapshot()`)
		}
		return has(primary, "other", "") && has(replica, "other", "") && has(replica, "app", "") && has(replica, primary.Name, "")
	})
	c.WaitHealthy(enough)

	c.Etcd.Pause(0)
	c.WaitFor(enough, "the primary to go on without etcd", func() bool {
		_, document := primary.Get("/patroni")
		return strings.Contains(document, `"failsafe_mode_is_active": true`)
	})
	run(t, primary, `INSERT INTO t SELECT generate_series(1, 1000)`)
	if got := consume(t, primary, "app"); len(got) != 1000 {
		t.Errorf("%d changes of 1000", len(got))
	}
	run(t, primary, `SELECT pg_replication_slot_advance('other', pg_current_wal_flush_lsn())`)
	for slot, at := range map[string]string{
		"app":        run(t, primary, `SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'app'`),
		"other":      run(t, primary, `SELECT restart_lsn FROM pg_replication_slots WHERE slot_name = 'other'`),
		primary.Name: run(t, primary, `SELECT pg_current_wal_flush_lsn()`),
	} {
		c.WaitFor(enough, "slot "+slot+" of the replica at "+at, func() bool {
			return has(replica, slot, `AND coalesce(confirmed_flush_lsn, restart_lsn) >= '`+at+`'`)
		})
	}
	if _, document := primary.Get("/patroni"); !strings.Contains(document, `"failsafe_mode_is_active": true`) {
		t.Errorf("etcd was not away all the time: %s", document)
	}
	c.Etcd.Resume(0)
	if c.WaitHealthy(enough) != primary {
		t.Error("another one leads")
	}
}
