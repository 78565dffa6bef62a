package postgres

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestLogicalSlotSurvivesFailover: what the consumer of a slot has not confirmed when the primary dies is all there on
// the replica that takes over, and nothing else is missing.
func TestLogicalSlotSurvivesFailover(t *testing.T) {
	p, r := logicalPair(t)
	app := map[string]cluster.PermanentSlot{"app": {Logical: true, Database: "postgres", Plugin: "test_decoding"}}
	_, err := p.SyncLogicalSlots(t.Context(), cluster.LogicalSlotPlan{Create: app})
	must(t, p, err)
	sql(t, p, `CREATE TABLE public.t (n int)`)
	sql(t, p, `INSERT INTO public.t SELECT generate_series(1, 100)`)
	if got := changes(t, p, "app"); len(got) != 100 {
		t.Fatalf("consumed %d changes of 100: %v", len(got), got)
	}
	native := syncsSlots.has(majorVersion(p.cfg.DataDir))
	if native {
		if s := p.Observe(t.Context()); len(s.Slots) != 1 || len(s.FailoverSlots) != 1 {
			t.Errorf("the slot belongs to PostgreSQL: %+v, %+v", s.Slots, s.FailoverSlots)
		}
		// The standby takes it on once it needs only what the standby has: when its consumer has gone past a snapshot.
		eventually(t, r, "taken on by the server", func(s cluster.Server) bool {
			sql(t, p, `SELECT pg_log_standby_snapshot()`)
			changes(t, p, "app")
			return slotNamed(s.FailoverSlots, "app").Synced
		})
	} else {
		copyTo(t, p, r, app)
	}

	sql(t, p, `INSERT INTO public.t SELECT generate_series(101, 150)`)
	if got := changes(t, p, "app"); len(got) != 50 {
		t.Fatalf("consumed %d changes of 50: %v", len(got), got)
	}
	sql(t, p, `INSERT INTO public.t SELECT generate_series(151, 200)`)
	eventually(t, r, "caught up", caughtUp(p))
	if native {
		confirmed := slotNamed(p.Observe(t.Context()).FailoverSlots, "app").ConfirmedLSN
		eventually(t, r, "synchronized by the server", func(s cluster.Server) bool {
			l := slotNamed(s.FailoverSlots, "app")
			return l.Synced && l.ConfirmedLSN >= confirmed
		})
	} else {
		prove(t, p, r)
	}
	_, err = p.Stop(t.Context(), cluster.StopKill, false)
	must(t, p, err)
	must(t, r, r.Promote(t.Context()))
	sql(t, r, `INSERT INTO public.t SELECT generate_series(201, 210)`)
	got := changes(t, r, "app")
	for n := 151; n <= 210; n++ {
		if !slices.Contains(got, fmt.Sprint(n)) {
			t.Errorf("change %d is missing", n)
		}
	}
	if len(got) != 60 {
		t.Errorf("%d changes after the failover instead of 60: %v", len(got), got)
	}
}

// logicalPair gives a primary and a replica that streams through a slot, prepared for logical slots.
func logicalPair(t *testing.T) (p, r *Instance) {
	t.Helper()
	configured := func(name string) Config {
		cfg := with(newConfig(t, name), Parameter{"wal_level", "logical"}, Parameter{"wal_receiver_status_interval", "1s"})
		cfg.LogicalSlots = true
		return cfg
	}
	p = newInstance(t, configured("node1"))
	must(t, p, p.Bootstrap(t.Context(), nil))
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"node2"}}))
	r = newInstance(t, configured("node2"))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), throughSlot(p)))
	eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	return p, r
}

func throughSlot(p *Instance) cluster.Upstream {
	up := address(p)
	up.Slot = "node2"
	return up
}

// changes consumes what a slot has, and gives the numbers that were inserted.
func changes(t *testing.T, i *Instance, slot string) (inserted []string) {
	t.Helper()
	out, err := i.local("test", 0).query(t.Context(), `SELECT data FROM pg_logical_slot_get_changes($1, NULL, NULL, 'skip-empty-xacts', '1')`, slot)
	must(t, i, err)
	for _, row := range out {
		if _, n, ok := strings.Cut(row[0], "INSERT: n[integer]:"); ok {
			inserted = append(inserted, n)
		}
	}
	return inserted
}

func slotNamed(list []cluster.Slot, name string) cluster.Slot {
	for _, s := range list {
		if s.Name == name {
			return s
		}
	}
	return cluster.Slot{}
}

// copyTo copies the slots as soon as the replica has what they need.
func copyTo(t *testing.T, p, r *Instance, slots map[string]cluster.PermanentSlot) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		copied, err := r.CopySlots(t.Context(), throughSlot(p), slots)
		if err == nil && len(copied) == len(slots) {
			break
		}
		if time.Now().After(deadline) {
			must(t, r, fmt.Errorf("copied %v: %w", copied, err))
		}
		time.Sleep(50 * time.Millisecond) // nothing tells when the slot needs only WAL that the replica has
	}
	eventually(t, r, "streaming with the copy", func(s cluster.Server) bool {
		l := slotNamed(s.Slots, "app")
		return s.ReceiverStatus == "streaming" && l.Type == "logical" && l.Plugin == "test_decoding" && l.Unproven
	})
}

// prove advances the copy to where the primary's is, and waits until it is known to be good.
func prove(t *testing.T, p, r *Instance) {
	t.Helper()
	to := slotNamed(p.Observe(t.Context()).Slots, "app").ConfirmedLSN
	eventually(t, r, "proven and advanced", func(s cluster.Server) bool {
		l := slotNamed(s.Slots, "app")
		if !l.Unproven && l.ConfirmedLSN >= to {
			return true
		}
		unusable, err := r.SyncLogicalSlots(t.Context(), cluster.LogicalSlotPlan{
			Advance: map[string]cluster.LSN{"app": to}, Prove: []string{"app"}, Leader: throughSlot(p), Through: "node2",
		})
		must(t, r, err)
		if len(unusable) > 0 {
			t.Fatalf("of no use: %v", unusable)
		}
		return false
	})
}

// TestUselessCopies: a slot is not copied where it can't work, and nothing is stopped for that.
func TestUselessCopies(t *testing.T) {
	p, r := logicalPair(t)
	sql(t, p, `SELECT pg_create_logical_replication_slot('app', 'test_decoding')`)
	before := r.Observe(t.Context()).PostmasterPID
	refused := func(what string, slots map[string]cluster.PermanentSlot) {
		t.Helper()
		copied, err := r.CopySlots(t.Context(), throughSlot(p), slots)
		if err == nil || len(copied) > 0 || !strings.Contains(err.Error(), what) {
			t.Errorf("wanted %q, copied %v: %v", what, copied, err)
		}
	}
	refused("as configured", map[string]cluster.PermanentSlot{"app": {Logical: true, Database: "postgres", Plugin: "pgoutput"}})
	app := map[string]cluster.PermanentSlot{"app": {Logical: true, Database: "postgres", Plugin: "test_decoding"}}
	elsewhere := slotFile{name: "app", content: make([]byte, slotFileMinimum)}
	binary.NativeEndian.PutUint64(elsewhere.content[slotRestartLSNAt:], 0x900000000)
	here := slotFile{name: "here", content: make([]byte, slotFileMinimum)}
	binary.NativeEndian.PutUint64(here.content[slotRestartLSNAt:], uint64(p.Observe(t.Context()).FlushLSN))
	left, err := p.withWAL(t.Context(), []slotFile{elsewhere, here}, nil)
	if len(left) != 1 || left[0].name != "here" || err == nil || !strings.Contains(err.Error(), "WAL from 9/0 on") {
		t.Errorf("with WAL: %d, %v", len(left), err)
	}
	if majorVersion(r.cfg.DataDir) >= 13 {
		for _, f := range []slotFile{elsewhere, here} {
			binary.NativeEndian.PutUint64(f.content[slotConfirmedAt:], binary.NativeEndian.Uint64(f.content[slotRestartLSNAt:]))
		}
		eventually(t, r, "caught up", caughtUp(p))
		left, err = r.notAhead(t.Context(), []slotFile{elsewhere, here}, nil)
		if len(left) != 1 || left[0].name != "here" || err == nil || !strings.Contains(err.Error(), "its consumer has read up to 9/0") {
			t.Errorf("not ahead: %d, %v", len(left), err)
		}
	}
	r.cfg.Controlled = slices.Clone(r.cfg.Controlled)
	r.cfg = with(r.cfg, Parameter{"wal_level", "replica"})
	refused("set wal_level: logical", app)
	if s := r.Observe(t.Context()); s.PostmasterPID != before || s.State != cluster.StateRunning {
		t.Errorf("stopped for nothing: %+v", s)
	}
	_, err = p.SyncLogicalSlots(t.Context(), cluster.LogicalSlotPlan{Create: map[string]cluster.PermanentSlot{
		"bad": {Logical: true, Database: "nowhere", Plugin: "test_decoding"},
	}})
	if err == nil || !strings.Contains(err.Error(), "bad") || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("a database that does not exist: %v", err)
	}
}

func TestTransactionIdsGoRound(t *testing.T) {
	for _, c := range []struct {
		a, b uint32
		want bool
	}{{3, 4, true}, {4, 4, true}, {5, 4, false}, {1<<32 - 5, 3, true}, {3, 1<<32 - 5, false}} {
		if got := notAfter(c.a, c.b); got != c.want {
			t.Errorf("%d is not after %d: %v", c.a, c.b, got)
		}
	}
}
