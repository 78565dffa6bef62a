package postgres

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
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
	// shell: path is a command line for sh, args are its arguments $1, $2, ...
	shell bool
}

// run runs a program to its end and gives its output, stdout and stderr together. When ctx ends, the
// program's process group gets SIGTERM and, after a grace, SIGKILL; run returns when it is gone.
func (i *Instance) run(ctx context.Context, c command) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("run %s: %w", filepath.Base(c.path), err)
	}
	cmd := exec.Command(c.path, c.args...)
	if c.shell {
		cmd = exec.Command("/bin/sh", append([]string{"-c", c.path + ` "$@"`, "sh"}, c.args...)...)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Dir = c.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // a grandchild may hold the pipe for longer than the program lives
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("run %s: %w", c.path, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		err = endGroup(cmd.Process.Pid, ended)
		return out.String(), fmt.Errorf("run %s: %w (%w)", filepath.Base(c.path), context.Cause(ctx), err)
	}
	if err != nil {
		return out.String(), fmt.Errorf("run %s: %w: %s", filepath.Base(c.path), err, lastLines(out.String()))
	}
	return out.String(), nil
}

// endGroup ends a process group that this process leads, and waits for it.
func endGroup(pgid int, ended <-chan error) error {
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

// lastLines keeps error messages readable: the end of an output says what went wrong.
func lastLines(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
