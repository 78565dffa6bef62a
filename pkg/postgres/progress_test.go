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

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

func TestRewindOutput(t *testing.T) {
	var r rewindOutput
	for _, step := range []struct{ printed, want string }{
		{"pg_rewind: connected to server\npg_rewind: reading source file list\npg_rew", "pg_rewind: reading source file list"},
		{"ind: need to copy 52 MB (total source directory size is 68 MB)\n", "pg_rewind: reading source file list"},
		{"    0/53941 kB (0%) copied\r30000/539", "pg_rewind: 0 kB of 52 MB (0%)"},
		{"41 kB (55%) copied\n", "pg_rewind: 29 MB of 52 MB (55%)"},
		{"pg_rewind: syncing target data directory\n", "pg_rewind: syncing target data directory"},
	} {
		if _, err := r.Write([]byte(step.printed)); err != nil {
			t.Fatal(err)
		}
		if got := r.look(t.Context()).String(); got != step.want {
			t.Errorf("after %q: %q, want %q", step.printed, got, step.want)
		}
	}
}

// TestCrashRecoveryProgress: how much of the WAL a server has replayed that comes up after a crash, both in single-user
// mode and as a server.
func TestCrashRecoveryProgress(t *testing.T) {
	p := primaryWith(t, with(newConfig(t, "node1"), Parameter{"max_wal_size", "4GB"}, Parameter{"wal_compression", "off"}))
	sql(t, p, "CREATE TABLE public.a AS SELECT n, repeat('x', 900) FROM generate_series(1, 60000) AS n")
	_, err := p.Stop(t.Context(), cluster.StopKill, false)
	must(t, p, err)
	for what, recover := range map[string]func(context.Context) error{
		"single-user mode": p.CrashRecovery,
		"a start":          func(ctx context.Context) error { return p.StartPrimary(ctx, time.Minute, nil) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- recover(ctx) }()
		reader := 0
		waitFor(t, "a process that reads WAL", func() bool {
			pids, _ := process.InDirectory(p.cfg.DataDir, "")
			for _, pid := range pids {
				if openSegment(pid) != "" {
					reader = pid
				}
			}
			return reader != 0
		})
		must(t, p, syscall.Kill(reader, syscall.SIGSTOP)) // it is quicker than anybody can look
		s := eventually(t, p, "progress of "+what, func(s cluster.Server) bool { return s.Progress.What != "" })
		if s.Progress.What != "crash recovery" || s.Progress.Total < 48<<20 || s.Progress.Total > 128<<20 || s.Progress.Done > s.Progress.Total {
			t.Errorf("%s: %+v", what, s.Progress)
		}
		must(t, p, syscall.Kill(reader, syscall.SIGCONT))
		cancel() // the other way needs it as well
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
		_, err := p.Stop(t.Context(), cluster.StopKill, false)
		must(t, p, err)
		if s := p.Observe(t.Context()); s.Progress.What != "" {
			t.Errorf("%s: there is progress after the end: %+v", what, s.Progress)
		}
	}
}

// TestRewindFetchesWAL: WAL that pg_rewind needs was recycled and is in the archive only. The configuration lies
// outside of the data directory, where versions before 15 can't find the restore_command themselves.
func TestRewindFetchesWAL(t *testing.T) {
	cfg := newConfig(t, "node1")
	archive := filepath.Join(filepath.Dir(cfg.DataDir), "archive")
	must(t, newInstance(t, cfg), os.Mkdir(archive, 0o700))
	cfg.Parameters = append(cfg.Parameters, Parameter{"archive_mode", "on"}, Parameter{"archive_command", "cp %p " + archive + "/%f"})
	cfg.Recovery = []Parameter{{"restore_command", "test -e " + archive + "/%f && cat " + archive + "/%f > %p"}} // needs a shell
	p := primaryWith(t, cfg)
	r := promotedBeside(t, p)
	for range 2 {
		sql(t, p, "CREATE TABLE IF NOT EXISTS public.lost (n int)")
		sql(t, p, "SELECT pg_switch_wal()")
		must(t, p, p.Checkpoint(t.Context()))
	}
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	segments, _ := filepath.Glob(filepath.Join(archive, "00000001*"))
	if len(segments) == 0 {
		t.Fatal("nothing was archived")
	}
	gone := 0
	for _, s := range segments {
		if os.Remove(filepath.Join(p.cfg.DataDir, "pg_wal", filepath.Base(s))) == nil {
			gone++
		}
	}
	if gone == 0 {
		t.Fatal("no archived segment was there to be removed")
	}
	args, fetch := p.restoring(t.Context(), p.config())
	t.Logf("by itself: %v, by us: %q", args, fetch)

	// What pg_rewind can do by itself is left to it. As for the rest, it is as if it could not.
	env, remove, err := privatePassFile(p.cfg.Rewind, "127.0.0.1", address(r).Port)
	must(t, p, err)
	defer remove()
	must(t, p, p.runRewind(t.Context(), p.config(), nil, cfg.Recovery[0].Value, address(r), env))
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "caught up", caughtUp(r))
	if got := sql(t, p, "SELECT to_regclass('public.lost') IS NULL"); got != "t" {
		t.Errorf("not rewound: %s", got)
	}
}

// TestRewindKeepsData: a rewind that can't be done leaves the data as they are, and the message has the command.
func TestRewindKeepsData(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	sql(t, p, "CREATE TABLE public.lost (n int)")
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	segments, _ := filepath.Glob(filepath.Join(p.cfg.DataDir, "pg_wal", "00000001*"))
	for _, s := range segments {
		must(t, p, os.Remove(s))
	}
	err = p.Rewind(t.Context(), address(r))
	if err == nil || !strings.Contains(err.Error(), "as it was") || !strings.Contains(err.Error(), "run hathi reinit test node1") {
		t.Errorf("got %v", err)
	}
	if s := p.Observe(t.Context()); s.RewindCut || s.Data != cluster.DataPresent {
		t.Errorf("after: %+v", s)
	}
}

// TestRewindCantWrite: pg_rewind fails in the middle of its work, as on a full disk (here by a limit on the size of
// files). The data are of no use then: they are kept, never started, and the message has the command that helps.
func TestRewindCantWrite(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	sql(t, r, "CREATE TABLE public.kept AS SELECT generate_series(1, 200000) AS n")
	sql(t, p, "CREATE TABLE public.lost (n int)")
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	small := script(t, p.cfg, "trap '' XFSZ; ulimit -f 3000\nexec "+p.cfg.program("pg_rewind")+" \"$@\"")
	path, err := filepath.Rel(p.cfg.BinDir, small)
	must(t, p, err)
	p.cfg.BinNames = map[string]string{"pg_rewind": path}
	err = p.Rewind(t.Context(), address(r))
	if err == nil || !strings.Contains(err.Error(), "unusable now, run hathi reinit test node1") || !strings.Contains(err.Error(), "File too large") {
		t.Errorf("got %v", err)
	}
	if s := p.Observe(t.Context()); !s.RewindCut || s.Data != cluster.DataPresent {
		t.Errorf("after: %+v", s)
	}
	for what, call := range map[string]func() error{
		"start":          func() error { return p.StartReplica(t.Context(), address(r)) },
		"crash recovery": func() error { return p.CrashRecovery(t.Context()) },
		"rewind":         func() error { return p.Rewind(t.Context(), address(r)) },
	} {
		if err := call(); err == nil || !strings.Contains(err.Error(), "run hathi reinit test node1") {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, p, p.Clone(t.Context(), cluster.Copy{From: address(r), Replace: true}))
	must(t, p, p.StartReplica(t.Context(), address(r)))
	if s := eventually(t, p, "caught up", caughtUp(r)); s.RewindCut {
		t.Errorf("the mark outlived the data: %+v", s)
	}
}
