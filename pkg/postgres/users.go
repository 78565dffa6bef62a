package postgres

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

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
		i.log.Info("running post_bootstrap") // users grep it
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
		path: cfg.PostBootstrap, user: true, env: env,
		args: []string{keywords(cfg.remote(cfg.Superuser, to, cfg.Database))},
	})
	if err != nil {
		return fmt.Errorf("post_bootstrap: %w", err)
	}
	return nil
}
