//go:build patroni

package patroni

import (
	"fmt"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestMigrateSlot: a permanent logical slot that Patroni has made goes along to hathi and back, with everything that its
// consumer has not taken yet.
func TestMigrateSlot(t *testing.T) {
	m := &migration{Cluster: found(t, "", 1, 2, 3), t: t}
	m.Nodes[0].Configure(`{"postgresql": {"parameters": {"wal_level": "logical"}}}`)
	m.WaitFor(enough, "a pending restart of all", func() bool { return countPending(m.Cluster) == len(m.Nodes) })
	m.Hathi("restart", "demo", "--force")
	m.WaitSettled(enough)
	m.Nodes[0].Configure(`{"slots": {"keep": {"type": "logical", "database": "postgres", "plugin": "test_decoding"}}}`)
	m.everywhere()
	marks := 0
	mark := func() {
		t.Helper()
		marks++
		leader := m.WaitHealthy(enough)
		if _, err := leader.SQL(fmt.Sprintf("CREATE TABLE IF NOT EXISTS marks (id int); INSERT INTO marks VALUES (%d)", marks)); err != nil {
			t.Fatal(err)
		}
	}
	mark()
	for _, patroni := range []bool{false, true} {
		m.bySwitchover(patroni)
		mark()
		m.everywhere()
		leader := m.WaitHealthy(enough)
		seen, err := leader.SQL("SELECT count(*) FROM pg_logical_slot_peek_changes('keep', NULL, NULL) WHERE data LIKE '%marks: INSERT%'")
		if err != nil || seen != fmt.Sprint(marks) {
			t.Errorf("under %s the slot of %s gives %s of %d rows (%v)", kind(patroni), leader.Name, seen, marks, err)
		}
	}
}

func countPending(c *testcluster.Cluster) int {
	n := 0
	for _, m := range c.View().Members {
		if m.PendingRestart {
			n++
		}
	}
	return n
}

// everywhere waits until each node has the slot, with the WAL that it needs.
func (m *migration) everywhere() {
	m.t.Helper()
	for _, n := range m.Nodes {
		m.WaitFor(enough, "the slot on "+n.Name, func() bool {
			has, err := n.SQL("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'keep' AND confirmed_flush_lsn IS NOT NULL AND wal_status <> 'lost'")
			return err == nil && has == "1"
		})
	}
}
