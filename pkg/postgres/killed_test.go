package postgres

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// An agent is killed at every step of what it does. A step is a line of its log, at the lowest level: every program that
// it runs has one before and one after, and so has what it asks of the server. The agent is this test binary again; the
// programs that it runs die with it, the server does not. Without TEST_KILLED=all some of the steps are taken.

// errand is what an agent is to do before it is killed.
type errand struct {
	Config Config
	Op     string
	From   cluster.Upstream
	Step   int           // it dies at that line of its log; zero: it comes to its end
	Delay  time.Duration // and so much later
}

// agents are what an agent can do, by name.
var agents = map[string]func(context.Context, *Instance, cluster.Upstream) error{
	"bootstrap": func(ctx context.Context, i *Instance, _ cluster.Upstream) error { return i.Bootstrap(ctx, nil) },
	"clone": func(ctx context.Context, i *Instance, from cluster.Upstream) error {
		return errors.Join(i.Clone(ctx, cluster.Copy{From: from}), i.StartReplica(ctx, from))
	},
	"promote": func(ctx context.Context, i *Instance, _ cluster.Upstream) error { return i.Promote(ctx) },
	"rejoin":  rejoin,
}

// rejoin is what the rules let an agent do with a former primary, as far as it has not been done yet.
func rejoin(ctx context.Context, i *Instance, leader cluster.Upstream) error {
	if s := i.Observe(ctx); s.Process != cluster.ProcessNone {
		return nil
	} else if s.Control != nil && s.Control.State == "in production" && !s.StandbySignal && !s.BackupLabel {
		if err := i.CrashRecovery(ctx); err != nil {
			return err
		}
	}
	if s := i.Observe(ctx); !s.BackupLabel && s.Control != nil && strings.HasPrefix(s.Control.State, "shut down") {
		d, err := i.CheckDivergence(ctx, leader)
		if err != nil {
			return err
		}
		if d.Needed {
			if err := i.Rewind(ctx, leader); err != nil {
				return err
			}
		}
	}
	return i.StartReplica(ctx, leader)
}

// dying is a log whose writer dies over a line.
type dying struct {
	slog.Handler
	lines *atomic.Int64
	at    int64
	delay time.Duration
}

// Enabled implements slog.Handler.
func (dying) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (d dying) Handle(ctx context.Context, r slog.Record) error {
	n := d.lines.Add(1)
	fmt.Fprintf(os.Stderr, "step %d: %s\n", n, r.Message)
	switch {
	case n != d.at:
	case d.delay == 0:
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	default:
		time.AfterFunc(d.delay, func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) })
	}
	return nil
}

const errandVariable = "TEST_ERRAND"

// TestAgent is the agent; it does nothing unless it is started by another test.
func TestAgent(t *testing.T) {
	path := os.Getenv(errandVariable)
	if path == "" {
		return
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var e errand
	if err := gob.NewDecoder(f).Decode(&e); err != nil {
		t.Fatal(err)
	}
	i, err := New(e.Config, slog.New(dying{lines: new(atomic.Int64), at: int64(e.Step), delay: e.Delay}))
	if err != nil {
		t.Fatal(err)
	}
	if err := agents[e.Op](t.Context(), i, e.From); err != nil {
		t.Fatal(err)
	}
}

// do runs an agent, and gives how it ended, the lines of its log, and the number of steps that it came to.
func (e errand) do(t *testing.T) (killed bool, log string, steps int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "errand")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(gob.NewEncoder(f).Encode(e), f.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestAgent$", "-test.count=1")
	cmd.Env = append(os.Environ(), errandVariable+"="+path)
	var out excerpt
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = time.Second // the server has inherited the pipe
	err = cmd.Run()
	log = out.String()
	var exit *exec.ExitError
	if errors.As(err, &exit) && !exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("the agent has failed at %s:\n%s", e.Op, log)
	}
	return exit != nil, log, strings.Count(log, "step ")
}

// walk kills an agent at every step, and a few times while a program runs. prepare makes what it works on, after looks
// at what became of it.
func walk(t *testing.T, op, program string, from cluster.Upstream, prepare func(*testing.T) Config, after func(*testing.T, Config)) {
	t.Helper()
	begin := time.Now()
	_, log, steps := errand{Config: prepare(t), Op: op, From: from}.do(t)
	if steps < 3 {
		t.Fatalf("only %d steps:\n%s", steps, log)
	}
	t.Logf("%s has %d steps", op, steps)
	try := func(name string, step int, delay time.Duration) {
		t.Run(name, func(t *testing.T) {
			e := errand{Config: prepare(t), Op: op, From: from, Step: step, Delay: delay}
			killed, log, _ := e.do(t)
			if !killed && delay == 0 {
				t.Fatalf("it was not killed:\n%s", log)
			}
			after(t, e.Config)
			if t.Failed() {
				t.Log(log)
			}
		})
	}
	every, delays := 4, []time.Duration{120 * time.Millisecond}
	if os.Getenv("TEST_KILLED") == "all" {
		every, delays = 1, []time.Duration{40 * time.Millisecond, 120 * time.Millisecond, 300 * time.Millisecond}
	}
	for step := every; step <= steps; step += every {
		try(fmt.Sprint(op, step), step, 0)
	}
	for line := range strings.Lines(log) {
		var step int
		if _, err := fmt.Sscanf(line, "step %d: running "+program, &step); err != nil || program == "" || !strings.HasSuffix(line, program+"\n") {
			continue
		}
		for _, delay := range delays {
			try(fmt.Sprint(op, step, "+", delay), step, delay)
		}
	}
	t.Logf("%s took %s", op, time.Since(begin))
}

// again lets an agent do something once the children of the one that was killed have gone, as its next turns do.
func again(t *testing.T, do func() error) error {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) { // nobody waits for a stranger's children
		err := do()
		if err == nil || time.Now().After(deadline) || !strings.Contains(err.Error(), "processes of an earlier postgres are still alive") {
			return err
		}
	}
}

// TestKilledInBootstrap: the next agent begins anew, or takes over what is complete.
func TestKilledInBootstrap(t *testing.T) {
	prepare := func(t *testing.T) Config {
		cfg := newConfig(t, "node1")
		cfg.PostBootstrap = "psql -XAtc 'CREATE TABLE public.made (n int)' -d"
		return cfg
	}
	walk(t, "bootstrap", "initdb", cluster.Upstream{}, prepare, func(t *testing.T, cfg Config) {
		next := newInstance(t, cfg)
		if next.Observe(t.Context()).Data == cluster.DataEmpty {
			must(t, next, again(t, func() error { return next.Bootstrap(t.Context(), nil) }))
		}
		eventually(t, next, "a primary", func(s cluster.Server) bool { return s.IsPrimary() })
		if got := sql(t, next, "SELECT count(*) FROM public.made"); got != "0" {
			t.Errorf("post_bootstrap: %s", got)
		}
	})
}

// TestKilledInClone: the next agent clears away what was copied and begins anew, or starts what is complete.
func TestKilledInClone(t *testing.T) {
	p := primary(t)
	prepare := func(t *testing.T) Config { return newConfig(t, "node2") }
	walk(t, "clone", "pg_basebackup", address(p), prepare, func(t *testing.T, cfg Config) {
		next := newInstance(t, cfg)
		s := next.Observe(t.Context())
		if s.Data == cluster.DataEmpty {
			must(t, next, again(t, func() error { return next.Clone(t.Context(), cluster.Copy{From: address(p)}) }))
		} else if err := next.StartReplica(t.Context(), address(p)); s.Process == cluster.ProcessNone && err != nil {
			// Only where the copy was complete but for its mark: it says what to do, and loses nothing.
			if !strings.Contains(err.Error(), "run hathi reinit test node2") {
				t.Fatal(err)
			}
			must(t, next, next.Clone(t.Context(), cluster.Copy{From: address(p), Replace: true}))
		}
		if next.Observe(t.Context()).Process == cluster.ProcessNone {
			must(t, next, next.StartReplica(t.Context(), address(p)))
		}
		eventually(t, next, "caught up", caughtUp(p))
	})
}

// TestKilledInPromotion: the next agent finds a replica or a primary, and goes on.
func TestKilledInPromotion(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	eventually(t, r, "caught up", caughtUp(p))
	_, err := r.Stop(t.Context(), cluster.StopFast, false)
	must(t, r, err)
	prepare := func(t *testing.T) Config {
		cfg := newConfig(t, "node2")
		cfg.PrePromote = "true"
		i := newInstance(t, cfg)
		must(t, i, copyDir(r.cfg.DataDir, cfg.DataDir))
		must(t, i, i.StartReplica(t.Context(), cluster.Upstream{}))
		return cfg
	}
	walk(t, "promote", "", cluster.Upstream{}, prepare, func(t *testing.T, cfg Config) {
		next := newInstance(t, cfg)
		if s := eventually(t, next, "an answer", func(s cluster.Server) bool { return s.Answered }); s.InRecovery {
			if err := next.Promote(t.Context()); err != nil && !errors.Is(err, ErrNotInRecovery) {
				t.Fatal(err)
			}
		}
		if s := eventually(t, next, "a primary", func(s cluster.Server) bool { return s.IsPrimary() }); s.Timeline != 2 {
			t.Errorf("promoted to timeline %d", s.Timeline)
		}
		sql(t, next, "CREATE TABLE public.written (n int)")
	})
}

// TestKilledInRejoin: crash recovery, comparison, rewind and start of a former primary. The next agent goes on, or says
// that the data are of no use any more and what to do; they are never removed without an order.
func TestKilledInRejoin(t *testing.T) {
	p := primary(t)
	r := promotedBeside(t, p)
	// Every copy below begins a segment of WAL, and a rewound server needs all of it since the fork.
	sql(t, r, "SELECT pg_create_physical_replication_slot('keeper', true)")
	sql(t, r, "CREATE TABLE public.kept AS SELECT generate_series(1, 10000) AS n")
	sql(t, p, "CREATE TABLE public.lost AS SELECT generate_series(1, 10000) AS n")
	_, err := p.Stop(t.Context(), cluster.StopKill, false)
	must(t, p, err)
	prepare := func(t *testing.T) Config {
		cfg := newConfig(t, "node1")
		must(t, p, copyDir(p.cfg.DataDir, cfg.DataDir))
		return cfg
	}
	walk(t, "rejoin", "pg_rewind", address(r), prepare, func(t *testing.T, cfg Config) {
		next := newInstance(t, cfg)
		s := next.Observe(t.Context())
		if s.Data != cluster.DataPresent {
			t.Fatalf("the data are gone: %+v", s)
		}
		err := again(t, func() error { return rejoin(t.Context(), next, address(r)) })
		if s.RewindCut {
			if err == nil || !strings.Contains(err.Error(), "run hathi reinit test node1") || !exists(cfg.DataDir, "global", "pg_control") {
				t.Fatalf("a rewind that was cut off: %v", err)
			}
			must(t, next, next.Clone(t.Context(), cluster.Copy{From: address(r), Replace: true}))
			must(t, next, next.StartReplica(t.Context(), address(r)))
		} else {
			must(t, next, err)
		}
		eventually(t, next, "caught up", caughtUp(r))
		if got := sql(t, next, "SELECT to_regclass('public.lost') IS NULL, to_regclass('public.kept') IS NOT NULL"); got != "t|t" {
			t.Errorf("lost is gone, kept is there: %s", got)
		}
	})
}
