package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Limits of a connection. Source: Patroni 4.1, postgresql/connection.py and config.py.
const (
	connectTimeout   = 3 * time.Second
	statementTimeout = 2 * time.Second
)

// session is one kind of connection.
type session struct {
	cred        Credentials
	to          cluster.Upstream
	database    string
	name        string        // application_name
	limit       time.Duration // statement_timeout; zero: none
	replication bool
}

// local is a connection to the own server, as the superuser. It goes where postmaster.pid says that the
// server listens now: a new port or socket directory may still wait for a restart.
func (i *Instance) local(name string, limit time.Duration) session {
	cfg := i.config()
	to := cluster.Upstream{Host: cfg.tcpHost(), Port: portText(cfg.Port)}
	if f, err := readPIDFile(cfg.DataDir); err == nil {
		if f.port != "" {
			to.Port = f.port
		}
		if cfg.UseUnixSocket && f.socketDir != "" {
			to.Host = f.socketDir
		}
	}
	return session{cred: cfg.Superuser, to: to, database: cfg.Database, name: name, limit: limit}
}

// open connects. The password is handed over in memory, not in a string that might be shown.
func (s session) open(ctx context.Context) (*pgconn.PgConn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	words := append([]Parameter{
		{"host", s.to.Host},
		{"port", s.to.Port},
		{"user", s.cred.Username},
		{"dbname", s.database},
	}, clientTLS(s.cred.TLS)...)
	cfg, err := pgconn.ParseConfig(keywords(words))
	if err != nil {
		return nil, fmt.Errorf("connect to %s:%s: %w", s.to.Host, s.to.Port, err)
	}
	if s.cred.Password != "" {
		cfg.Password = string(s.cred.Password)
	}
	cfg.ConnectTimeout = connectTimeout
	p := cfg.RuntimeParams
	delete(p, "options")
	p["application_name"] = s.name
	p["statement_timeout"] = fmt.Sprint(s.limit.Milliseconds())
	if s.replication {
		p["replication"] = "true"
	} else {
		p["search_path"] = "pg_catalog" // a superuser must not find anybody's functions
	}
	c, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to %s:%s: %w", s.to.Host, s.to.Port, err)
	}
	return c, nil
}

// clientTLS leaves out the keywords that only libpq knows.
func clientTLS(list []Parameter) []Parameter {
	var kept []Parameter
	for _, p := range list {
		switch p.Name {
		case "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslnegotiation", "channel_binding":
			kept = append(kept, p)
		}
	}
	return kept
}

// closeConn ends a connection without waiting for a server that may be gone.
func closeConn(c *pgconn.PgConn) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_ = c.Close(ctx)
}

// query runs one statement on a connection of its own and gives the rows as text; null is empty.
func (s session) query(ctx context.Context, sql string, args ...string) ([][]string, error) {
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(c)
	ctx, cancel := s.bound(ctx)
	defer cancel()
	out, err := rows(ctx, c, sql, args...)
	return out, s.unanswered(ctx, err)
}

// bound gives an answer a second more than the server has to find it. The server keeps its own limit, unless it is gone with its
// machine, or is held up where it can't be interrupted, as by a disk that hangs.
func (s session) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.limit == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, s.limit+time.Second, errSilent)
}

var errSilent = errors.New("it does not answer")

// unanswered says who has not answered.
func (s session) unanswered(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errSilent) {
		return fmt.Errorf("ask %s:%s: %w: %w", s.to.Host, s.to.Port, errSilent, err)
	}
	return err
}

// rows runs one statement in one round trip.
func rows(ctx context.Context, c *pgconn.PgConn, sql string, args ...string) ([][]string, error) {
	params := make([][]byte, len(args))
	for n, a := range args {
		params[n] = []byte(a)
	}
	r := c.ExecParams(ctx, sql, params, nil, nil, nil).Read()
	if r.Err != nil {
		return nil, r.Err
	}
	return text(r.Rows), nil
}

// replicate runs a statement of the replication protocol, which knows only simple queries.
func (s session) replicate(ctx context.Context, sql string) ([][]string, error) {
	s.replication = true
	c, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	defer closeConn(c)
	ctx, cancel := s.bound(ctx)
	defer cancel()
	r, err := c.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, s.unanswered(ctx, err)
	}
	if len(r) == 0 {
		return nil, fmt.Errorf("%s: no answer", sql)
	}
	return text(r[0].Rows), nil
}

func text(raw [][][]byte) [][]string {
	out := make([][]string, len(raw))
	for n, row := range raw {
		for _, v := range row {
			out[n] = append(out[n], string(v))
		}
	}
	return out
}

// sqlState gives the code of an error that the server itself reported, empty for any other.
func sqlState(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// rejecting: the server starts up, shuts down or recovers. Source: PostgreSQL 17, appendix A.
func rejecting(err error) bool { return sqlState(err) == "57P03" }

func quoteLiteral(s string) string {
	if strings.Contains(s, `\`) {
		return ` E'` + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(s) + `'`
	}
	return `'` + strings.ReplaceAll(s, `'`, `''`) + `'`
}

func quoteIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
