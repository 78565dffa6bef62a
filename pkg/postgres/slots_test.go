package postgres

import (
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestLostSlot: a slot whose WAL the server has removed shows it, and is made anew in one go.
func TestLostSlot(t *testing.T) {
	cfg := keepsNoWAL(t)
	cfg.Parameters = append(cfg.Parameters, Parameter{"max_slot_wal_keep_size", "1MB"})
	p := primaryWith(t, cfg)
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"a"}}))
	sql(t, p, "CREATE TABLE public.a (b int)")
	for range 3 {
		sql(t, p, "INSERT INTO public.a VALUES (1)")
		sql(t, p, "SELECT pg_switch_wal()")
	}
	must(t, p, p.Checkpoint(t.Context())) // removes WAL
	if s := p.Observe(t.Context()); len(s.Slots) != 1 || s.Slots[0].WALStatus != "lost" {
		t.Fatalf("the WAL is gone: %+v", s.Slots)
	}
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Drop: []string{"a"}, Create: []string{"a"}}))
	if s := p.Observe(t.Context()); len(s.Slots) != 1 || s.Slots[0].WALStatus != "reserved" || s.Slots[0].RestartLSN == 0 {
		t.Errorf("made anew: %+v", s.Slots)
	}
}

// keepsNoWAL configures a primary whose next checkpoint removes the WAL that no slot holds.
func keepsNoWAL(t *testing.T) Config {
	t.Helper()
	cfg := newConfig(t, "node1")
	for n, c := range cfg.Controlled {
		if c.Name == "wal_keep_size" {
			cfg.Controlled[n].Value = "0"
		}
	}
	return cfg
}
