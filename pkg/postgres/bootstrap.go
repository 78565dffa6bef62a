package postgres

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Bootstrap founds a new cluster: it runs initdb in the empty data directory, starts the server as a
// primary and creates the users. It leaves a running primary. After an error the directory is for
// MoveDataAside. Source: Patroni 4.1, postgresql/bootstrap.py.
func (i *Instance) Bootstrap(ctx context.Context) error {
	cfg := i.config()
	if err := i.mustBeEmpty(cfg.DataDir); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := i.initdb(ctx, cfg); err != nil {
		i.setState(cluster.StateInitdbFailed)
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := i.boot(ctx, role{}, 0, cluster.StateStarting, ""); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := i.populate(ctx, cfg); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	i.fire("on_start")
	return nil
}

// mustBeEmpty refuses to fill a directory that somebody else has put something in. What an earlier attempt
// of ours has left is cleared away.
func (i *Instance) mustBeEmpty(dir string) error {
	if err := i.mustBeDown(); err != nil {
		return err
	}
	kind, why := inspect(dir)
	if kind != cluster.DataEmpty && kind != cluster.DataUnreadable && exists(fillingMark(dir)) {
		i.log.Warn("clearing away the rest of an unfinished copy", "path", dir)
		return emptyDir(dir, true)
	}
	switch kind {
	case cluster.DataEmpty:
		return nil
	case cluster.DataPresent:
		return fmt.Errorf("data directory %s holds a database already", dir)
	}
	return fmt.Errorf("data directory can't be used: %s", why)
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
	return i.fill(cfg.DataDir, func() error {
		if _, err := i.run(ctx, command{path: cfg.program("initdb"), args: append(args, cfg.DataDir)}); err != nil {
			return err
		}
		if len(cfg.HBA) == 0 && len(cfg.BootstrapHBA) > 0 {
			return appendHBA(cfg)
		}
		return nil
	})
}

// fill marks the data directory as unfinished while f fills it, and empties it again if f fails.
func (i *Instance) fill(dir string, f func() error) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	if err := setMark(fillingMark(dir)); err != nil {
		// A mount point may have a parent that is not ours. Then an agent that dies in the middle leaves a
		// directory that somebody has to look at; everything else works.
		i.log.Warn("an interrupted copy will not be recognised", "error", err)
	}
	if err := f(); err != nil {
		if clean := emptyDir(dir, false); clean != nil {
			return fmt.Errorf("%w (and removing what was copied: %w)", err, clean)
		}
		return fmt.Errorf("%w", joinMark(err, clearMark(fillingMark(dir))))
	}
	return clearMark(fillingMark(dir))
}

func joinMark(err, mark error) error {
	if mark == nil {
		return err
	}
	return fmt.Errorf("%w (%w)", err, mark)
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

func appendHBA(cfg Config) error {
	path := filepath.Join(cfg.DataDir, "pg_hba.conf")
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("append to pg_hba.conf: %w", err)
	}
	text := string(b) + "\n" + strings.Join(cfg.BootstrapHBA, "\n") + "\n\n"
	_, err = writeFile(path, []byte(text), fileMode(cfg.DataDir))
	return err
}

// populate creates the users and runs post_bootstrap.
func (i *Instance) populate(ctx context.Context, cfg Config) error {
	c, err := i.local("Patroni", 0).open(ctx)
	if err != nil {
		return err
	}
	defer closeConn(c)
	if err := quiet(ctx, c); err != nil {
		return err
	}
	if cfg.Superuser.Username != "" && cfg.Superuser.Password != "" {
		if err := ensureRole(ctx, c, cfg.Superuser, "SUPERUSER"); err != nil {
			return err
		}
	}
	if cfg.PostBootstrap != "" {
		if err := i.postBootstrap(ctx, cfg); err != nil {
			return err
		}
	}
	if err := ensureRole(ctx, c, cfg.Replication, "REPLICATION"); err != nil {
		return err
	}
	if cfg.Rewind.Username == cfg.Superuser.Username {
		return nil
	}
	if err := ensureRole(ctx, c, cfg.Rewind, ""); err != nil {
		return err
	}
	return execute(ctx, c, rewindGrants(cfg.Rewind.Username))
}

// quiet keeps passwords out of the server's log for the rest of the session. Settings of extensions that
// are not loaded are placeholders.
func quiet(ctx context.Context, c *pgconn.PgConn) error {
	return execute(ctx, c, `SET log_statement TO none; SET log_min_duration_statement TO -1; SET log_min_duration_sample TO -1;
SET log_min_error_statement TO 'panic'; SET log_transaction_sample_rate TO 0; SET "pg_stat_statements.track_utility" TO off;
SET "pgaudit.log" TO none; SET synchronous_commit TO local`)
}

func execute(ctx context.Context, c *pgconn.PgConn, sql string) error {
	_, err := c.Exec(ctx, sql).ReadAll()
	return err
}

// ensureRole creates or alters a role.
func ensureRole(ctx context.Context, c *pgconn.PgConn, cred Credentials, attributes string) error {
	if cred.Username == "" {
		return nil
	}
	out, err := rows(ctx, c, `SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1`, cred.Username)
	if err != nil {
		return fmt.Errorf("look for role %s: %w", cred.Username, err)
	}
	verb := "CREATE"
	if len(out) > 0 {
		verb = "ALTER"
	}
	sql := verb + " ROLE " + quoteIdent(cred.Username) + " WITH LOGIN " + attributes
	if cred.Password != "" {
		sql += " PASSWORD " + quoteLiteral(string(cred.Password))
	}
	if err := execute(ctx, c, sql); err != nil {
		return fmt.Errorf("%s role %s: %w", strings.ToLower(verb), cred.Username, err)
	}
	return nil
}

// rewindGrants are the functions of a role that pg_rewind connects as.
// Source: PostgreSQL 17, pg_rewind, Notes.
func rewindGrants(name string) string {
	var b strings.Builder
	for _, f := range []string{
		"pg_ls_dir(text, boolean, boolean)", "pg_stat_file(text, boolean)",
		"pg_read_binary_file(text)", "pg_read_binary_file(text, bigint, bigint, boolean)",
	} {
		fmt.Fprintf(&b, "GRANT EXECUTE ON FUNCTION pg_catalog.%s TO %s;", f, quoteIdent(name))
	}
	return b.String()
}

// postBootstrap runs the user's command with a connection string without a password as its last argument.
func (i *Instance) postBootstrap(ctx context.Context, cfg Config) error {
	to := i.local("", 0).to
	env, remove, err := privatePassFile(cfg.Superuser, to.Host, to.Port)
	if err != nil {
		return err
	}
	defer remove()
	env = append(env, "PGOPTIONS=-c synchronous_commit=local -c statement_timeout=0")
	_, err = i.run(ctx, command{
		path: cfg.PostBootstrap, shell: true, env: env,
		args: []string{keywords(cfg.remote(cfg.Superuser, to, cfg.Database))},
	})
	if err != nil {
		return fmt.Errorf("post_bootstrap: %w", err)
	}
	return nil
}
