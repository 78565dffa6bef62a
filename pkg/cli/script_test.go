package cli_test

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hathi-ha/hathi/pkg/cli"
)

// TestMain makes the test binary stand in for hathi under all of its names.
func TestMain(m *testing.M) {
	run := func() { os.Exit(cli.Main()) }
	testscript.Main(m, map[string]func(){"hathi": run, "patronictl": run, "patroni": run})
}

// TestScripts runs the real main without any etcd: help, usage errors, exit codes, configuration.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
	})
}

// exits runs a program that must end with the exit code given first: exits 2 hathi list --bogus.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [argument...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("run %q: %v", args[1:], err)
		}
		code = exit.ExitCode()
	}
	if code != want {
		ts.Fatalf("%q ended with exit code %d, want %d", args[1:], code, want)
	}
}
