package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/process"
)

// cancelGrace is how long a cancelled command may take to end after SIGTERM.
const cancelGrace = 10 * time.Second

// untranslated makes PostgreSQL's programs print what this package can read.
var untranslated = []string{"LANG=C", "LC_ALL=C"}

// command is one run of an external program.
type command struct {
	path string
	args []string
	env  []string // added to the agent's own
	dir  string   // empty: the agent's own
	// user: path is a command line of the user, which is split into words. What it prints is shown beside the log
	// of the agent.
	user bool
	// free: a command of the user that may outlive the agent.
	free bool
	// copy gets what it prints as well; nil: nobody.
	copy io.Writer
	// atOnce: it gets no grace when it is cancelled.
	atOnce bool
	// fills: the data directory that it fills; see endFillers.
	fills string
}

// run runs a program to its end and gives its output, stdout and stderr together, the middle left out if it
// is long. When ctx ends, the program's process group gets SIGTERM and, after a grace, SIGKILL; run returns
// when it is gone. If the agent dies the program dies with it, but for a free one: the next agent must not
// work in a directory beside it. What it has started itself may live on; endFillers is for that.
func (i *Instance) run(ctx context.Context, c command) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("run %s: %w", filepath.Base(c.path), err)
	}
	cmd, err := c.prepare()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", c.path, err)
	}
	name := filepath.Base(cmd.Path)
	var out excerpt
	switch {
	case c.free:
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // a pipe would break with the agent
	case c.user:
		both := io.MultiWriter(&out, os.Stderr)
		cmd.Stdout, cmd.Stderr = both, both
	case c.copy != nil:
		both := io.MultiWriter(&out, c.copy)
		cmd.Stdout, cmd.Stderr = both, both
	default:
		cmd.Stdout, cmd.Stderr = &out, &out
	}
	if !c.free {
		// The signal comes with the death of the thread that has started the program, so that thread has to stay.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	i.log.Debug("running " + name)
	defer i.log.Debug(name + " is over")
	if err := cmd.Start(); err != nil {
		return "", c.notStarted(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = endGroup(cmd.Process.Pid, ended, c.atOnce)
		return out.String(), fmt.Errorf("run %s: %w (%w)", name, context.Cause(ctx), err)
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // that one is about a grandchild, the program has succeeded
		return out.String(), fmt.Errorf("run %s: %w: %s", name, err, lastLines(out.String()))
	}
	return out.String(), nil
}

// notStarted says what to look at when a program could not be started.
func (c command) notStarted(err error) error {
	err = fmt.Errorf("run %s: %w", c.path, err)
	if !c.user && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, exec.ErrNotFound)) {
		return fmt.Errorf("%w; set postgresql.bin_dir to the directory of PostgreSQL's programs", err)
	}
	return err
}

func (c command) prepare() (*exec.Cmd, error) {
	cmd := exec.Command(c.path, c.args...)
	if c.user {
		line, err := words(c.path)
		if err != nil {
			return nil, err
		}
		cmd = exec.Command(line[0], append(line[1:], c.args...)...)
	}
	cmd.Env = append(childEnv(os.Environ()), c.env...)
	if c.fills != "" {
		cmd.Env = append(cmd.Env, filling(c.fills))
	}
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe for longer than the program lives
	return cmd, nil
}

// childEnv is the environment of programs: without the variables that configure the agent, among which are
// passwords. Source: Patroni 4.1, config.py, which takes those that it knows out of its own environment.
func childEnv(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, "PATRONI_") && !strings.HasPrefix(v, "HATHI_") {
			kept = append(kept, v)
		}
	}
	return kept
}

// filling marks the programs that fill a data directory, and all that they start, by their environment.
func filling(dir string) string { return "HATHI_FILLS=" + dir }

// endFillers kills what an agent that died has left of the programs that fill the data directory: the process by which
// pg_basebackup receives WAL, or what a script has started. They would go on to write beside the next copy.
func endFillers(ctx context.Context, dir string) error {
	if err := process.KillWithEnv(ctx, filling(dir)); err != nil {
		return fmt.Errorf("end what still fills %s for an agent that has died: %w", dir, err)
	}
	return nil
}

// endGroup ends a process group that this process leads, and waits for it.
func endGroup(pgid int, ended <-chan error, atOnce bool) error {
	if atOnce {
		_ = syscall.Kill(-pgid, syscall.SIGKILL)
		return <-ended
	}
	_ = syscall.Kill(-pgid, syscall.SIGTERM)
	timer := time.NewTimer(cancelGrace)
	defer timer.Stop()
	select {
	case err := <-ended:
		// What the leader leaves behind ends as well; a group that is empty by now gives an error of no interest.
		_ = syscall.Kill(-pgid, syscall.SIGKILL)
		return err
	case <-timer.C:
		_ = syscall.Kill(-pgid, syscall.SIGKILL)
		return <-ended
	}
}

// excerptSize bounds each half of an excerpt.
const excerptSize = 64 << 10

// excerpt keeps the beginning and the end of what is written to it.
type excerpt struct {
	mu         sync.Mutex
	head, tail bytes.Buffer
	cut        bool
}

// Write implements io.Writer.
func (e *excerpt) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(len(p), excerptSize-e.head.Len())
	e.head.Write(p[:n])
	e.tail.Write(p[n:])
	if over := e.tail.Len() - excerptSize; over > 0 {
		e.tail.Next(over)
		e.cut = true
	}
	return len(p), nil
}

// String gives what was kept.
func (e *excerpt) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	gap := ""
	if e.cut {
		gap = "\n[...]\n"
	}
	return e.head.String() + gap + e.tail.String()
}

// lastLines keeps error messages readable: the end of an output says what went wrong.
func lastLines(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
