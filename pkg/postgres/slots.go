package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// SyncSlots drops replication slots of any kind, and creates and advances physical ones. Each name is tried; the error
// joins what failed. A slot that is there already, or gone already, is no error, nor is one that need not advance. A
// slot in use is not dropped. It may be called beside any other call. Source: Patroni 4.1, postgresql/slots.py.
func (i *Instance) SyncSlots(ctx context.Context, plan cluster.SlotPlan) error {
	if plan.Empty() {
		return nil
	}
	c, err := i.local("Patroni", statementTimeout).open(ctx)
	if err != nil {
		return fmt.Errorf("synchronize replication slots: %w", err)
	}
	defer closeConn(c)
	var errs []error
	for _, name := range plan.Drop {
		if err := i.dropSlot(ctx, c, name, slices.Contains(plan.Create, name)); err != nil {
			errs = append(errs, err)
		}
	}
	for _, name := range plan.Create {
		errs = append(errs, slot(ctx, c, "create", name,
			`SELECT pg_create_physical_replication_slot($1, true)
 WHERE NOT EXISTS (SELECT 1 FROM pg_replication_slots WHERE slot_name = $1::name)`, name))
	}
	for _, name := range slices.Sorted(maps.Keys(plan.Advance)) {
		// A slot goes forward only, and never beyond what is here.
		errs = append(errs, slot(ctx, c, "advance", name,
			`SELECT pg_replication_slot_advance(slot_name, LEAST($2::pg_lsn,
   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END))
 FROM pg_replication_slots WHERE slot_name = $1 AND slot_type = 'physical' AND NOT active AND restart_lsn < LEAST($2::pg_lsn,
   CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END)`,
			name, plan.Advance[name].String()))
	}
	return errors.Join(errs...)
}

// slotSettings are what replication slots need, whatever the user has said. The primary keeps the rows that logical
// slots of its standbys need only if they tell it; from PostgreSQL 17 on a standby copies the slots itself if told to.
// And a server that became the primary must not wait for a slot of its own that is in the list of the one before.
// Source: PostgreSQL 17, 19.6.3, 47.2.3.
func (c Config) slotSettings(version int) []Parameter {
	var list []Parameter
	if c.LogicalSlots {
		list = append(list, Parameter{"hot_standby_feedback", "on"})
		if level, _ := c.parameter("wal_level"); syncsSlots.has(version) && level == "logical" {
			list = append(list, Parameter{"sync_replication_slots", "on"})
		}
	}
	if names, ok := c.parameter("synchronized_standby_slots"); ok && syncsSlots.has(version) {
		others := slices.DeleteFunc(strings.Split(names, ","), func(name string) bool {
			return strings.TrimSpace(name) == cluster.SlotName(c.Name)
		})
		list = append(list, Parameter{"synchronized_standby_slots", strings.Join(others, ",")})
	}
	return list
}

// dropSlot drops a slot and says what it was, because what it held back is gone with it.
func (i *Instance) dropSlot(ctx context.Context, c *pgconn.PgConn, name string, again bool) error {
	walStatus := "''"
	if slotTellsWAL.has(majorVersion(i.config().DataDir)) {
		walStatus = "wal_status"
	}
	out, err := rows(ctx, c, `SELECT slot_type, COALESCE(database, ''), COALESCE(plugin, ''), COALESCE(restart_lsn::text, ''), COALESCE(`+
		walStatus+`, '') FROM pg_replication_slots WHERE slot_name = $1`, name)
	if err != nil {
		return fmt.Errorf("drop replication slot %s: %w", name, err)
	}
	if len(out) == 0 {
		return nil
	}
	s := out[0]
	attrs := []any{"slot", name, "type", s[0], "database", s[1], "plugin", s[2], "restart_lsn", s[3]}
	switch {
	case s[4] == "lost":
		i.log.Warn("dropping replication slot whose WAL has been removed (wal_status=lost): what streams from it must be "+
			"copied anew, or needs a restore_command; raise max_slot_wal_keep_size against it", attrs...)
	case again:
		i.log.Info("making replication slot anew, because it held back what nobody here needs", attrs...)
	default:
		i.log.Warn("dropping replication slot that the cluster does not want; name it in slots or ignore_slots to keep such a slot", attrs...)
	}
	return slot(ctx, c, "drop", name,
		`SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1 AND NOT active`, name)
}

func slot(ctx context.Context, c *pgconn.PgConn, verb, name, sql string, args ...string) error {
	if _, err := rows(ctx, c, sql, args...); err != nil {
		return fmt.Errorf("%s replication slot %s: %w", verb, name, err)
	}
	return nil
}
