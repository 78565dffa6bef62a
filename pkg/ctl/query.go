package ctl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/query"
)

// Query is SQL for one member.
type Query struct {
	Role, Member             string // as One takes them
	User, Password, Database string // empty: from the environment of libpq
	SQL                      string
}

// Rows is what a query gave.
type Rows = query.Rows

// QueryFailure is a query without a result, in the words of the contract.
type QueryFailure struct {
	Text   string
	Reason string // what lies behind it, for people; may be empty
}

func (f QueryFailure) Error() string { return f.Text }

// wanted is the state of recovery that goes with a role.
var wanted = map[string]query.Want{
	"primary": query.NotInRecovery, "replica": query.InRecovery, "standby": query.InRecovery, "standby-leader": query.InRecovery,
}

// RunQuery runs SQL on a member of the view. What goes wrong with the connection or the SQL is a QueryFailure.
func RunQuery(ctx context.Context, v *cluster.View, q Query) (Rows, error) {
	m, err := One(v, q.Role, q.Member)
	if err != nil {
		return Rows{}, err
	}
	if m == nil {
		return Rows{}, q.unavailable("the cluster has no such member")
	}
	host, port := m.Address()
	if host == "" {
		return Rows{}, q.unavailable("member " + m.Name + " has no address in etcd")
	}
	t := query.Target{Host: host, Port: port, User: q.User, Password: q.Password, Database: q.Database}
	rows, err := query.Run(ctx, t, wanted[q.Role], q.SQL)
	var told *query.Error
	switch {
	case err == nil:
		return rows, nil
	case ctx.Err() != nil:
		return Rows{}, context.Cause(ctx)
	case errors.Is(err, query.ErrUnfit):
		return Rows{}, q.unavailable(fmt.Sprintf("member %s: %v", m.Name, err))
	case errors.As(err, &told):
		return Rows{}, QueryFailure{Text: "ERROR, SQLSTATE: " + told.State, Reason: told.Message}
	}
	return Rows{}, QueryFailure{Text: "ERROR, SQLSTATE: " + strings.ReplaceAll(err.Error(), "\n", " ")}
}

func (q Query) unavailable(reason string) error {
	text := "No connection is available"
	switch {
	case q.Member != "":
		text = fmt.Sprintf("No connection to member %s is available", q.Member)
	case q.Role != "":
		text = fmt.Sprintf("No connection to role '%s' is available", q.Role)
	}
	return QueryFailure{Text: text, Reason: reason}
}
