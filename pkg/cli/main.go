// Package cli is the command line: one file per command with its flags, questions and messages. What a
// command does is in ctl, how its result looks in view; exit codes are made in one place, usage.go.
//
// Called as patronictl the binary keeps that program's contract to the letter. Called as hathi, commands
// and tables are the same, but an operation that was refused or failed ends with a non-zero exit code, and
// hints may appear on standard error. Called as patroni it is "hathi run".
package cli

import (
	"context"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// Main runs the command that the process was started with and gives its exit code.
func Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	// A closed pipe is a write error and exit code 1, not a death. It is caught rather than ignored, because
	// programs that are started (PostgreSQL) would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	name, args := invocation(os.Args)
	e := newEnv(name, os.Stdin, os.Stdout, os.Stderr)
	return e.execute(ctx, args)
}

// invocation gives the name under which the program was called and its arguments; patroni CONFIG means
// run CONFIG.
func invocation(argv []string) (name string, args []string) {
	if len(argv) == 0 {
		return "hathi", nil
	}
	name = filepath.Base(argv[0])
	if name == "patroni" {
		return name, append([]string{"run"}, argv[1:]...)
	}
	return name, argv[1:]
}

// env is what all commands share: the streams, the questions, and the way to the cluster.
type env struct {
	name     string // the base name of the program as it was called
	in       io.Reader
	out, err io.Writer
	ask      prompter
	now      func() time.Time
	getenv   func(string) string
	global   globals
	machine  bool // a machine reads standard output, which gets one JSON object
	// passedOver are configurations of running agents that are not used, with the reason.
	passedOver []string
	proc, etc  string // where processes and configurations are found
	// connect opens the way to etcd and the members, for scope as configured; replaced in tests.
	connect func(ctx context.Context) (*session, error)
}

// globals are the options before the command.
type globals struct {
	configFile, dcsURL text
	insecure           bool
}

func newEnv(name string, in io.Reader, out, err io.Writer) *env {
	e := &env{
		name: name, in: in, out: &stream{w: out}, err: err,
		now: time.Now, getenv: os.Getenv, proc: "/proc", etc: "/etc",
	}
	e.ask = e.prompter(e.out)
	e.connect = e.open
	return e
}

// contract reports whether patronictl's contract is to be kept to the letter.
func (e *env) contract() bool { return e.name == "patronictl" }

// screen is standard output for a program that is started; a plain file, if it is one, so that it is handed over.
func (e *env) screen() io.Writer {
	if s, ok := e.out.(*stream); ok {
		return s.w
	}
	return e.out
}

// stream remembers that a write failed, so that commands need not look at each.
type stream struct {
	w   io.Writer
	err error
}

func (s *stream) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err != nil && s.err == nil {
		s.err = err
	}
	return n, err
}
