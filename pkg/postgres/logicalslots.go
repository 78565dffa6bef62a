package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// proofs remember of the logical slots of a standby whether they can be used after a promotion. A server that was
// started anew has to be proven anew.
type proofs struct {
	server  uint64            // the postmaster that they are about, by its start
	primary map[string]uint32 // catalog_xmin of the primary's slot when it was first known what the primary keeps for us
	proven  map[string]bool
}

// SyncLogicalSlots creates logical slots of a primary, and advances and proves those of a standby. It names those of
// the standby that can't be advanced because their WAL is gone or they were invalidated. It may be called beside any
// other call, and take long: as long as the oldest transaction to create a slot, as long as reading the WAL to
// advance one. Source: Patroni 4.1, postgresql/slots.py.
func (i *Instance) SyncLogicalSlots(ctx context.Context, plan cluster.LogicalSlotPlan) (unusable []string, err error) {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(plan.Create)) {
		errs = append(errs, i.createLogical(ctx, name, plan.Create[name]))
	}
	gone, err := i.advanceLogical(ctx, plan.Advance)
	errs = append(errs, err)
	if len(plan.Prove) > 0 {
		errs = append(errs, i.prove(ctx, plan))
	}
	return gone, errors.Join(errs...)
}

// createLogical creates a slot in its database. From PostgreSQL 17 on it is one that standbys copy by themselves.
func (i *Instance) createLogical(ctx context.Context, name string, p cluster.PermanentSlot) error {
	s := i.local("Patroni", 0)
	s.database = p.Database
	c, err := s.open(ctx)
	if err != nil {
		return fmt.Errorf("create logical replication slot %s: %w", name, err)
	}
	defer closeConn(c)
	create := `pg_create_logical_replication_slot($1, $2)`
	if syncsSlots.has(majorVersion(i.config().DataDir)) {
		create = `pg_create_logical_replication_slot($1, $2, false, false, true)`
	}
	i.log.Info("creating logical replication slot", "slot", name, "database", p.Database, "plugin", p.Plugin)
	return slot(ctx, c, "create logical", name, `SELECT `+create+`
 WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1::name)`, name, p.Plugin)
}

// advanceLogical advances slots, each in its database.
func (i *Instance) advanceLogical(ctx context.Context, to map[string]cluster.LSN) (unusable []string, err error) {
	if len(to) == 0 {
		return nil, nil
	}
	out, err := i.local("Patroni", statementTimeout).query(ctx,
		`SELECT slot_name, database FROM pg_replication_slots WHERE slot_type = 'logical' AND NOT active ORDER BY database, slot_name`)
	if err != nil {
		return nil, fmt.Errorf("advance logical replication slots: %w", err)
	}
	var errs []error
	for _, r := range out {
		name, database := r[0], r[1]
		if to[name] == 0 {
			continue
		}
		s := i.local("Patroni", 0)
		s.database = database
		_, err := s.query(ctx, `SELECT pg_replication_slot_advance(slot_name, LEAST($2::pg_lsn, pg_last_wal_replay_lsn()))
 FROM pg_replication_slots WHERE slot_name = $1 AND NOT active AND confirmed_flush_lsn < LEAST($2::pg_lsn, pg_last_wal_replay_lsn())`,
			name, to[name].String())
		switch state := sqlState(err); {
		case state == "58P01" || state == "55000": // its WAL is gone; it was invalidated
			unusable = append(unusable, name)
			errs = append(errs, fmt.Errorf("advance logical replication slot %s to %s: %w", name, to[name], err))
		case err != nil:
			errs = append(errs, fmt.Errorf("advance logical replication slot %s to %s: %w", name, to[name], err))
		}
	}
	return unusable, errors.Join(errs...)
}

// prove finds out which slots could be used after a promotion. A logical slot needs the rows of the catalogs as they
// were at its catalog_xmin. This standby asks the primary to keep what the oldest slot here needs (hot_standby_feedback),
// which the primary notes as catalog_xmin of the physical slot by which it streams. Until that note was first made, only
// the primary's own logical slot has kept them, from its catalog_xmin of that moment on. So a slot here is good once
//
//	the primary's slot then  <=  what the primary keeps for us now  <=  what the slot here needs.
//
// Source: Patroni 4.1, postgresql/slots.py, _update_pending_logical_slot_primary and _ready_logical_slots.
func (i *Instance) prove(ctx context.Context, plan cluster.LogicalSlotPlan) error {
	cfg := i.config()
	there, err := session{cred: cfg.Rewind, to: plan.Leader, database: cfg.Database, name: "Patroni", limit: statementTimeout}.query(ctx,
		`SELECT slot_name, COALESCE(catalog_xmin::text, '') FROM pg_replication_slots
 WHERE NOT temporary AND slot_name = ANY (string_to_array($1, ',')) AND NOT pg_is_in_recovery()`,
		strings.Join(append(slices.Clone(plan.Prove), plan.Through), ","))
	if err != nil {
		return fmt.Errorf("ask %s what it keeps for the logical slots of this standby: %w", plan.Leader.Title(), err)
	}
	here, err := i.local("Patroni", statementTimeout).query(ctx,
		`SELECT slot_name, COALESCE(catalog_xmin::text, ''), current_setting('hot_standby_feedback') FROM pg_replication_slots
 WHERE slot_type = 'logical' AND slot_name = ANY (string_to_array($1, ','))`, strings.Join(plan.Prove, ","))
	if err != nil {
		return fmt.Errorf("look at the logical slots of this standby: %w", err)
	}
	primary := make(map[string]uint32)
	for _, r := range there {
		primary[r[0]] = xid(r[1])
	}
	kept := primary[plan.Through]
	if kept == 0 {
		if len(here) > 0 && here[0][2] == "off" {
			return errors.New("hot_standby_feedback is off, so logical slots of this standby can't be used after a promotion; " +
				"reload its configuration, and look for what turns it off")
		}
		return nil // not reported yet
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.proofsOf(i.startTicks())
	for _, r := range here {
		name, needs := r[0], xid(r[1])
		then, ok := p.primary[name]
		if now := primary[name]; !ok && now != 0 {
			then, ok = now, true
			p.primary[name] = now
		}
		if ok && needs != 0 && notAfter(then, kept) && notAfter(kept, needs) && !p.proven[name] {
			p.proven[name] = true
			i.log.Info(fmt.Sprintf("Logical slot %s is safe to be used after a failover", name))
		}
	}
	return nil
}

// notAfter compares transaction ids, which go round. Source: PostgreSQL 17, access/transam/transam.c.
func notAfter(a, b uint32) bool { return int32(a-b) <= 0 }

// startTicks names the present postmaster; i.mu is held.
func (i *Instance) startTicks() uint64 {
	if i.proc == nil {
		return 0
	}
	return i.proc.StartTicks()
}

// proofsOf gives what is known of the slots of one postmaster; i.mu is held.
func (i *Instance) proofsOf(server uint64) *proofs {
	if i.proofs.server != server || i.proofs.proven == nil {
		i.proofs = proofs{server: server, primary: map[string]uint32{}, proven: map[string]bool{}}
	}
	return &i.proofs
}

// markUnproven tells which logical slots of a standby are not known to be usable after a promotion.
func (i *Instance) markUnproven(s *cluster.Server) {
	i.mu.Lock()
	defer i.mu.Unlock()
	p := i.proofsOf(i.startTicks())
	for n, l := range s.Slots {
		s.Slots[n].Unproven = s.InRecovery && l.Type == "logical" && !p.proven[l.Name]
	}
}
