package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// position is how far the local server has come, and as what.
type position struct {
	timeline   cluster.Timeline
	lsn        cluster.LSN
	wasPrimary bool // stopped as a primary: lsn is where its shutdown checkpoint begins
}

// CheckDivergence compares this server's history, running or stopped, with the leader's. An error means
// that it can't be told yet. Source: Patroni 4.1, postgresql/rewind.py, _check_timeline_and_lsn.
func (i *Instance) CheckDivergence(ctx context.Context, leader cluster.Upstream) (cluster.Divergence, error) {
	own, err := i.localPosition(ctx)
	if err != nil {
		return cluster.Divergence{}, fmt.Errorf("compare history with %s:%s: %w", leader.Host, leader.Port, err)
	}
	i.log.Info(fmt.Sprintf("Local timeline=%d lsn=%s", own.timeline, own.lsn)) // users grep it
	d := cluster.Divergence{LocalTimeline: own.timeline, LocalLSN: own.lsn}
	if err := i.mustBePrimary(ctx, leader); err != nil {
		return d, err
	}
	cfg := i.config()
	s := session{cred: cfg.Replication, to: leader, name: cfg.Name, limit: statementTimeout}
	systemID, t, err := identifySystem(ctx, s)
	if err != nil {
		return d, err
	}
	if c, err := i.readControl(ctx); err == nil && c.SystemID != systemID {
		return d, fmt.Errorf("compare history with %s:%s: it belongs to another cluster: system identifier %s, here %s",
			leader.Host, leader.Port, systemID, c.SystemID)
	}
	d.LeaderTimeline = t
	d.Needed, err = i.diverged(ctx, s, own, t)
	return d, err
}

// diverged judges own against the history of the leader, which is on timeline t.
func (i *Instance) diverged(ctx context.Context, leader session, own position, t cluster.Timeline) (bool, error) {
	switch {
	case own.timeline > t:
		return true, nil
	case t == 1:
		return false, nil // the first has no history, and there is only one
	}
	out, err := leader.replicate(ctx, fmt.Sprintf("TIMELINE_HISTORY %d", t))
	if err != nil || len(out) != 1 || len(out[0]) < 2 {
		return false, fmt.Errorf("TIMELINE_HISTORY %d on %s:%s: %w", t, leader.to.Host, leader.to.Port, err)
	}
	entries, err := parseHistory(out[0][1])
	if err != nil {
		return false, fmt.Errorf("the history of timeline %d on %s:%s is corrupted: %w", t, leader.to.Host, leader.to.Port, err)
	}
	if own.timeline == t {
		return i.namesake(t, entries), nil
	}
	for n, e := range entries {
		if e.Timeline == own.timeline {
			return i.namesake(e.Timeline, entries[:n]) || i.beyond(ctx, own, e.LSN), nil
		}
	}
	return true, nil // the leader never was on our timeline
}

// namesake reports whether the timeline of that number here is another than the leader's. PostgreSQL gives a new one the
// next number that it knows of; if nobody has heard of a promotion that was lost, the next one may get the same number.
// The lines are those of the leader's history that led to its timeline of that number.
func (i *Instance) namesake(t cluster.Timeline, leader []cluster.HistoryEntry) bool {
	own, _, err := (&historyFile{}).read(i.config().DataDir, t)
	if err != nil || len(own) == 0 || len(leader) == 0 {
		return false // a copy need not have the file; what a corrupted one means is said where it is observed
	}
	a, b := own[len(own)-1], leader[len(leader)-1]
	return a.Timeline != b.Timeline || a.LSN != b.LSN
}

// beyond reports whether own has WAL behind the point at which the leader left our timeline.
func (i *Instance) beyond(ctx context.Context, own position, fork cluster.LSN) bool {
	switch {
	case !own.wasPrimary:
		return own.lsn > fork
	case own.lsn >= fork:
		return true
	}
	// The last record is the shutdown checkpoint. The leader left exactly behind it, or before.
	return i.checkpointEnd(ctx, own) != fork
}

// localPosition tells how far the local server has come.
func (i *Instance) localPosition(ctx context.Context) (position, error) {
	if i.postmaster() != nil {
		return i.runningPosition(ctx)
	}
	c, err := i.readControl(ctx)
	if err != nil {
		return position{}, err
	}
	switch c.State {
	case "shut down in recovery", "in archive recovery":
		if c.MinRecoveryLSN != 0 && c.MinRecoveryTLI != 0 {
			return position{timeline: c.MinRecoveryTLI, lsn: c.MinRecoveryLSN}, nil
		}
		return position{timeline: c.Timeline, lsn: c.Checkpoint, wasPrimary: true}, nil
	case "shut down":
		return position{timeline: c.Timeline, lsn: c.Checkpoint, wasPrimary: true}, nil
	}
	return position{}, fmt.Errorf("the control file says %q, which does not tell where the WAL ends", c.State)
}

func (i *Instance) runningPosition(ctx context.Context) (position, error) {
	t, err := i.identify(ctx)
	if err != nil {
		return position{}, err
	}
	out, err := i.local("Patroni", statementTimeout).query(ctx,
		`SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END`)
	if err != nil {
		return position{}, err
	}
	lsn, err := cluster.ParseLSN(out[0][0])
	return position{timeline: t, lsn: lsn}, err
}

// mustBePrimary refuses a server in recovery: its history may still change.
func (i *Instance) mustBePrimary(ctx context.Context, leader cluster.Upstream) error {
	cfg := i.config()
	s := session{cred: cfg.Rewind, to: leader, database: cfg.Database, name: cfg.Name, limit: statementTimeout}
	out, err := s.query(ctx, `SELECT pg_is_in_recovery()`)
	if err != nil {
		return err
	}
	if out[0][0] != "f" {
		//lint:ignore ST1005 users grep it
		return fmt.Errorf("Leader is still in_recovery and therefore can't be used for rewind (%s:%s)", leader.Host, leader.Port)
	}
	return nil
}

// waldumpEnd finds where pg_waldump ran out of WAL. The wording is that of PostgreSQL 12 to 15 and 16 to 18.
var waldumpEnd = regexp.MustCompile(`error in WAL record at ([0-9A-F]+/[0-9A-F]+): invalid record length at ([0-9A-F]+/[0-9A-F]+): (?:wanted|expected at least)`)

// checkpointEnd gives where the last checkpoint record ends, zero if that can't be told; the caller then
// takes the histories for diverged, which is the safe side.
func (i *Instance) checkpointEnd(ctx context.Context, own position) cluster.LSN {
	cfg := i.config()
	out, err := i.run(ctx, command{
		path: cfg.program("pg_waldump"), dir: cfg.DataDir, env: append([]string{"PGDATA=" + cfg.DataDir}, untranslated...),
		args: []string{"-t", strconv.Itoa(int(own.timeline)), "-p", cfg.DataDir + "/pg_wal", "-s", own.lsn.String(), "-n", "2"},
	})
	if err == nil {
		return 0 // a second record: the checkpoint was not the last one
	}
	m := waldumpEnd.FindStringSubmatch(out)
	at, err1 := cluster.ParseLSN(group(m, 1))
	end, err2 := cluster.ParseLSN(group(m, 2))
	if errors.Join(err1, err2) != nil || at != own.lsn || strings.Count(out, "rmgr:") != 1 {
		i.log.Warn("pg_waldump did not tell the end of the last checkpoint", "output", lastLines(out))
		return 0
	}
	return end
}

func group(m []string, n int) string {
	if n < len(m) {
		return m[n]
	}
	return ""
}
