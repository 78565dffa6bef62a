package postgres

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

// TestGuardRefuses: a process that the guard does not take over never becomes the server, at a start and at a
// restart; one that it does take over is the server.
func TestGuardRefuses(t *testing.T) {
	i := primary(t)
	no := errors.New("no")
	refuses := func(context.Context, int, uint64) error { return no }
	var asked []int
	agrees := func(_ context.Context, pid int, ticks uint64) error {
		if real, err := process.StartTicks(pid); err != nil || real != ticks {
			t.Errorf("asked about process %d that was started at %d, and it was at %d: %v", pid, ticks, real, err)
		}
		if left, err := process.InDirectory(i.cfg.DataDir); err != nil || len(left) > 0 {
			t.Errorf("a server runs already: %v, %v", left, err)
		}
		asked = append(asked, pid)
		return nil
	}
	must(t, i, i.Restart(t.Context(), 0, agrees))
	if s := i.Observe(t.Context()); !s.IsPrimary() || len(asked) != 1 || s.PostmasterPID != asked[0] {
		t.Errorf("asked about %v, postmaster %d", asked, s.PostmasterPID)
	}
	if err := i.Restart(t.Context(), 0, refuses); !errors.Is(err, no) {
		t.Errorf("restart: %v", err)
	}
	if err := i.StartPrimary(t.Context(), 0, refuses); !errors.Is(err, no) {
		t.Errorf("start: %v", err)
	}
	if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone {
		t.Errorf("a server runs: %+v", s)
	}
	must(t, i, i.StartPrimary(t.Context(), 0, agrees))
	if s := i.Observe(t.Context()); !s.IsPrimary() || len(asked) != 2 || s.PostmasterPID != asked[1] {
		t.Errorf("asked about %v, postmaster %d", asked, s.PostmasterPID)
	}
}

// TestGuardRefusesFounding: the first server of a cluster waits for the guard like any other that may write.
func TestGuardRefusesFounding(t *testing.T) {
	cfg := newConfig(t, "a")
	ran := filepath.Join(filepath.Dir(cfg.DataDir), "ran")
	cfg.PostBootstrap = "sh -c 'touch " + ran + "'"
	i := newInstance(t, cfg)
	no := errors.New("no")
	if err := i.Bootstrap(t.Context(), func(context.Context, int, uint64) error { return no }); !errors.Is(err, no) {
		t.Errorf("founded: %v", err)
	}
	if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone || exists(ran) {
		t.Errorf("a server runs, or has run: %+v", s)
	}
	must(t, i, i.MoveDataAside(t.Context()))
	asked := 0
	must(t, i, i.Bootstrap(t.Context(), func(_ context.Context, pid int, _ uint64) error { asked = pid; return nil }))
	if s := i.Observe(t.Context()); !s.IsPrimary() || s.PostmasterPID != asked || !exists(ran) {
		t.Errorf("asked about %d: %+v", asked, s)
	}
}

// TestKilledAtTheGate: the guard may kill the process after it has taken it over, before it becomes the server.
func TestKilledAtTheGate(t *testing.T) {
	i := primary(t)
	_, err := i.Stop(t.Context(), cluster.StopFast, false)
	must(t, i, err)
	kills := func(_ context.Context, pid int, _ uint64) error { return syscall.Kill(pid, syscall.SIGKILL) }
	if err := i.StartPrimary(t.Context(), 0, kills); err == nil {
		t.Error("the start has succeeded")
	}
	if s := i.Observe(t.Context()); s.Process != cluster.ProcessNone {
		t.Errorf("a server runs: %+v", s)
	}
}

// TestAgentDiesAtTheGate: nobody lets the process through any more, so it ends.
func TestAgentDiesAtTheGate(t *testing.T) {
	cmd, g, err := gated("/bin/echo", []string{"never"}, true)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	file, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout = file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	g.close() // as the kernel does at our end
	if err := cmd.Wait(); err == nil {
		t.Error("the process has succeeded")
	}
	if said, err := os.ReadFile(out); err != nil || len(said) > 0 {
		t.Errorf("the program ran: %q, %v", said, err)
	}
}

// TestServerBehindScript: the configured program may be a script that runs another. The postmaster is adopted all
// the same, and all that it leaves behind is found.
func TestServerBehindScript(t *testing.T) {
	cfg := newConfig(t, "a")
	bin, err := os.MkdirTemp("", "bin")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(bin) })
	for _, name := range []string{"initdb", "pg_controldata"} {
		if err := os.Symlink(cfg.program(name), filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.ReadFile(cfg.program("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(bin, "another-postgres")
	for path, content := range map[string]string{other: string(program), filepath.Join(bin, "start"): "#!/bin/sh\nexec " + other + " \"$@\"\n"} {
		if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cfg.BinDir, cfg.BinNames = bin, map[string]string{"postgres": "start"}
	i := newInstance(t, cfg)
	must(t, i, i.Bootstrap(t.Context(), nil))
	next := newInstance(t, cfg)
	if s := next.Observe(t.Context()); !s.IsPrimary() {
		t.Errorf("not adopted: %+v", s)
	}
	if names := next.serverPrograms(); !slices.Contains(names, "another-postgres") {
		t.Errorf("names %q", names)
	}
	_, err = next.Stop(t.Context(), cluster.StopKill, false)
	must(t, next, err)
	if left, err := process.InDirectory(cfg.DataDir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
