package postgres

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// namesParameter says whom commits wait for. While replication is synchronous it is the agent's.
const namesParameter = "synchronous_standby_names"

// SetSynchronousNames puts synchronous_standby_names into the configuration file, and has a running server
// read it: when it returns without an error a new session sees it. nil gives it back to the user's
// configuration. The file is on disk before the server reads it, so that a server that crashes at any moment
// starts again with the names that it had, or with the new ones.
func (i *Instance) SetSynchronousNames(ctx context.Context, names *string) error {
	i.mu.Lock()
	i.names = names
	i.mu.Unlock()
	dir := i.config().DataDir
	if kind, _ := inspect(dir); kind != cluster.DataPresent {
		return nil // it is written with the first start
	}
	if _, err := i.writeFiles(ctx, i.currentRole(ctx)); err != nil {
		return fmt.Errorf("set %s: %w", namesParameter, err)
	}
	if i.postmaster() == nil {
		return nil
	}
	// Also if the file was so already: the agent before this one may have ended between file and signal.
	if err := i.reloadAndWait(ctx); err != nil {
		return fmt.Errorf("set %s: %w", namesParameter, err)
	}
	i.fire(onReload)
	if names != nil && *names != "" {
		if _, err := i.local("Patroni", statementTimeout).query(ctx, releaseWaiters); err != nil {
			i.log.Warn("commits that wait already may do so for wal_receiver_status_interval more", "error", err)
		}
	}
	return nil
}

// releaseWaiters writes a little WAL on a primary, without waiting for a standby. A WAL sender lets waiting commits go only when
// its standby reports, and a standby that has received all before it was named has nothing to report for up to
// wal_receiver_status_interval (10 s). The senders were signalled before, so they have read the names when the report on this comes.
// Source: PostgreSQL 15, syncrep.c, SyncRepReleaseWaiters; walsender.c, WalSndLoop.
const releaseWaiters = `
SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
  pg_catalog.set_config('synchronous_commit', 'local', true) || pg_catalog.pg_logical_emit_message(true, 'hathi', '')::text
END`

// ownNames are the settings that only the agent may make now.
func (i *Instance) ownNames() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.names == nil {
		return nil
	}
	return []string{namesParameter}
}

// withNames gives the parameters with the agent's names instead of the user's.
func (i *Instance) withNames(list []Parameter) []Parameter {
	i.mu.Lock()
	names := i.names
	i.mu.Unlock()
	if names == nil {
		return list
	}
	list = slices.DeleteFunc(slices.Clone(list), func(p Parameter) bool { return strings.EqualFold(p.Name, namesParameter) })
	return append(list, Parameter{namesParameter, *names})
}

// savedNames finds the names that an agent before this one has set, hathi's or Patroni's: those in the
// generated file that are not the user's. Dropping them with the first file that is written would leave
// commits unprotected that /sync says are protected.
func savedNames(cfg Config) *string {
	content, err := os.ReadFile(cfg.mainFile())
	if err != nil || !strings.Contains(string(content), "\n"+namesParameter+" = '") {
		return nil
	}
	saved := confValue(string(content), namesParameter)
	if users, _ := cfg.parameter(namesParameter); users == saved {
		return nil
	}
	return &saved
}
