package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// promoteLimit bounds the wait for the end of recovery; the server goes on with it afterwards. It is how often the
// agent looks whether another member should lead instead.
const promoteLimit = 10 * time.Second

// ErrNotInRecovery refuses to promote a server that is a primary already.
var ErrNotInRecovery = errors.New("postgres is not in recovery")

// Promote promotes the server and waits until it is out of recovery, at most promoteLimit. ErrNotInRecovery if
// it is a primary; cluster.ErrPromotionRefused if the user's pre_promote says no, which is asked before the server is
// told for the first time: then it is too late.
//
// PostgreSQL gives the new timeline the number after the newest whose history file it has. Unheard are lines that
// follow those of the server's own history: of timelines that began where it ends, of which it may not have heard.
func (i *Instance) Promote(ctx context.Context, unheard ...cluster.HistoryEntry) error {
	cfg := i.config()
	if cfg.PrePromote != "" && !i.wasTold(i.postmaster()) {
		if _, err := i.run(ctx, command{path: cfg.PrePromote, user: true}); err != nil {
			if ctx.Err() == nil {
				err = fmt.Errorf("%w: %w", cluster.ErrPromotionRefused, err)
			}
			return fmt.Errorf("promote: pre_promote: %w", err)
		}
	}
	if err := i.endRecovery(ctx, unheard); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	i.log.Debug("postgres has ended its recovery")
	i.forgetTold()
	i.dropUpstream()
	i.notify()
	i.callbacks.become(cluster.RolePrimary, "")
	i.fire(onRoleChange)
	return nil
}

func (i *Instance) endRecovery(ctx context.Context, unheard []cluster.HistoryEntry) error {
	ctx, cancel := context.WithTimeout(ctx, promoteLimit)
	defer cancel()
	c, err := i.local("Patroni", 0).open(ctx)
	if err != nil {
		return err
	}
	defer closeConn(c)
	if err := i.learnTimelines(unheard); err != nil {
		return err
	}
	h := i.postmaster()
	if h == nil {
		return errors.New("postgres does not run")
	}
	i.noteTold(h)
	// One statement looks and acts, so that no state lies between. pg_promote without waiting does what
	// pg_ctl promote does: a file and SIGUSR1. Source: PostgreSQL 17, 9.28.4.
	out, err := rows(ctx, c, `SELECT CASE WHEN pg_is_in_recovery() THEN pg_promote(wait => false) END`)
	switch {
	case err != nil:
		return err
	case out[0][0] == "":
		i.forgetTold()
		return ErrNotInRecovery
	case out[0][0] != "t":
		return errors.New("pg_promote() refused; see the log of postgres")
	}
	i.log.Debug("asked postgres to end its recovery")
	if err := awaitPrimary(ctx, c); err != nil {
		return fmt.Errorf("wait for the end of recovery: %w", err)
	}
	return nil
}

// awaitPrimary waits until the server is out of recovery. Nothing tells that moment, so the connection that
// is there anyway is asked, which costs a fraction of a millisecond.
func awaitPrimary(ctx context.Context, c *pgconn.PgConn) error {
	for {
		out, err := rows(ctx, c, `SELECT pg_is_in_recovery()`)
		if err != nil {
			return err
		}
		if out[0][0] == "f" {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Follow points the running replica to another upstream; a zero one disconnects it. It returns when the
// server has the new settings. Before PostgreSQL 13 that takes a restart. A replica that has this upstream already
// tries at once to connect to it, if it waits for wal_retrieve_retry_interval to be over: the signal to read the
// files ends that wait. Source: PostgreSQL 17, postmaster/startup.c, StartupProcSigHupHandler.
func (i *Instance) Follow(ctx context.Context, upstream cluster.Upstream) error {
	h := i.postmaster()
	cfg := i.config()
	switch {
	case h == nil:
		return errors.New("follow: postgres does not run")
	case !exists(cfg.DataDir, "standby.signal"):
		return fmt.Errorf("follow %s:%s: no standby.signal in %s; only a replica can follow", upstream.Host, upstream.Port, cfg.DataDir)
	}
	changed, err := i.writeFiles(ctx, role{standby: true, upstream: upstream})
	if err != nil {
		return fmt.Errorf("follow %s:%s: %w", upstream.Host, upstream.Port, err)
	}
	if !changed && i.follows(ctx, upstream) {
		i.fire(i.callbacks.become(roleUnder(upstream), "")) // the same server may be another member's now
		return hangup(h)
	}
	if !readsUpstream.has(majorVersion(cfg.DataDir)) {
		return i.restart(ctx, 0, nil, i.callbacks.become(roleUnder(upstream), onRestart))
	}
	if err := hangup(h); err != nil {
		return fmt.Errorf("follow %s:%s: %w", upstream.Host, upstream.Port, err)
	}
	err = i.awaitUpstream(ctx, upstream)
	if err == nil {
		i.fire(i.callbacks.become(roleUnder(upstream), onReload))
	}
	return err
}

// follows reports whether the running server has these settings already.
func (i *Instance) follows(ctx context.Context, upstream cluster.Upstream) bool {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	s := i.local("Patroni", statementTimeout)
	c, err := s.open(ctx)
	if err != nil {
		return false
	}
	defer closeConn(c)
	has, err := hasUpstream(ctx, c, upstream)
	return err == nil && has
}

// upstreamSettings are what a session sees of the upstream; upstreamOf reads them.
const upstreamSettings = `SELECT current_setting('primary_conninfo'), current_setting('primary_slot_name')`

func hasUpstream(ctx context.Context, c *pgconn.PgConn, upstream cluster.Upstream) (bool, error) {
	out, err := rows(ctx, c, upstreamSettings)
	if err != nil {
		return false, err
	}
	return upstreamOf(out[0][0], out[0][1]).Same(upstream) || upstream.Host == "" && out[0][0] == "", nil
}

// awaitUpstream waits until sessions see the new settings. A signal is not answered, so the server is
// asked; while it accepts no connections it will read the files before it does.
func (i *Instance) awaitUpstream(ctx context.Context, upstream cluster.Upstream) error {
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	s := i.local("Patroni", statementTimeout)
	c, err := s.open(ctx)
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	defer closeConn(c)
	for {
		has, err := hasUpstream(ctx, c, upstream)
		if err != nil {
			return fmt.Errorf("follow %s:%s: %w", upstream.Host, upstream.Port, err)
		}
		if has {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("follow %s:%s: the server has not read its new settings; see its log: %w",
				upstream.Host, upstream.Port, context.Cause(ctx))
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// currentRole tells what the configuration files have to be written for. The settings that the server runs
// with count more than memory, because another agent may have started it.
func (i *Instance) currentRole(ctx context.Context) role {
	r := role{standby: hasStandbySignal(i.config().DataDir)}
	if !r.standby {
		return r
	}
	i.mu.Lock()
	known := i.upstream
	i.mu.Unlock()
	if known != nil {
		r.upstream = *known
		return r
	}
	out, err := i.local("Patroni", statementTimeout).query(ctx, upstreamSettings)
	if err == nil {
		r.upstream = upstreamOf(out[0][0], out[0][1])
		return r
	}
	if b, err := os.ReadFile(i.config().mainFile()); err == nil {
		r.upstream = upstreamOf(confValue(string(b), "primary_conninfo"), confValue(string(b), "primary_slot_name"))
	}
	return r
}

// confValue reads a setting from a file that mainContent has written.
func confValue(content, name string) string {
	for line := range strings.Lines(content) {
		if v, ok := strings.CutPrefix(line, name+" = '"); ok {
			return unquoteConf(strings.TrimSpace(v))
		}
	}
	return ""
}
