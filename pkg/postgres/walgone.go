package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const (
	// walGoneAfter is how long a replica does not stream before the server that it follows is asked whether it has the
	// WAL at all; walGoneAgain is when it is asked again.
	walGoneAfter = 3 * time.Second
	walGoneAgain = 30 * time.Second
	// walGoneLimit bounds one question.
	walGoneLimit = 5 * time.Second
	// undefinedFile is the SQLSTATE of WAL that has been removed.
	undefinedFile = "58P01"
)

// walQuestion is the question whether the upstream still has the WAL that this server needs next. Its WAL receiver
// finds that out, too, but tells only the log of the server.
type walQuestion struct {
	// since is when the replica was first seen not to stream at the position stuck. A receiver that is refused its WAL
	// calls itself streaming for moments, so that this is no sign of anything; a position that moves is.
	since time.Time
	stuck cluster.LSN

	mu    sync.Mutex
	asked time.Time
	at    cluster.LSN
	gone  string // what the upstream said about at; empty: it has it, or could not be asked
}

// walGone gives the answer to the question, and asks it beside everything else when it is due. With a restore_command
// the WAL may come from the archive.
func (i *Instance) walGone(s *cluster.Server) string {
	q := &i.watch.wal
	if !s.Answered || !s.InRecovery || s.Replaying || s.RestoreCommand != "" || s.PrimaryConninfo.Host == "" || s.Timeline == 0 {
		q.stuck = 0
		return ""
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.stuck != s.Position():
		q.stuck, q.since = s.Position(), time.Now()
	case s.ReceiverStatus != "streaming" && time.Since(q.since) > walGoneAfter && time.Since(q.asked) > walGoneAgain:
		q.asked = time.Now()
		go i.askForWAL(s.PrimaryConninfo, s.Position(), s.Timeline)
	}
	if q.at != s.Position() {
		return ""
	}
	return q.gone
}

func (i *Instance) askForWAL(from cluster.Upstream, at cluster.LSN, t cluster.Timeline) {
	ctx, cancel := context.WithTimeout(context.Background(), walGoneLimit)
	defer cancel()
	cfg := i.config()
	s := session{cred: cfg.Replication, to: from, name: cfg.Name + " asks for WAL", replication: true}
	err := s.hasWAL(ctx, at, t)
	q := &i.watch.wal
	q.mu.Lock()
	q.at, q.gone = at, ""
	if sqlState(err) == undefinedFile {
		q.gone = err.Error()
	}
	q.mu.Unlock()
	i.notify()
}

// hasWAL asks a server for its WAL from a position on, and hangs up at the first message with some. No slot is named,
// so nothing is kept or released for it. Source: PostgreSQL 17, 53.4, START_REPLICATION.
func (s session) hasWAL(ctx context.Context, at cluster.LSN, t cluster.Timeline) error {
	c, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer closeConn(c)
	c.Frontend().SendQuery(&pgproto3.Query{String: fmt.Sprintf("START_REPLICATION PHYSICAL %s TIMELINE %d", at, t)})
	if err := c.Frontend().Flush(); err != nil {
		return fmt.Errorf("ask %s:%s for WAL: %w", s.to.Host, s.to.Port, err)
	}
	for {
		message, err := c.ReceiveMessage(ctx)
		if err != nil {
			return fmt.Errorf("ask %s:%s for WAL: %w", s.to.Host, s.to.Port, err)
		}
		switch m := message.(type) {
		case *pgproto3.ErrorResponse:
			return pgconn.ErrorResponseToPgError(m)
		case *pgproto3.CopyData, *pgproto3.CopyDone, *pgproto3.CommandComplete:
			return nil
		}
	}
}
