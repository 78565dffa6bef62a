package postgres

import (
	"context"
	"slices"
	"strconv"
)

// limitsTooSmall tells why replay is paused: the control file has the limits of the primary as of the last change
// that was replayed, and the server runs with less. A pause that somebody asked for has no such reason.
func (i *Instance) limitsTooSmall(ctx context.Context, primary []Parameter) bool {
	if i.watch.conn == nil {
		return false
	}
	out, err := rows(ctx, i.watch.conn, `SELECT name, setting FROM pg_catalog.pg_settings WHERE name IN ('max_connections',
 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', 'max_locks_per_transaction')`)
	if err != nil {
		return false // the next observation asks again
	}
	for _, r := range out {
		at := slices.IndexFunc(primary, func(p Parameter) bool { return p.Name == r[0] })
		if at < 0 {
			continue
		}
		has, err1 := strconv.Atoi(r[1])
		needs, err2 := strconv.Atoi(primary[at].Value)
		if err1 == nil && err2 == nil && has < needs {
			return true
		}
	}
	return false
}
