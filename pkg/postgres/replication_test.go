package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testport"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

func TestCloneAndFollow(t *testing.T) {
	p := primary(t)
	sql(t, p, `CREATE TABLE public.a AS SELECT 1 AS b`)
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"node2"}}))
	r := newInstance(t, newConfig(t, "node2"))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	s := r.Observe(t.Context())
	if s.Data != cluster.DataPresent || !s.StandbySignal || s.Process != cluster.ProcessNone || s.State != cluster.StateStopped || s.SystemID == "" {
		t.Errorf("cloned: %+v", s)
	}
	up := address(p)
	up.Slot = "node2"
	must(t, r, r.StartReplica(t.Context(), up))
	s = eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" && caughtUp(p)(s) })
	if !s.InRecovery || s.Timeline != 1 || !s.PrimaryConninfo.Same(up) || s.ReplicationState() != "streaming" || s.State != cluster.StateRunning {
		t.Errorf("streaming: %+v", s)
	}
	if got := sql(t, r, `SELECT b FROM public.a`); got != "1" {
		t.Errorf("read %q on the replica", got)
	}
	ps := eventually(t, p, "a sender", func(s cluster.Server) bool {
		return len(s.Senders) == 1 && s.Senders[0].State == "streaming" && len(s.Slots) == 1 && s.Slots[0].Active
	})
	if w := ps.Senders[0]; w.ApplicationName != "node2" || w.User != "replicator" || w.ClientAddr != "127.0.0.1" {
		t.Errorf("sender: %+v", w)
	}

	must(t, r, r.Follow(t.Context(), cluster.Upstream{}))
	s = eventually(t, r, "no receiver", func(s cluster.Server) bool { return s.Answered && s.ReceiverStatus == "" })
	if s.PrimaryConninfo.Host != "" || s.Timeline != 1 || s.Position() == 0 {
		t.Errorf("follows nobody: %+v", s)
	}
	must(t, r, r.Follow(t.Context(), up))
	if s = r.Observe(t.Context()); !s.PrimaryConninfo.Same(up) {
		t.Errorf("right after follow: %+v", s)
	}
	eventually(t, r, "streaming again", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })

	// A restart keeps the upstream, and so does another agent that knows nothing of it.
	other := newInstance(t, r.cfg)
	must(t, other, other.Restart(t.Context(), 0, nil))
	s = eventually(t, r, "streaming after a restart", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	if !s.PrimaryConninfo.Same(up) {
		t.Errorf("restarted: %+v", s)
	}
}

func TestCloneFailureLeavesNothing(t *testing.T) {
	p := primary(t)
	r := newInstance(t, newConfig(t, "node2"))
	if err := r.Clone(t.Context(), cluster.Copy{From: cluster.Upstream{Host: "127.0.0.1", Port: portText(testport.Take(t))}}); err == nil {
		t.Error("cloned from nobody")
	}
	if exists(r.cfg.DataDir) {
		t.Error("the directory was touched although the source is away")
	}
	bad := r.cfg
	bad.BasebackupArgs = []string{"--no-such-option"}
	r.cfg = bad
	if err := r.Clone(t.Context(), cluster.Copy{From: address(p)}); err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("got %v", err)
	}
	if s := r.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("after a failure: %+v", s)
	}
	// What an agent has left that was killed in the middle is cleared away by the next attempt.
	for _, name := range []string{"PG_VERSION", "base/1/112"} {
		path := filepath.Join(r.cfg.DataDir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if s := r.Observe(t.Context()); s.Data != cluster.DataForeign {
		t.Errorf("unknown rest: %+v", s)
	}
	must(t, r, setMark(fillingMark(r.cfg.DataDir)))
	if s := r.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("rest of our own: %+v", s)
	}
	r.cfg.BasebackupArgs = p.cfg.BasebackupArgs
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
}

func TestCloneEndsWithItsContext(t *testing.T) {
	p := primary(t)
	r := newInstance(t, newConfig(t, "node2"))
	r.cfg.BasebackupArgs = []string{"--max-rate=32k", "--checkpoint=fast"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Clone(ctx, cluster.Copy{From: address(p)}) }()
	waitFor(t, "the copy to begin", func() bool { return exists(r.cfg.DataDir, "PG_VERSION") || exists(r.cfg.DataDir, "backup_label") })
	s := eventually(t, r, "progress", func(s cluster.Server) bool { return s.Progress.Total > 0 })
	if s.State != cluster.StateCreatingReplica || s.Progress.Done > s.Progress.Total {
		t.Errorf("copying: %+v", s)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s := r.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("cancelled: %+v", s)
	}
}

func TestPromote(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	if err := p.Promote(t.Context()); !errors.Is(err, ErrNotInRecovery) {
		t.Errorf("promoting a primary: %v", err)
	}
	eventually(t, r, "caught up", caughtUp(p))
	lsn, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	s := eventually(t, r, "the shutdown record", func(s cluster.Server) bool { return s.Position() > lsn })
	if s.Timeline != 1 {
		t.Errorf("without its primary: timeline %d", s.Timeline)
	}
	begin := time.Now()
	must(t, r, r.Promote(t.Context()))
	t.Logf("promotion took %s", time.Since(begin))
	sql(t, r, `CREATE TABLE public.b (c int)`)
	s = r.Observe(t.Context())
	if !s.IsPrimary() || s.Timeline != 2 || len(s.History) != 1 || s.History[0].Timeline != 1 || s.History[0].LSN == 0 ||
		s.HistoryTime.IsZero() || s.StandbySignal || s.PrimaryConninfo.Host != "" {
		t.Errorf("promoted: %+v", s)
	}
	must(t, r, r.Checkpoint(t.Context()))
	if s = r.Observe(t.Context()); s.CheckpointTimeline != 2 {
		t.Errorf("after the checkpoint: timeline %d", s.CheckpointTimeline)
	}
	// Cleanly stopped, the old primary follows without a rewind.
	d, err := p.CheckDivergence(t.Context(), address(r))
	must(t, p, err)
	if d.Needed || d.LeaderTimeline != 2 || d.LocalTimeline != 1 {
		t.Errorf("clean switchover: %+v", d)
	}
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "caught up with the new primary", caughtUp(r))
	if s = p.Observe(t.Context()); s.Timeline != 2 {
		t.Errorf("followed to timeline %d", s.Timeline)
	}
}

// TestRewind: the old primary has written what nobody got, crashes, and comes back.
func TestRewind(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	eventually(t, r, "caught up", caughtUp(p))
	must(t, r, r.Follow(t.Context(), cluster.Upstream{}))
	eventually(t, r, "cut off", func(s cluster.Server) bool { return s.Answered && s.ReceiverStatus == "" })
	sql(t, p, `CREATE TABLE public.lost AS SELECT generate_series(1, 1000) AS n`)
	_, err := p.Stop(t.Context(), cluster.StopKill, false)
	must(t, p, err)
	must(t, r, r.Promote(t.Context()))
	sql(t, r, `CREATE TABLE public.kept (c int)`)
	must(t, r, r.Checkpoint(t.Context()))

	if _, err := p.CheckDivergence(t.Context(), address(r)); err == nil {
		t.Error("a crashed server's position was believed")
	}
	must(t, p, p.CrashRecovery(t.Context()))
	if s := p.Observe(t.Context()); s.Control == nil || s.Control.State != "shut down" {
		t.Errorf("after crash recovery: %+v", s)
	}
	d, err := p.CheckDivergence(t.Context(), address(r))
	must(t, p, err)
	if !d.Needed {
		t.Fatalf("diverged, but %+v", d)
	}
	must(t, p, p.Rewind(t.Context(), address(r)))
	if exists(rewindMark(p.cfg.DataDir)) {
		t.Error("the mark is still there")
	}
	must(t, p, p.StartReplica(t.Context(), address(r)))
	s := eventually(t, p, "streaming from the new primary", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" && caughtUp(r)(s) })
	if s.Timeline != 2 {
		t.Errorf("on timeline %d", s.Timeline)
	}
	if got := sql(t, p, `SELECT to_regclass('public.lost') IS NULL, to_regclass('public.kept') IS NOT NULL`); got != "t|t" {
		t.Errorf("lost is gone, kept is there: %s", got)
	}
	if d, err := p.CheckDivergence(t.Context(), address(r)); err != nil || d.Needed {
		t.Errorf("running and level: %+v, %v", d, err)
	}
}

func TestDivergedWhileRunning(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	sql(t, p, `CREATE TABLE public.lost (n int)`)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	must(t, p, p.StartReplica(t.Context(), cluster.Upstream{}))
	d, err := p.CheckDivergence(t.Context(), address(r))
	must(t, p, err)
	if !d.Needed || d.LocalTimeline != 1 || d.LeaderTimeline != 2 {
		t.Errorf("got %+v", d)
	}
	if _, err := r.CheckDivergence(t.Context(), address(p)); err == nil || !strings.Contains(err.Error(), "still in_recovery") {
		t.Errorf("against a replica: %v", err)
	}
	must(t, p, markCopied(p.cfg.DataDir))
	must(t, p, p.Rewind(t.Context(), address(r)))
	if s := p.Observe(t.Context()); !s.Copied || exists(rewindMark(p.cfg.DataDir)) {
		t.Errorf("rewound, a copy is one no more: %+v", s)
	}
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "caught up", caughtUp(r))
}

func TestInterruptedRewindIsNotStarted(t *testing.T) {
	p := primary(t)
	_, err := p.Stop(t.Context(), cluster.StopFast, false)
	must(t, p, err)
	must(t, p, setMark(rewindMark(p.cfg.DataDir)))
	if err := p.StartPrimary(t.Context(), 0, nil); err == nil || !strings.Contains(err.Error(), "run hathi reinit test node1") {
		t.Errorf("got %v", err)
	}
	other := primaryWith(t, newConfig(t, "node2"))
	must(t, p, p.Clone(t.Context(), cluster.Copy{From: address(other), Replace: true}))
	if exists(rewindMark(p.cfg.DataDir)) {
		t.Error("the mark outlived the data")
	}
}

func TestSlots(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"a", "b"}}))
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"a"}}))
	s := p.Observe(t.Context())
	if len(s.Slots) != 2 || s.Slots[0].Name != "a" || s.Slots[0].Type != "physical" || s.Slots[0].RestartLSN == 0 || s.Slots[0].WALStatus == "" {
		t.Errorf("created: %+v", s.Slots)
	}
	sql(t, p, `CREATE TABLE public.a AS SELECT generate_series(1, 1000) AS n`)
	at := p.Observe(t.Context()).FlushLSN
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Drop: []string{"b", "nobody"}, Advance: map[string]cluster.LSN{"a": at}}))
	must(t, p, p.SyncSlots(t.Context(), cluster.SlotPlan{Advance: map[string]cluster.LSN{"a": at - 8}}))
	if s = p.Observe(t.Context()); len(s.Slots) != 1 || s.Slots[0].RestartLSN != at {
		t.Errorf("advanced to %s: %+v", at, s.Slots)
	}
	eventually(t, r, "caught up", caughtUp(p))
	must(t, r, r.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"a"}}))
	must(t, r, r.SyncSlots(t.Context(), cluster.SlotPlan{Advance: map[string]cluster.LSN{"a": at + 1<<30}}))
	if s = r.Observe(t.Context()); len(s.Slots) != 1 {
		t.Errorf("on the replica: %+v", s.Slots)
	}
	if err := p.SyncSlots(t.Context(), cluster.SlotPlan{Create: []string{"Bad Name", "good"}}); err == nil || !strings.Contains(err.Error(), "Bad Name") {
		t.Errorf("a bad name: %v", err)
	}
	if s = p.Observe(t.Context()); len(s.Slots) != 2 {
		t.Errorf("one failure has stopped the others: %+v", s.Slots)
	}
}

// TestStarting: a replica that waits for its archive says so, and StartReplica does not wait for ever.
func TestStarting(t *testing.T) {
	p := primary(t)
	r := newInstance(t, newConfig(t, "node2"))
	gate := filepath.Join(filepath.Dir(r.cfg.DataDir), "gate")
	r.cfg.Recovery = []Parameter{{"restore_command", "while ! test -e " + gate + "; do sleep 0.01; done; false"}}
	r.cfg.StartTimeout = 200 * time.Millisecond
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	s := eventually(t, r, "its pid file", func(s cluster.Server) bool { return s.Rejecting })
	if s.Answered || !s.Rejecting || s.State != cluster.StateStarting || s.Process != cluster.ProcessRunning || s.SilentFor != 0 || s.SystemID == "" {
		t.Errorf("starting: %+v", s)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	if s.State != cluster.StateRunning || s.RestoreCommand == "" {
		t.Errorf("started: %+v", s)
	}
}

// TestSilent: a server that does not answer does not hold up its observer.
func TestSilent(t *testing.T) {
	p := primary(t)
	p.Observe(t.Context())
	backend := p.watch.conn.PID()
	if err := syscall.Kill(int(backend), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	s := p.Observe(t.Context())
	if s.Answered || s.SilentFor == 0 || s.Process != cluster.ProcessRunning || time.Since(begin) > connectTimeout+statementTimeout+time.Second {
		t.Errorf("after %s: %+v", time.Since(begin), s)
	}
	if s = p.Observe(t.Context()); !s.Answered || s.SilentFor != 0 {
		t.Errorf("with another session: %+v", s)
	}
	if err := syscall.Kill(int(backend), syscall.SIGCONT); err != nil {
		t.Log(err)
	}
}

// TestFollowAgainConnectsAtOnce: a replica that waits for its next attempt makes it when it is told to follow whom it
// follows already.
func TestFollowAgainConnectsAtOnce(t *testing.T) {
	p := primary(t)
	cfg := newConfig(t, "node2")
	cfg.Parameters = append(cfg.Parameters, Parameter{"wal_retrieve_retry_interval", "10min"})
	r := newInstance(t, cfg)
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	started := eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	if _, err := p.Stop(t.Context(), cluster.StopImmediate, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, r, "waiting for the next attempt", func(s cluster.Server) bool {
		return s.Answered && s.ReceiverStatus == "" && sql(t, r,
			`SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup'`) == "RecoveryRetrieveRetryInterval"
	})
	must(t, p, p.StartPrimary(t.Context(), time.Minute, nil))
	must(t, r, r.Follow(t.Context(), address(p)))
	s := eventually(t, r, "streaming again", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	if s.PostmasterPID != started.PostmasterPID {
		t.Error("the replica was restarted for it")
	}
	if s.ConfigLoaded == started.ConfigLoaded {
		t.Error("the observation does not tell that the files were read")
	}
}

// TestRewindOfKilledReplica: a replica has replayed what the new leader never got, and its server was killed.
func TestRewindOfKilledReplica(t *testing.T) {
	p := primary(t)
	ahead, leader := replicaOf(t, p, "node2"), replicaOf(t, p, "node3")
	eventually(t, leader, "caught up", caughtUp(p))
	must(t, leader, leader.Follow(t.Context(), cluster.Upstream{}))
	eventually(t, leader, "cut off", func(s cluster.Server) bool { return s.Answered && s.ReceiverStatus == "" })
	sql(t, p, "CREATE TABLE public.lost AS SELECT generate_series(1, 1000) AS n")
	must(t, p, p.Checkpoint(t.Context()))
	eventually(t, ahead, "caught up", caughtUp(p))
	must(t, ahead, ahead.Checkpoint(t.Context()))
	for _, i := range []*Instance{ahead, p} {
		_, err := i.Stop(t.Context(), cluster.StopKill, false)
		must(t, i, err)
	}
	must(t, leader, leader.Promote(t.Context()))
	must(t, leader, leader.Checkpoint(t.Context()))
	d, err := ahead.CheckDivergence(t.Context(), address(leader))
	must(t, ahead, err)
	if s := ahead.Observe(t.Context()); !d.Needed || s.Control == nil || s.Control.State != "in archive recovery" {
		t.Fatalf("this tests nothing: %+v, %+v", d, s.Control)
	}
	must(t, ahead, ahead.Rewind(t.Context(), address(leader)))
	must(t, ahead, ahead.StartReplica(t.Context(), address(leader)))
	eventually(t, ahead, "caught up with the new leader", caughtUp(leader))
	if got := sql(t, ahead, "SELECT to_regclass('public.lost') IS NULL"); got != "t" {
		t.Errorf("not rewound: %s", got)
	}
}
