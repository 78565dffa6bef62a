package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Clone fills the data directory with a copy, by the methods of create_replica_methods in their order until
// one succeeds, and leaves it ready for StartReplica. The source is asked first, so that nothing is touched
// for one that is away. What was copied is removed again if the copy fails, unless the method builds upon it.
// Source: Patroni 4.1, postgresql/bootstrap.py, create_replica.
func (i *Instance) Clone(ctx context.Context, c cluster.Copy) error {
	cfg := i.config()
	from := c.From
	methods := cfg.copyMethods(c)
	if len(methods) == 0 {
		return errors.New("clone: nobody leads, and no method of create_replica_methods has no_leader")
	}
	if err := i.mayFill(ctx, cfg.DataDir, c.Replace); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	if from.Host != "" && (c.Replace || methods[0].Command == "") {
		source := session{cred: cfg.Replication, to: from, name: cfg.Name, limit: statementTimeout}
		switch id, _, err := identifySystem(ctx, source); {
		case err != nil:
			return fmt.Errorf("clone: %w", err)
		case c.SystemID != "" && id != c.SystemID:
			return fmt.Errorf("clone: %s:%s belongs to another cluster: system identifier %s, that of this cluster is %s; "+
				"correct the address that member %s publishes", from.Host, from.Port, id, c.SystemID, from.Member)
		}
	}
	defer i.act(cluster.StateCreatingReplica)()
	defer i.setState(cluster.StateStopped)
	i.dropUpstream()
	if err := i.markFilling(cfg.DataDir); err != nil {
		return fmt.Errorf("clone: %w", err)
	}
	var errs []error
	for _, m := range methods {
		err := i.copyBy(ctx, cfg, m, from)
		if err == nil {
			source := "a backup"
			if from.Host != "" {
				source = from.Host + ":" + from.Port
			}
			i.log.Info("replica has been created using "+m.Name, "source", source)
			i.setRedo(false)
			return errors.Join(clearFillingMark(cfg.DataDir), clearRewindMark(cfg.DataDir))
		}
		errs = append(errs, fmt.Errorf("clone by %s: %w", m.Name, err))
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(errs, i.leaveCopy(cfg.DataDir))...)
}

// copyMethods gives the methods that come into question, in their order.
func (c Config) copyMethods(copy cluster.Copy) []Method {
	basebackup := []Method{{Name: "basebackup"}}
	switch {
	case copy.From.Host == "":
		var alone []Method
		for _, m := range c.ReplicaMethods {
			if m.NoLeader && m.Command != "" {
				alone = append(alone, m)
			}
		}
		return alone
	case copy.Basebackup || len(c.ReplicaMethods) == 0:
		return basebackup
	}
	return c.ReplicaMethods
}

// mayFill makes sure that the data directory may be filled: it is empty, or its content may go.
func (i *Instance) mayFill(ctx context.Context, dir string, replace bool) error {
	i.mu.Lock()
	redo := i.redo
	i.mu.Unlock()
	if !replace && !redo {
		return i.mustBeEmpty(ctx, dir)
	}
	if err := i.mustBeDown(ctx); err != nil {
		return err
	}
	if kind, why := inspect(dir); kind == cluster.DataUnreadable || kind == cluster.DataForeign && !fillingCut(dir) {
		return fmt.Errorf("keeping the data: %s", why)
	}
	return nil
}

// copyBy copies by one method. A copy must never start as a primary: from its first moment in place it is a
// standby, and marked as a copy. Until both are on disk it is not started, as fillingMark says.
func (i *Instance) copyBy(ctx context.Context, cfg Config, m Method, from cluster.Upstream) error {
	if err := i.prepareCopy(cfg.DataDir, m); err != nil {
		return err
	}
	run := i.runMethod
	if m.Command == "" {
		run = i.basebackup
	}
	end := i.pipeWhileFilling(cfg.DataDir)
	err := run(ctx, cfg, m, from)
	end()
	if err == nil {
		err = mustHoldDatabase(cfg.DataDir)
	}
	if err != nil {
		if m.KeepData {
			return fmt.Errorf("%w (what is in %s stays for the next attempt, as keep_data says)", err, cfg.DataDir)
		}
		return errors.Join(err, clearCopy(cfg.DataDir, false))
	}
	if err := markCopied(cfg.DataDir); err != nil {
		return err
	}
	if err := replace(filepath.Join(cfg.DataDir, "standby.signal"), nil, fileMode(cfg.DataDir)); err != nil {
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

// prepareCopy gives a method the data directory that it expects: with keep_data one that is there, whatever is in
// it; else none, as far as that is possible, because some programs make it and others want it empty.
func (i *Instance) prepareCopy(dir string, m Method) error {
	if m.KeepData {
		return os.MkdirAll(dir, 0o700)
	}
	if kind, _ := inspect(dir); kind != cluster.DataEmpty {
		i.log.Info("Removing data directory", "path", dir)
		if err := clearCopy(dir, true); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(dir); err == nil && info.IsDir() && m.Command != "" {
		_ = os.Remove(dir) // a mount point stays, and so does one in a directory that is not ours
	}
	return nil
}

// leaveCopy ends a copy that failed. What a method has left to build upon is for the next attempt.
func (i *Instance) leaveCopy(dir string) error {
	kind, _ := inspect(dir)
	i.setRedo(kind != cluster.DataEmpty)
	if kind != cluster.DataEmpty {
		return nil
	}
	return clearFillingMark(dir)
}

func (i *Instance) setRedo(redo bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.redo = redo
}

// runMethod runs the command of a user's method. Source: Patroni 4.1, postgresql/bootstrap.py, create_replica.
func (i *Instance) runMethod(ctx context.Context, cfg Config, m Method, from cluster.Upstream) error {
	env, remove, err := privatePassFile(cfg.Replication, from.Host, from.Port)
	if err != nil {
		return err
	}
	defer remove()
	args := append([]string{}, m.Args...)
	if !m.NoParams {
		dsn := ""
		if from.Host != "" {
			dsn = keywords(cfg.remote(cfg.Replication, from, cfg.Database))
		}
		args = append(args, "--scope="+cfg.Scope, "--role=replica", "--datadir="+cfg.DataDir, "--connstring="+dsn)
	}
	_, err = i.run(ctx, command{path: m.Command, user: true, args: args, env: env, fills: cfg.DataDir})
	return err
}

// basebackup copies by pg_basebackup.
func (i *Instance) basebackup(ctx context.Context, cfg Config, _ Method, from cluster.Upstream) error {
	env, remove, err := privatePassFile(cfg.Replication, from.Host, from.Port)
	if err != nil {
		return err
	}
	defer remove()
	dsn := append(cfg.bounded(cfg.Replication, from, cfg.Database), Parameter{"application_name", cfg.Name})
	args := append([]string{"--pgdata=" + cfg.DataDir, "-X", "stream", "--dbname=" + keywords(dsn), "--no-password"}, cfg.BasebackupArgs...)
	s := &source{cfg: cfg, from: from, roles: []Credentials{cfg.Replication, cfg.Superuser}}
	outside := emptyDirs(s.outside(ctx))
	if err := setMark(fillingMark(cfg.DataDir), outside...); err != nil && len(outside) > 0 {
		i.log.Warn("what an interrupted copy leaves elsewhere will not be recognised", "error", err)
	}
	defer i.progressing(ctx, s.progress)()
	_, err = i.run(ctx, command{
		path: cfg.program("pg_basebackup"), args: args,
		env: append(env, untranslated...), fills: cfg.DataDir,
	})
	return err
}

// dropUpstream forgets what recovery settings were written for.
func (i *Instance) dropUpstream() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.upstream, i.limits = nil, nil
}
