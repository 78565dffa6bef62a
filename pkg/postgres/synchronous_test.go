package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// TestSynchronousNames sets the names, has them survive the agent and the server, and gives them back.
func TestSynchronousNames(t *testing.T) {
	i := primary(t)
	_, err := i.Reconfigure(t.Context(), with(i.cfg, Parameter{namesParameter, "theirs"}))
	must(t, i, err)
	see := func(i *Instance, want string, own bool) {
		t.Helper()
		s := i.Observe(t.Context())
		if s.SynchronousNames != want || s.OwnSynchronousNames != own {
			t.Errorf("names are %q (own %v), want %q (own %v)", s.SynchronousNames, s.OwnSynchronousNames, want, own)
		}
	}
	see(i, "theirs", false)
	for _, names := range []quorum.Names{
		{Required: 1, Standbys: []string{"node2"}, Any: true}, {Required: 2, Standbys: []string{"any", `o"dd`}}, {}, quorum.Blocked(),
	} {
		text := names.Text()
		must(t, i, i.SetSynchronousNames(t.Context(), &text))
		see(i, text, true)
	}
	blocked := quorum.Blocked().Text()
	// The next agent finds them, and neither a reload nor a restart loses them.
	next := newInstance(t, i.cfg)
	_, err = next.Reconfigure(t.Context(), with(i.cfg, Parameter{"work_mem", "5MB"}))
	must(t, next, err)
	see(next, blocked, true)
	_, err = next.Stop(t.Context(), cluster.StopFast, false)
	must(t, next, err)
	must(t, next, next.StartPrimary(t.Context(), 0, nil))
	see(next, blocked, true)
	must(t, next, next.SetSynchronousNames(t.Context(), nil))
	see(next, "theirs", false)

	// A user's ALTER SYSTEM would be stronger, and goes.
	sql(t, next, `ALTER SYSTEM SET synchronous_standby_names = 'mine'`)
	must(t, next, next.SetSynchronousNames(t.Context(), &blocked))
	see(next, blocked, true)
}

// TestNobodyAcknowledges: with the name that nobody can have a commit waits although a replica streams; named,
// that replica acknowledges.
func TestNobodyAcknowledges(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	_, err := r.Reconfigure(t.Context(), with(r.cfg, Parameter{"wal_receiver_status_interval", "0"})) // it reports only what is new
	must(t, r, err)
	eventually(t, p, "streaming", func(s cluster.Server) bool { return len(s.Senders) == 1 && s.Senders[0].State == "streaming" })
	blocked, named := quorum.Blocked().Text(), quorum.Names{Required: 1, Standbys: []string{"node2"}}.Text()
	must(t, p, p.SetSynchronousNames(t.Context(), &blocked))
	// A checkpointer that has not run since the signal shows as waiting, too; the rules count it after a quarter of a second.
	set := time.Now()
	eventually(t, p, "checkpointer at rest", func(s cluster.Server) bool { return s.CheckpointerIdle && time.Since(set) > time.Second/4 })
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := p.local("test", 0).query(ctx, `CREATE TABLE public.waits (i int)`); err == nil || ctx.Err() == nil {
		t.Errorf("a commit with nobody to acknowledge it does not wait: %v", err)
	}
	s := p.Observe(t.Context())
	if len(s.Senders) != 1 || s.Senders[0].SyncPriority != 0 {
		t.Errorf("senders: %+v", s.Senders)
	}
	// What has waited already is let go, too, although the replica has long had it.
	waiting := make(chan error, 1)
	go func() {
		_, err := p.local("test", 0).query(t.Context(), `CREATE TABLE public.waited (i int)`)
		waiting <- err
	}()
	eventually(t, r, "received", func(cluster.Server) bool {
		return sql(t, p, `SELECT count(*) FROM pg_stat_activity AS a JOIN pg_stat_replication AS r ON r.flush_lsn = pg_current_wal_lsn() WHERE a.wait_event = 'SyncRep'`) == "1"
	})
	must(t, p, p.SetSynchronousNames(t.Context(), &named))
	select {
	case err := <-waiting:
		must(t, p, err)
	case <-time.After(10 * time.Second): // without help it waits until somebody else writes WAL
		t.Error("a commit that has waited for nobody is not let go")
	}
	sql(t, p, `CREATE TABLE public.done (i int)`)
	s = eventually(t, p, "priority", func(s cluster.Server) bool { return len(s.Senders) == 1 && s.Senders[0].SyncPriority == 1 })
	if s.Senders[0].SyncState != "sync" {
		t.Errorf("senders: %+v", s.Senders)
	}
}

// TestReplaying: a standby that was started again shows less than it has until it has replayed its own WAL.
func TestReplaying(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	s := eventually(t, r, "caught up", caughtUp(p))
	if s.Replaying {
		t.Errorf("a standby that streams counts as replaying: %+v", s)
	}
	cfg := r.cfg
	cfg.Recovery = append(cfg.Recovery, Parameter{"recovery_min_apply_delay", "1h"})
	_, err := r.Reconfigure(t.Context(), cfg)
	must(t, r, err)
	sql(t, p, `CREATE TABLE public.later (i int)`)
	at := p.Observe(t.Context()).FlushLSN
	eventually(t, r, "received and not replayed", func(s cluster.Server) bool { return s.ReceiveLSN >= at })
	_, err = r.Stop(t.Context(), cluster.StopImmediate, false)
	must(t, r, err)
	must(t, r, r.StartReplica(t.Context(), cluster.Upstream{}))
	s = eventually(t, r, "consistent", func(s cluster.Server) bool { return s.Answered })
	if !s.Replaying || s.Position() >= at {
		t.Errorf("at %s of %s, replaying %v", s.Position(), at, s.Replaying)
	}
	cfg.Recovery = cfg.Recovery[:len(cfg.Recovery)-1]
	_, err = r.Reconfigure(t.Context(), cfg)
	must(t, r, err)
	eventually(t, r, "all replayed", func(s cluster.Server) bool { return !s.Replaying && s.Position() >= at })
}
