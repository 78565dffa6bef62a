package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Reconfigure takes a new configuration. If the server runs, its files are written anew, and if their
// content has changed it reads them; changed says so. Settings that need a restart are not applied by that;
// Observe tells them. Where the data is, its database and its names are those of the first configuration
// and can't change. While a long call is under way only the next start uses the new configuration.
func (i *Instance) Reconfigure(ctx context.Context, cfg Config) (changed bool, err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return false, fmt.Errorf("reconfigure: %w", err)
	}
	i.mu.Lock()
	old := i.cfg
	cfg.DataDir, cfg.ConfigDir, cfg.ConfigBaseName = old.DataDir, old.ConfigDir, old.ConfigBaseName
	cfg.Name, cfg.Scope, cfg.Database, cfg.PassFile, cfg.BinDir = old.Name, old.Scope, old.Database, old.PassFile, old.BinDir
	i.cfg = cfg
	acting := i.acting
	i.mu.Unlock()
	h := i.postmaster()
	if h == nil || acting {
		return false, nil
	}
	names := changedSettings(old, cfg)
	before := i.settings(ctx, names)
	changed, err = i.writeFiles(ctx, i.currentRole(ctx))
	if err != nil {
		return changed, fmt.Errorf("reconfigure: %w", err)
	}
	if !changed {
		return false, nil
	}
	if err := i.reloadAndWait(ctx); err != nil {
		return true, fmt.Errorf("reconfigure: %w", err)
	}
	i.reportChanges(names, before, i.settings(ctx, names))
	i.fire(onReload)
	return true, nil
}

// changedSettings are the names of the settings that two configurations write differently.
func changedSettings(a, b Config) []string {
	values := func(c Config) map[string]string {
		m := make(map[string]string)
		for _, list := range [][]Parameter{c.Parameters, c.Controlled} {
			for _, p := range list {
				m[strings.ToLower(p.Name)] = p.Value
			}
		}
		return m
	}
	old, now := values(a), values(b)
	var names []string
	for name := range now {
		if before, ok := old[name]; !ok || before != now[name] {
			names = append(names, name)
		}
	}
	for name := range old {
		if _, ok := now[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// settings gives the values that the server has for settings; nothing if it can't be asked.
func (i *Instance) settings(ctx context.Context, names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	out, err := i.local("Patroni", statementTimeout).query(ctx, `SELECT name, setting, COALESCE(unit, '') FROM pg_catalog.pg_settings
WHERE name = ANY (string_to_array($1, ','))`, strings.Join(names, ","))
	if err != nil {
		return nil
	}
	values := make(map[string]string)
	for _, r := range out {
		values[r[0]] = withUnit(r[1], r[2])
	}
	return values
}

// reportChanges logs which settings a reload has changed, and which ones wait for a restart. The same value in
// another unit is no change.
func (i *Instance) reportChanges(names []string, before, after map[string]string) {
	i.mu.Lock()
	pending := i.pending
	i.mu.Unlock()
	for _, name := range names {
		at := slices.IndexFunc(pending, func(p cluster.PendingRestart) bool { return p.Parameter == name })
		switch {
		case at >= 0:
			i.log.Info(fmt.Sprintf("Changed %s from '%s' to '%s' (restart might be required)", name, pending[at].OldValue, pending[at].NewValue))
		case before[name] != after[name]:
			i.log.Info(fmt.Sprintf("Changed %s from '%s' to '%s'", name, before[name], after[name]))
		}
	}
}

// reloadAndWait makes the server read its files and waits until it has, as far as it can be asked.
func (i *Instance) reloadAndWait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+statementTimeout)
	defer cancel()
	c, err := i.local("Patroni", statementTimeout).open(ctx)
	if err != nil {
		return i.reload(ctx)
	}
	defer closeConn(c)
	const loaded = `SELECT pg_catalog.pg_conf_load_time()`
	before, err := rows(ctx, c, loaded)
	if err != nil {
		return err
	}
	if err := i.reload(ctx); err != nil {
		return err
	}
	// The signal is not answered; a session shows the time of the last reload as soon as it has made it.
	for {
		now, err := rows(ctx, c, loaded)
		if err != nil {
			return err
		}
		if now[0][0] != before[0][0] {
			return i.loadPending(ctx, c)
		}
		select {
		case <-ctx.Done():
			return errors.New("the server has not read its new settings in time; see its log")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// pendingQuery gives settings that wait for a restart, with the value that the files hold for them.
// hot_standby and recovery settings are the agent's own matter.
const pendingQuery = `
SELECT s.name, s.setting, COALESCE(s.unit, ''), COALESCE(f.setting, s.boot_val, '')
FROM pg_catalog.pg_settings AS s
LEFT JOIN LATERAL (SELECT f.setting FROM pg_catalog.pg_file_settings AS f
  WHERE pg_catalog.lower(f.name) = pg_catalog.lower(s.name) ORDER BY f.seqno DESC LIMIT 1) AS f ON true
WHERE s.pending_restart AND s.name <> 'hot_standby' AND s.name NOT LIKE 'recovery\_target%'
  AND NOT s.name = ANY (ARRAY['restore_command', 'primary_conninfo', 'primary_slot_name'])
ORDER BY s.name`

// loadPending remembers which settings wait for a restart, whoever changed them.
func (i *Instance) loadPending(ctx context.Context, c *pgconn.PgConn) error {
	out, err := rows(ctx, c, pendingQuery)
	if err != nil {
		return fmt.Errorf("read settings that wait for a restart: %w", err)
	}
	var list []cluster.PendingRestart
	for _, r := range out {
		list = append(list, cluster.PendingRestart{
			Parameter: r[0], OldValue: withUnit(r[1], r[2]), NewValue: sameUnit(r[3], r[2]),
		})
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.pending = list
	return nil
}

// sameUnit shows a bare number as withUnit does; a text with a unit of its own stays.
func sameUnit(value, unit string) string {
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		return value
	}
	return withUnit(value, unit)
}

type scale struct {
	unit   string
	factor int64
}

var (
	sizes = []scale{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}}
	spans = []scale{{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}}
)

// withUnit shows a number in the largest unit that represents it exactly: 16384 of 8kB is 128MB. Zero and
// negative numbers, which mean something special, stay bare.
func withUnit(value, unit string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n <= 0 || unit == "" {
		return value
	}
	digits := 0
	for digits < len(unit) && unit[digits] >= '0' && unit[digits] <= '9' {
		digits++
	}
	if f, err := strconv.ParseInt(unit[:digits], 10, 64); err == nil {
		n *= f
	}
	for _, scales := range [][]scale{sizes, spans} {
		for _, s := range scales {
			if s.unit == unit[digits:] {
				return largest(n*s.factor, scales)
			}
		}
	}
	return value + unit
}

func largest(n int64, scales []scale) string {
	for _, s := range scales {
		if n%s.factor == 0 {
			return strconv.FormatInt(n/s.factor, 10) + s.unit
		}
	}
	return strconv.FormatInt(n, 10)
}
