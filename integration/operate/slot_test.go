package operate

import (
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// slotVanishes: somebody drops the slot of a replica that streams. It is made again and used again without a hand.
func slotVanishes(t *testing.T, c *testcluster.Cluster, l *testcluster.Node) {
	r := c.Replicas(l)[0]
	slot := " FROM pg_replication_slots WHERE slot_name = '" + r.Name + "'"
	receiver := r.FreezeReceiver(enough) // or it would be back before the slot is dropped
	must(t, l, "SELECT pg_terminate_backend(active_pid)"+slot)
	c.WaitFor(enough, "the end of the slot of "+r.Name, func() bool {
		dropped, err := l.SQL("SELECT slot_name, pg_drop_replication_slot(slot_name)" + slot + " AND NOT active")
		return err == nil && dropped == r.Name
	})
	testcluster.End(receiver)
	c.WaitFor(enough, "the slot of "+r.Name+" in use again", func() bool {
		using, err := l.SQL("SELECT count(*)" + slot + " AND active AND restart_lsn IS NOT NULL")
		return err == nil && using == "1"
	})
}
