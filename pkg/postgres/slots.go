package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// SyncSlots creates, drops and advances physical replication slots. Each name is tried; the error joins what
// failed. A slot that is there already, or gone already, is no error, nor is one that need not advance. A
// slot in use is not dropped. Source: Patroni 4.1, postgresql/slots.py.
func (i *Instance) SyncSlots(ctx context.Context, create, drop []string, advance map[string]cluster.LSN) error {
	if len(create)+len(drop)+len(advance) == 0 {
		return nil
	}
	c, err := i.local("Patroni", statementTimeout).open(ctx)
	if err != nil {
		return fmt.Errorf("synchronize replication slots: %w", err)
	}
	defer closeConn(c)
	var errs []error
	for _, name := range drop {
		i.log.Warn("dropping replication slot that no member needs", "slot", name)
		errs = append(errs, slot(ctx, c, "drop", name,
			`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, name))
	}
	for _, name := range create {
		errs = append(errs, slot(ctx, c, "create", name,
			`SELECT pg_create_physical_replication_slot($1, true)
 WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1::name)`, name))
	}
	for _, name := range slices.Sorted(maps.Keys(advance)) {
		// A slot goes forward only, and never beyond what is here.
		errs = append(errs, slot(ctx, c, "advance", name,
			`SELECT pg_replication_slot_advance(slot_name, LEAST($2::pg_lsn,
   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END))
 FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active AND restart_lsn < LEAST($2::pg_lsn,
   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)`,
			name, advance[name].String()))
	}
	return errors.Join(errs...)
}

func slot(ctx context.Context, c *pgconn.PgConn, verb, name, sql string, args ...string) error {
	if _, err := rows(ctx, c, sql, args...); err != nil {
		return fmt.Errorf("%s replication slot %s: %w", verb, name, err)
	}
	return nil
}
