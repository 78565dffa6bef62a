// Package query runs one text of SQL on one server for the query command and gives the rows as plain values. It is
// a client's connection over the network, unlike those of package postgres, which watches over its own server.
package query

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Target says where to connect to. What is empty comes from the usual environment of libpq: PGUSER, PGPASSWORD,
// PGDATABASE, PGSSLMODE, ~/.pgpass and so on.
type Target struct {
	Host, Port               string
	User, Password, Database string
	// Options are further keywords of libpq, such as sslmode.
	Options map[string]string
}

// Want is the state of recovery that the server has to be in.
type Want int

// The wishes.
const (
	Any Want = iota
	InRecovery
	NotInRecovery
)

// Rows is what the last statement gave. Values are nil, bool, json.Number, float64, string, []any of these, and
// json.RawMessage for json and jsonb.
type Rows struct {
	Columns []string
	Values  [][]any
}

// ErrUnfit is a server whose state of recovery is not the one that was wanted.
var ErrUnfit = errors.New("the server is not in the wanted state of recovery")

// Error is a failure that the server told with an SQLSTATE, after the connection was made.
type Error struct{ State, Message string }

func (e *Error) Error() string { return e.Message }

// The words for what is no error to the server.
var (
	errEmpty  = errors.New("can't execute an empty query")
	errNoRows = errors.New("no results to fetch")
)

const connectTimeout = 5 * time.Second

// Run connects, checks the recovery state, and runs the text, which may hold several statements, as one simple
// query: the result is that of the last one. The error is ErrUnfit, an *Error, or another one that says why there
// is no result.
func Run(ctx context.Context, t Target, want Want, sql string) (Rows, error) {
	conn, err := connect(ctx, t)
	if err != nil {
		return Rows{}, err
	}
	defer func() {
		bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(bye)
	}()
	if want != Any {
		r, err := run(ctx, conn, "SELECT pg_catalog.pg_is_in_recovery()")
		if err != nil {
			return Rows{}, err
		}
		if in := r.Values[0][0] == true; in != (want == InRecovery) {
			return Rows{}, ErrUnfit
		}
	}
	return run(ctx, conn, sql)
}

var quote = strings.NewReplacer(`\`, `\\`, `'`, `\'`)

// unknownHere are keywords of libpq that this client does not know, and would send to the server as settings.
var unknownHere = []string{"gssencmode", "sslcrl", "sslcrldir"}

func connect(ctx context.Context, t Target) (*pgconn.PgConn, error) {
	var b strings.Builder
	for _, p := range [][2]string{{"host", t.Host}, {"port", t.Port}, {"user", t.User}, {"password", t.Password}, {"dbname", t.Database}} {
		if p[1] != "" {
			fmt.Fprintf(&b, "%s='%s' ", p[0], quote.Replace(p[1]))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(t.Options)) {
		if !slices.Contains(unknownHere, key) {
			fmt.Fprintf(&b, "%s='%s' ", key, quote.Replace(t.Options[key]))
		}
	}
	cfg, err := pgconn.ParseConfig(b.String())
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", t.Host, err)
	}
	cfg.ConnectTimeout = connectTimeout
	cfg.RuntimeParams["application_name"] = "Patroni ctl"
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	var told *pgconn.PgError
	if errors.As(err, &told) && strings.HasPrefix(told.Code, "28") {
		err = loginError{err}
	}
	return conn, err
}

// ErrLogin is a server that refuses a user or a password.
var ErrLogin = errors.New("the server refuses the login")

type loginError struct{ error }

func (e loginError) Unwrap() error        { return e.error }
func (e loginError) Is(target error) bool { return target == ErrLogin }

// run gives the last result; all of them are read, because an error may come after rows.
func run(ctx context.Context, conn *pgconn.PgConn, sql string) (Rows, error) {
	results := conn.Exec(ctx, sql)
	var last Rows
	var command string
	statements := 0
	for results.NextResult() {
		r := results.ResultReader()
		last = Rows{}
		var types []uint32
		for _, f := range r.FieldDescriptions() {
			last.Columns = append(last.Columns, f.Name)
			types = append(types, f.DataTypeOID)
		}
		for r.NextRow() {
			last.Values = append(last.Values, convertRow(types, r.Values()))
		}
		tag, _ := r.Close() // its error is that of results
		command = tag.String()
		statements++
	}
	if err := results.Close(); err != nil {
		var told *pgconn.PgError
		if errors.As(err, &told) {
			return Rows{}, &Error{State: told.Code, Message: told.Message}
		}
		return Rows{}, err
	}
	switch {
	case statements == 0 || command == "" && last.Columns == nil:
		return Rows{}, errEmpty
	case last.Columns == nil:
		return Rows{}, errNoRows
	}
	return last, nil
}
