package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Bootstrap founds a new cluster in the empty data directory: with initdb, or with the user's own method and
// the recovery that follows it. It creates the users and leaves a running primary. After an error the
// directory is for MoveDataAside. guard may refuse each process that is to become a server of it, nil allows it.
// Source: Patroni 4.1, postgresql/bootstrap.py.
func (i *Instance) Bootstrap(ctx context.Context, guard GuardServer) error {
	cfg := i.config()
	if err := i.mustBeEmpty(ctx, cfg.DataDir); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := i.mark(foundingMark(cfg.DataDir)); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	i.dropUpstream()
	i.setFounds(true)
	defer i.setFounds(false)
	found := i.foundEmpty
	if cfg.BootstrapMethod.Command != "" {
		found = i.foundByMethod
	}
	err := found(ctx, cfg, guard)
	i.mu.Lock()
	i.half = err != nil
	i.mu.Unlock()
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := clearMark(foundingMark(cfg.DataDir)); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	i.setFounds(false)
	i.fire(i.callbacks.become(cluster.RolePrimary, onStart))
	return nil
}

func (i *Instance) setFounds(now bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.founds = now
}

// mark marks the data directory as unfinished. A mount point may have a parent that is not ours. Then an agent
// that dies in the middle leaves a directory that somebody has to look at; everything else works.
func (i *Instance) mark(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := setMark(path); err != nil {
		i.log.Warn("an interrupted attempt will not be recognised", "error", err)
	}
	return nil
}

// mustBeEmpty refuses to fill a directory that somebody else has put something in. What an earlier attempt
// of ours has left is cleared away: a founded cluster that nobody has ever used is moved aside, with the
// server in it stopped, the rest of a copy is removed.
func (i *Instance) mustBeEmpty(ctx context.Context, dir string) error {
	if exists(foundingMark(dir)) {
		i.log.Warn("moving the rest of an unfinished bootstrap away", "path", dir)
		if _, err := i.Stop(ctx, cluster.StopImmediate, false); err != nil {
			return err
		}
		return i.MoveDataAside(ctx)
	}
	if err := i.mustBeDown(ctx); err != nil {
		return err
	}
	kind, why := inspect(dir)
	rest := kind != cluster.DataEmpty && kind != cluster.DataUnreadable && fillingCut(dir)
	if rest || kind == cluster.DataEmpty && len(marked(fillingMark(dir))) > 0 {
		i.log.Warn("clearing away the rest of an unfinished copy", "path", dir)
		return clearCopy(dir, true)
	}
	switch kind {
	case cluster.DataEmpty:
		return nil
	case cluster.DataPresent:
		return fmt.Errorf("data directory %s holds a database already", dir)
	}
	return fmt.Errorf("data directory can't be used: %s", why)
}

// foundEmpty founds a cluster with an empty database.
func (i *Instance) foundEmpty(ctx context.Context, cfg Config, guard GuardServer) error {
	if err := i.initdb(ctx, cfg); err != nil {
		i.setState(cluster.StateInitdbFailed)
		return err
	}
	if err := i.appendHBA(cfg); err != nil {
		return err
	}
	if err := i.boot(ctx, role{guard: guard}, 0, cluster.StateStarting, ""); err != nil {
		return err
	}
	return i.populate(ctx, cfg)
}

// initdb makes the data directory.
func (i *Instance) initdb(ctx context.Context, cfg Config) error {
	defer i.act(cluster.StateInitdb)()
	args := append([]string{}, cfg.InitdbArgs...)
	if cfg.Superuser.Username != "" {
		args = append(args, "--username="+cfg.Superuser.Username)
	}
	if cfg.Superuser.Password != "" {
		path, remove, err := passwordFile(cfg.Superuser.Password)
		if err != nil {
			return err
		}
		defer remove()
		args = append(args, "--pwfile="+path)
	}
	_, err := i.run(ctx, command{path: cfg.program("initdb"), args: append(args, cfg.DataDir), fills: cfg.DataDir})
	return err
}

// passwordFile holds one password for initdb, readable by us alone.
func passwordFile(p Secret) (path string, remove func(), err error) {
	f, err := os.CreateTemp("", "hathi-pw-") // mode 0600
	if err != nil {
		return "", nil, fmt.Errorf("create password file: %w", err)
	}
	defer f.Close()
	if _, err := f.WriteString(string(p) + "\n"); err != nil {
		os.Remove(f.Name())
		return "", nil, fmt.Errorf("write password file: %w", err)
	}
	return f.Name(), func() { os.Remove(f.Name()) }, nil
}

// appendHBA adds the lines of bootstrap.pg_hba to pg_hba.conf, unless the user gives the whole file.
func (i *Instance) appendHBA(cfg Config) error {
	if len(cfg.HBA) > 0 || len(cfg.BootstrapHBA) == 0 {
		return nil
	}
	path := filepath.Join(cfg.ConfigDir, "pg_hba.conf")
	if cfg.ConfigDir != cfg.DataDir && !exists(path) {
		path = filepath.Join(cfg.DataDir, "pg_hba.conf")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("append to pg_hba.conf: %w", err)
	}
	text := string(b) + "\n" + strings.Join(cfg.BootstrapHBA, "\n") + "\n\n"
	_, err = writeFile(path, []byte(text), cfg.configMode())
	return err
}
