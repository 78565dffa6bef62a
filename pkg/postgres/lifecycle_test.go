package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

func TestBootstrap(t *testing.T) {
	cfg := newConfig(t, "node1")
	ran := filepath.Join(filepath.Dir(cfg.DataDir), "post")
	cfg.PostBootstrap = "psql -XAtc 'SELECT current_user' -o " + ran + " -d"
	i := newInstance(t, cfg)
	if s := i.Observe(t.Context()); s.Data != cluster.DataEmpty || s.Process != cluster.ProcessNone || s.State != cluster.StateStopped {
		t.Errorf("before: %+v", s)
	}
	must(t, i, i.Bootstrap(t.Context(), nil))
	s := i.Observe(t.Context())
	if !s.IsPrimary() || s.State != cluster.StateRunning || s.Timeline != 1 || s.FlushLSN == 0 || !cluster.ValidSystemID(s.SystemID) ||
		s.Version < 120000 || !s.RewindPossible || len(s.PendingRestart) != 0 || s.PostmasterStart.IsZero() || s.Control != nil {
		t.Errorf("after: %+v", s)
	}
	if b, err := os.ReadFile(ran); err != nil || string(b) != "postgres\n" {
		t.Errorf("post_bootstrap: %q, %v", b, err)
	}
	if got := sql(t, i, `SELECT rolreplication FROM pg_roles WHERE rolname = 'replicator'`); got != "t" {
		t.Errorf("replication role: %q", got)
	}
	for _, secret := range []string{"ecret", "rew1nd"} {
		if log := serverLog(i); strings.Contains(log, secret) {
			t.Errorf("the server's log tells a password: %s", log)
		}
	}
	if err := i.Bootstrap(t.Context(), nil); err == nil {
		t.Error("a second bootstrap has worked")
	}
	if exists(fillingMark(cfg.DataDir)) {
		t.Error("the mark is still there")
	}
}

// TestStopWithAFrozenProcess: a fast stop waits for every process of the server, so none of them may stay frozen.
func TestStopWithAFrozenProcess(t *testing.T) {
	i := primary(t)
	for _, who := range []string{"SELECT pg_backend_pid()", "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'", "postmaster"} {
		c, err := i.local("frozen", 0).open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pid := i.postmaster().PID()
		if who != "postmaster" {
			out, err := rows(t.Context(), c, who)
			if err != nil {
				t.Fatal(err)
			}
			if pid, err = strconv.Atoi(out[0][0]); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		lsn, err := i.Stop(ctx, cluster.StopFast, false)
		cancel()
		if err != nil || lsn == 0 {
			t.Errorf("%s frozen: stopped at %s, %v; want a clean stop", who, lsn, err)
		}
		closeConn(c)
		must(t, i, i.StartPrimary(t.Context(), 0, nil))
	}
}

func TestPasswordsInNoTitle(t *testing.T) {
	p := primary(t)
	replicaOf(t, p, "node2")
	out, err := exec.Command("ps", "-ww", "-eo", "args").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "s'ecret") || strings.Contains(line, "rew1nd") {
			t.Errorf("a process title tells a password: %s", line)
		}
	}
	if got := fmt.Sprintf("%v %+v %#v", p.cfg, p.cfg, p.cfg); strings.Contains(got, "ecret") {
		t.Errorf("the configuration prints a password: %s", got)
	}
}

func TestBootstrapFailureIsMovedAside(t *testing.T) {
	cfg := newConfig(t, "node1")
	cfg.PostBootstrap = "false"
	i := newInstance(t, cfg)
	if err := i.Bootstrap(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	if err := i.MoveDataAside(t.Context()); err == nil {
		t.Error("moved away under a running server")
	}
	if _, err := i.Stop(t.Context(), cluster.StopImmediate, false); err != nil {
		t.Fatal(err)
	}
	must(t, i, i.MoveDataAside(t.Context()))
	if s := i.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("after: %+v", s)
	}
	if !exists(cfg.DataDir+".failed", "global", "pg_control") {
		t.Error("nothing was kept for inspection")
	}
}

func TestStopModes(t *testing.T) {
	i := primary(t)
	for _, tc := range []struct {
		mode       cluster.StopMode
		checkpoint bool
		state      string
	}{
		{cluster.StopFast, true, "shut down"},
		{cluster.StopFast, false, "shut down"},
		{cluster.StopImmediate, false, "in production"},
		{cluster.StopKill, false, "in production"},
	} {
		t.Run(string(tc.mode), func(t *testing.T) {
			sql(t, i, `CREATE TABLE IF NOT EXISTS public.a (b int)`)
			lsn, err := i.Stop(t.Context(), tc.mode, tc.checkpoint)
			must(t, i, err)
			if clean := tc.state == "shut down"; clean != (lsn != 0) {
				t.Errorf("position %s", lsn)
			}
			s := i.Observe(t.Context())
			if s.Process != cluster.ProcessNone || s.State != cluster.StateStopped || s.Control == nil ||
				s.Control.State != tc.state || s.Timeline != 1 || s.SystemID == "" {
				t.Errorf("stopped: %+v, %+v", s, s.Control)
			}
			if left, err := process.InDirectory(i.cfg.DataDir, ""); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
			must(t, i, i.StartPrimary(t.Context(), 0, nil))
			if s := i.Observe(t.Context()); !s.IsPrimary() || s.State != cluster.StateRunning {
				t.Errorf("started: %+v", s)
			}
		})
	}
}

// TestStopEndsWithItsContext: a fast stop waits for a replica or an archiver as long as it takes; the
// context ends that.
func TestStopEndsWithItsContext(t *testing.T) {
	i := primary(t)
	h := i.postmaster()
	if err := h.Signal(syscall.SIGSTOP); err != nil { // a frozen postmaster takes no SIGINT
		t.Fatal(err)
	}
	eventually(t, i, "frozen", func(s cluster.Server) bool { return s.Process == cluster.ProcessFrozen })
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := i.Stop(ctx, cluster.StopFast, false)
	must(t, i, err)
	if left, err := process.InDirectory(i.cfg.DataDir, ""); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	must(t, i, i.StartPrimary(t.Context(), 0, nil))
}

func TestFrozenPostmasterIsKilled(t *testing.T) {
	i := primary(t)
	i.Observe(t.Context())
	if err := i.postmaster().Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	// The session that is there goes on: only the postmaster is frozen.
	s := eventually(t, i, "frozen", func(s cluster.Server) bool { return s.Process == cluster.ProcessFrozen })
	if !s.Answered {
		t.Errorf("frozen: %+v", s)
	}
	i.watch.close() // without one nothing is tried, so that nothing blocks
	begin := time.Now()
	if s = i.Observe(t.Context()); s.Answered || s.SilentFor == 0 || time.Since(begin) >= connectTimeout {
		t.Errorf("without a session: %+v after %s", s, time.Since(begin))
	}
	_, err := i.Stop(t.Context(), cluster.StopKill, false)
	must(t, i, err)
	if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone {
		t.Errorf("killed: %+v", s)
	}
}

// TestStartAfterKillWithBusyBackend: the children of a killed postmaster live on and hold its memory.
func TestStartAfterKillWithBusyBackend(t *testing.T) {
	i := primary(t)
	go func() { // ends with the backend
		_, _ = i.local("busy", 0).query(context.WithoutCancel(t.Context()), `SELECT count(*) FROM generate_series(1, 100000000000)`)
	}()
	waitFor(t, "a busy backend", func() bool {
		return sql(t, i, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'busy' AND state = 'active'`) == "1"
	})
	drain(i)
	if err := i.postmaster().Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case <-i.Changed():
	case <-time.After(10 * time.Second):
		t.Fatal("nobody told that the postmaster has ended")
	}
	if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone || s.State != cluster.StateCrashed {
		t.Errorf("killed: %+v", s)
	}
	if left, _ := process.InDirectory(i.cfg.DataDir, ""); len(left) == 0 {
		t.Log("every backend noticed the end of the postmaster before we looked")
	}
	must(t, i, i.StartPrimary(t.Context(), 0, nil))
	if s := i.Observe(t.Context()); !s.IsPrimary() {
		t.Errorf("restarted: %+v", s)
	}
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

func drain(i *Instance) {
	select {
	case <-i.Changed():
	default:
	}
}

func TestAdoption(t *testing.T) {
	p := primary(t)
	first := p.Observe(t.Context())
	second := newInstance(t, p.cfg)
	s := second.Observe(t.Context())
	if s.PostmasterPID != first.PostmasterPID || s.State != cluster.StateRunning || !s.IsPrimary() ||
		!s.PostmasterStart.Equal(first.PostmasterStart) {
		t.Errorf("adopted %+v, started %+v", s, first)
	}
	if err := second.StartPrimary(t.Context(), 0, nil); err == nil {
		t.Error("started beside a running server")
	}
	drain(second)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	select {
	case <-second.Changed():
	case <-time.After(10 * time.Second):
		t.Error("the second one was not told of the end")
	}
	must(t, p, p.StartPrimary(t.Context(), 0, nil))
	if s := second.Observe(t.Context()); !s.IsPrimary() || s.PostmasterPID == first.PostmasterPID {
		t.Errorf("restarted behind its back: %+v", s)
	}
}

// TestStalePIDFile: after a reboot the pid of an old postmaster may be anybody's.
func TestStalePIDFile(t *testing.T) {
	i := primary(t)
	_, err := i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	stranger := exec.Command("sleep", "1000")
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	zombie := exec.Command("true")
	if err := zombie.Start(); err != nil { // and not waited for: it has ended but is still there
		t.Fatal(err)
	}
	defer func() { _ = zombie.Wait() }()
	for _, pid := range []int{1 << 22, stranger.Process.Pid, zombie.Process.Pid, os.Getpid()} {
		content := fmt.Sprintf("%d\n%s\n%d\n%d\n\n127.0.0.1\n  1234567 0\nready   \n", pid, i.cfg.DataDir, time.Now().Unix(), i.cfg.Port)
		if err := os.WriteFile(filepath.Join(i.cfg.DataDir, "postmaster.pid"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone {
			t.Errorf("pid %d: taken for a postmaster: %+v", pid, s)
		}
		must(t, i, i.StartPrimary(t.Context(), 0, nil))
		_, err := i.Stop(t.Context(), cluster.StopFast, false)
		must(t, i, err)
	}
}

func TestDirectories(t *testing.T) {
	cfg := newConfig(t, "node1")
	i := newInstance(t, cfg)
	write := func(name string) {
		t.Helper()
		path := filepath.Join(cfg.DataDir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".hidden")
	if s := i.Observe(t.Context()); s.Data != cluster.DataEmpty {
		t.Errorf("dot file: %+v", s)
	}
	write("somebody's")
	if s := i.Observe(t.Context()); s.Data != cluster.DataForeign || !strings.Contains(s.DataError, "somebody's") {
		t.Errorf("foreign: %+v", s)
	}
	for name, call := range map[string]func() error{
		"replace": func() error {
			return i.Clone(t.Context(), cluster.Copy{From: cluster.Upstream{Host: "127.0.0.1", Port: "1"}, Replace: true})
		},
		"bootstrap": func() error { return i.Bootstrap(t.Context(), nil) },
		"clone": func() error {
			return i.Clone(t.Context(), cluster.Copy{From: cluster.Upstream{Host: "127.0.0.1", Port: "1"}})
		},
		"start": func() error { return i.StartReplica(t.Context(), cluster.Upstream{}) },
	} {
		if err := call(); err == nil {
			t.Errorf("%s of a foreign directory: no error", name)
		}
	}
	if !exists(cfg.DataDir, "somebody's") {
		t.Fatal("a foreign file is gone")
	}
	write("global/pg_control")
	s := i.Observe(t.Context())
	if s.Data != cluster.DataPresent || s.SystemID != "" || s.Control != nil {
		t.Errorf("corrupt: %+v", s)
	}
	if err := i.Clone(t.Context(), cluster.Copy{From: cluster.Upstream{Host: "127.0.0.1", Port: "1"}, Replace: true}); err == nil {
		t.Error("copied from nobody")
	}
	if !exists(cfg.DataDir, "global", "pg_control") {
		t.Fatal("data was removed for a source that is away")
	}
}
