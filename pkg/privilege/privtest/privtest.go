// Package privtest lets tests that need PostgreSQL run under a user that PostgreSQL accepts.
package privtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/hathi-ha/hathi/integration/leftover"
	"github.com/hathi-ha/hathi/pkg/privilege"
)

// User is the user that tests run as when they are started by root.
const User = "postgres"

// Main runs the tests of a package and ends the process; call it from TestMain. When the test binary runs
// as root, it executes itself again as User, in the same directory, with a HOME and a TMPDIR of its own,
// and passes output and exit code through. A profile of coverage is not written then: its place belongs to root.
// After the tests it calls after, where they ran.
func Main(m *testing.M, after ...func()) {
	if os.Geteuid() != 0 {
		code := m.Run()
		for _, f := range after {
			f()
		}
		os.Exit(code)
	}
	code, err := again()
	if err != nil {
		fmt.Fprintln(os.Stderr, "run tests as user "+User+":", err)
		code = 1
	}
	os.Exit(code)
}

// again runs this test binary as User and gives its exit code.
func again() (int, error) {
	cred, err := privilege.Credential(User)
	if err != nil {
		return 0, err
	}
	home, err := os.MkdirTemp("", "hathi-test-") // a TMPDIR must let User in, as the default one does
	if err != nil {
		return 0, fmt.Errorf("create home directory: %w", err)
	}
	if err := leftover.Watch(home); err != nil {
		return 0, err
	}
	defer func() { _ = leftover.Remove(home) }() // also what the tests had no time to end
	if err := os.Chown(home, int(cred.Uid), int(cred.Gid)); err != nil {
		return 0, fmt.Errorf("give away home directory: %w", err)
	}

	// The path of the binary leads through directories that only root may enter; the link of the kernel does not.
	cmd := exec.Command("/proc/self/exe", keep(os.Args[1:])...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = environment(os.Environ(), home)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred, Pdeathsig: syscall.SIGKILL}

	// The signal at the parent's death is bound to the thread that forked.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("start: %w", err)
	}
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case s := <-signals:
				_ = cmd.Process.Signal(s)
			case <-done:
				return
			}
		}
	}()
	return exitCode(cmd.Wait())
}

func exitCode(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exit.ExitCode(), nil
	}
	return 0, err
}

// keep drops the flags that make the binary write into directories of root's.
func keep(args []string) []string {
	var kept []string
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		switch name {
		case "test.testlogfile", "test.gocoverdir", "test.coverprofile", "test.outputdir":
		default:
			kept = append(kept, arg)
		}
	}
	return kept
}

func environment(env []string, home string) []string {
	var kept []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		switch name {
		case "HOME", "TMPDIR", "USER", "LOGNAME", "GOCOVERDIR", "GOCACHE", "GOPATH", "GOMODCACHE", "XDG_CONFIG_HOME":
		default:
			kept = append(kept, v)
		}
	}
	return append(kept, "HOME="+home, "TMPDIR="+home, "USER="+User, "LOGNAME="+User)
}
