package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/leftover"
	"github.com/hathi-ha/hathi/integration/testport"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/privilege/privtest"
)

func TestMain(m *testing.M) { privtest.Main(m, func() { os.RemoveAll(founded.dir) }) }

// binDir gives the newest PostgreSQL of the machine; without one the tests fail.
func binDir(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // its siblings need not be linked as well
			return filepath.Dir(path)
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		t.Fatal("no PostgreSQL server on this machine: install one, on Debian the package postgresql")
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// testLog gives a log that shows up when the test fails.
func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// newConfig gives the configuration of one member of a cluster for tests.
func newConfig(t *testing.T, name string) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "pg") // short: the path of a socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	t.Cleanup(func() {
		if err := leftover.Remove(dir); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return Config{
		Scope: "test", Name: name, DataDir: data, PassFile: filepath.Join(dir, "pgpass"), BinDir: binDir(t),
		ListenAddresses: "127.0.0.1", Port: testport.Take(t), UseUnixSocket: true,
		Superuser:   Credentials{Username: "postgres", Password: `su:p\er s'ecret`},
		Replication: Credentials{Username: "replicator", Password: `re:p\l s'ecret`},
		Rewind:      Credentials{Username: "rewind_user", Password: "rew1nd"},
		Controlled: []Parameter{
			{"wal_level", "replica"},
			{"hot_standby", "on"},
			{"max_connections", "50"},
			{"max_wal_senders", "10"},
			{"max_prepared_transactions", "0"},
			{"max_locks_per_transaction", "64"},
			{"track_commit_timestamp", "off"},
			{"max_replication_slots", "10"},
			{"max_worker_processes", "8"},
			{"wal_log_hints", "on"},
			{"wal_keep_size", "128MB"},
		},
		Parameters: []Parameter{
			{"unix_socket_directories", dir},
			{"fsync", "off"},
			{"shared_buffers", "16MB"},
			{"logging_collector", "on"},
			{"log_statement", "all"},
			{"wal_retrieve_retry_interval", "100ms"}, // the default of 5 s is what most tests would wait for
		},
		HBA: []string{
			"local all all scram-sha-256",
			"local replication all scram-sha-256",
			"host all all 127.0.0.1/32 scram-sha-256",
			"host replication all 127.0.0.1/32 scram-sha-256",
		},
		UseSlots: true, UsePgRewind: true,
		InitdbArgs:     []string{"--encoding=UTF8", "--locale=C", "--no-sync", "--auth=scram-sha-256"},
		BasebackupArgs: []string{"--checkpoint=fast", "--no-sync"},
	}
}

func newInstance(t *testing.T, cfg Config) *Instance {
	t.Helper()
	i, err := New(cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}

// primary gives a server as Bootstrap leaves it.
func primary(t *testing.T) *Instance {
	t.Helper()
	return primaryWith(t, newConfig(t, "node1"))
}

// founded is a data directory that Bootstrap has made, for copies of it: initdb takes longer than most tests. TestMain
// removes it. The copies are one system to PostgreSQL.
var founded struct {
	once sync.Once
	dir  string
}

// primaryWith gives a server as Bootstrap leaves it that has the users of newConfig and further settings.
func primaryWith(t *testing.T, cfg Config) *Instance {
	t.Helper()
	founded.once.Do(func() {
		i := newInstance(t, newConfig(t, "node1"))
		must(t, i, i.Bootstrap(t.Context(), nil))
		_, err := i.Stop(t.Context(), cluster.StopFast, false)
		must(t, i, err)
		founded.dir, err = os.MkdirTemp("", "founded-")
		must(t, i, err)
		must(t, i, copyDir(i.cfg.DataDir, founded.dir+"/data"))
	})
	i := newInstance(t, cfg)
	must(t, i, copyDir(founded.dir+"/data", cfg.DataDir))
	must(t, i, i.StartPrimary(t.Context(), 0, nil))
	return i
}

func copyDir(from, to string) error {
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}

// replicaOf gives a running clone.
func replicaOf(t *testing.T, p *Instance, name string) *Instance {
	t.Helper()
	i := newInstance(t, newConfig(t, name))
	must(t, i, i.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, i, i.StartReplica(t.Context(), address(p)))
	return i
}

// promotedBeside gives a replica that was promoted while its primary went on, and has a checkpoint of its timeline.
func promotedBeside(t *testing.T, p *Instance) *Instance {
	t.Helper()
	r := replicaOf(t, p, "node2")
	eventually(t, r, "caught up", caughtUp(p))
	must(t, r, r.Promote(t.Context()))
	must(t, r, r.Checkpoint(t.Context()))
	return r
}

func address(i *Instance) cluster.Upstream {
	return cluster.Upstream{Member: i.cfg.Name, Host: "127.0.0.1", Port: portText(i.cfg.Port)}
}

// must fails the test with the server's log.
func must(t *testing.T, i *Instance, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v\n%s", err, serverLog(i))
	}
}

func serverLog(i *Instance) string {
	logs, _ := filepath.Glob(filepath.Join(i.cfg.DataDir, "log", "*"))
	var b strings.Builder
	for _, l := range logs {
		text, _ := os.ReadFile(l)
		fmt.Fprintf(&b, "--- %s\n%s", l, text)
	}
	return b.String()
}

// eventually observes until the server is as wanted.
func eventually(t *testing.T, i *Instance, what string, ok func(cluster.Server) bool) cluster.Server {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		s := i.Observe(t.Context())
		if ok(s) {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s; last: %+v\n%s", what, s, serverLog(i))
		}
		time.Sleep(10 * time.Millisecond) // the condition has no event
	}
}

// sql runs a statement as the superuser.
func sql(t *testing.T, i *Instance, statement string) string {
	t.Helper()
	out, err := i.local("test", 0).query(t.Context(), statement)
	must(t, i, err)
	if len(out) == 0 {
		return ""
	}
	return strings.Join(out[0], "|")
}

func caughtUp(p *Instance) func(cluster.Server) bool {
	return func(s cluster.Server) bool {
		at := p.Observe(context.Background()).FlushLSN
		return s.Answered && s.InRecovery && at != 0 && s.ReplayLSN >= at
	}
}
