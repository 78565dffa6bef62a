// Package control_test runs the control commands, the real binary with the real etcd, on keys as members
// write them.
package control_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/cli"
)

func TestMain(m *testing.M) {
	run := func() { os.Exit(cli.Main()) }
	testscript.Main(m, map[string]func(){"hathi": run, "patronictl": run})
}

// TestScripts gives the scripts an etcd of their own, at $ETCD, and four commands: put KEY VALUE writes
// a key, get KEY prints it, or with ! wants it to be absent, envsubst FILE puts variables into a file, exits CODE PROGRAM ARGUMENTS runs a program that must end with that code.
func TestScripts(t *testing.T) {
	server := testetcd.Start(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: server.Endpoints(), DialTimeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("ETCD", server.Addresses()[0])
			env.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits,
			"envsubst": func(ts *testscript.TestScript, _ bool, args []string) {
				text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
			},
			"get": func(ts *testscript.TestScript, neg bool, args []string) {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				answer, err := client.Get(ctx, args[0])
				ts.Check(err)
				if there := len(answer.Kvs) > 0; there == neg {
					ts.Fatalf("key %s is there: %t", args[0], there)
				} else if there {
					_, _ = ts.Stdout().Write(append(answer.Kvs[0].Value, '\n'))
				}
			},
			"put": func(ts *testscript.TestScript, _ bool, args []string) {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				defer cancel()
				_, err := client.Put(ctx, args[0], args[1])
				ts.Check(err)
			},
		},
	})
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
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
