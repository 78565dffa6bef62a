package postgres

import (
	"context"
	"fmt"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Clone fills the empty data directory from a running server by base backup and leaves it ready for
// StartReplica. The source is asked first, so that nothing is touched for one that is away. What was copied
// is removed again if the copy fails. Source: Patroni 4.1, postgresql/bootstrap.py, basebackup.
func (i *Instance) Clone(ctx context.Context, from cluster.Upstream) error {
	cfg := i.config()
	if err := i.mustBeEmpty(cfg.DataDir); err != nil {
		return fmt.Errorf("clone from %s:%s: %w", from.Host, from.Port, err)
	}
	source := session{cred: cfg.Replication, to: from, name: cfg.Name, limit: statementTimeout}
	if _, _, err := identifySystem(ctx, source); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	defer i.act(cluster.StateCreatingReplica)()
	i.dropUpstream()
	err := i.fill(cfg.DataDir, func() error { return i.basebackup(ctx, cfg, from) })
	i.setState(cluster.StateStopped)
	if err != nil {
		return fmt.Errorf("clone from %s:%s: %w", from.Host, from.Port, err)
	}
	i.log.Info("replica has been created using basebackup", "source", from.Host+":"+from.Port)
	return clearMark(rewindMark(cfg.DataDir))
}

func (i *Instance) basebackup(ctx context.Context, cfg Config, from cluster.Upstream) error {
	env, remove, err := privatePassFile(cfg.Replication, from.Host, from.Port)
	if err != nil {
		return err
	}
	defer remove()
	dsn := append(cfg.remote(cfg.Replication, from, cfg.Database), Parameter{"application_name", cfg.Name})
	args := append([]string{"--pgdata=" + cfg.DataDir, "-X", "stream", "--dbname=" + keywords(dsn), "--no-password"}, cfg.BasebackupArgs...)
	_, err = i.run(ctx, command{
		path: cfg.program("pg_basebackup"), args: args,
		env: append(env, untranslated...),
	})
	if err != nil {
		return err
	}
	// A copy of a primary must never start as one: from its first moment in place it is a standby.
	if err := replace(cfg.DataDir+"/standby.signal", nil, fileMode(cfg.DataDir)); err != nil {
		return err
	}
	strangers := []string{"recovery.signal", "promote"}
	if from.Member == "" {
		// What a server of another cluster remembers of its configuration must not become ours: without the section
		// that makes this a standby cluster it would be promoted.
		strangers = append(strangers, "patroni.dynamic.json")
	}
	return removeFiles(cfg.DataDir, strangers...)
}

// dropUpstream forgets what recovery settings were written for.
func (i *Instance) dropUpstream() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.upstream, i.limits = nil, nil
}
