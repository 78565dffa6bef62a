// Package pgbackrest founds clusters and creates replicas with pgBackRest, by the recipe of docs/bootstrap.md.
package pgbackrest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

const rows = "SELECT string_agg(n::text, ',' ORDER BY n) FROM rows"

// command is how pgBackRest is called on a node.
func command(config string) string {
	return "pgbackrest --config=" + config + " --stanza=demo --pg1-path={data}"
}

// options are those of a cluster that archives to the repository and takes its replicas from there.
func options(scope, config string) testcluster.Options {
	return testcluster.Options{Scope: scope, Nodes: 2, TTL: 6, LoopWait: 1, Retry: 2, Postgres: fmt.Sprintf(`create_replica_methods: [pgbackrest, basebackup]
pgbackrest:
  command: %[1]s --delta restore
  keep_data: true
  no_params: true
  no_leader: true
recovery_conf:
  restore_command: %[1]s archive-get %%f %%p
basebackup:
  checkpoint: fast
`, command(config)), DCS: "slots: {}"}
}

// repository makes the place of the backups.
func repository(t *testing.T) (dir, config string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hathi-repo-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config = filepath.Join(dir, "pgbackrest.conf")
	text := fmt.Sprintf("[global]\nrepo1-path=%[1]s/repo\nlog-path=%[1]s\nlock-path=%[1]s/lock\nspool-path=%[1]s\nlog-level-file=off\n"+
		"start-fast=y\nrepo1-retention-full=2\narchive-timeout=20\n[demo]\npg1-user=postgres\n", dir)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, config
}

// backrest runs pgBackRest on a node.
func backrest(t *testing.T, n *testcluster.Node, config string, args ...string) {
	t.Helper()
	args = append([]string{
		"--config=" + config, "--stanza=demo", "--pg1-path=" + n.Data,
		"--pg1-socket-path=" + n.Dir, fmt.Sprintf("--pg1-port=%d", n.Port),
	}, args...)
	if out, err := n.Exec("pgbackrest", args...); err != nil {
		t.Fatalf("pgbackrest %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func execute(t *testing.T, n *testcluster.Node, statements ...string) (last string) {
	t.Helper()
	for _, s := range statements {
		var err error
		if last, err = n.SQL(s); err != nil {
			t.Fatalf("%s: %s: %v", n.Name, s, err)
		}
	}
	return last
}

const created = "replica has been created using pgbackrest"

// TestPgBackRest: a replica and its reinitialization from a backup, a cluster founded from the backup up to a
// point in time after everything else is lost, and a member that comes back from it while nobody leads.
func TestPgBackRest(t *testing.T) {
	dir, config := repository(t)
	o := options("demo", config)
	archiving := "archive_mode: 'on'\narchive_command: " + command(config) + " archive-push %p\n"
	o.Postgres = parameters(o.Postgres, archiving)
	c := testcluster.Prepare(t, o)
	first, second := c.Nodes[0], c.Nodes[1]
	first.Own(dir)
	first.Run()
	c.WaitFor(enough, "a leader", func() bool { return c.Leader() == first })
	execute(t, first, "CREATE TABLE rows (n int)", "INSERT INTO rows VALUES (1)")
	backrest(t, first, config, "stanza-create")
	backrest(t, first, config, "backup", "--type=full")

	second.Run()
	c.WaitHealthy(enough)
	if !strings.Contains(second.Log(), created) {
		t.Errorf("%s was not created with pgBackRest", second.Name)
	}
	trusted(t, c, second, "the data were copied, and have all now that the leader had")
	c.Hathi("reinit", c.Scope, second.Name, "--force", "--wait")
	c.WaitHealthy(enough)
	if n := strings.Count(second.Log(), created); n != 2 {
		t.Errorf("created with pgBackRest %d times, want 2", n)
	}

	between := execute(t, first, "INSERT INTO rows VALUES (2)", "SELECT clock_timestamp()")
	execute(t, first, "SELECT pg_sleep(0.01)", "INSERT INTO rows VALUES (3)")
	backrest(t, first, config, "check") // switches WAL and waits until it is in the archive
	first.Destroy()
	second.Destroy()

	o = options("again", config)
	o.Postgres = parameters(o.Postgres, archiving)
	o.Bootstrap = fmt.Sprintf(`method: pgbackrest
pgbackrest:
  command: sh -c 'mkdir -m 700 {data} && exec "$@"' sh %s --type=time '--target=%s' --target-action=promote restore
  no_params: true
  keep_existing_recovery_conf: true
`, command(config), between)
	again := testcluster.Prepare(t, o)
	leader, other := again.Nodes[0], again.Nodes[1]
	leader.Run()
	again.WaitFor(enough, "a leader", func() bool { return again.Leader() == leader })
	if got := execute(t, leader, rows); got != "1,2" {
		t.Errorf("restored rows %s", got)
	}
	execute(t, leader, "INSERT INTO rows VALUES (20)")
	other.Run()
	again.WaitHealthy(enough)
	again.WaitFor(enough, "all rows on the replica", func() bool { got, err := other.SQL(rows); return err == nil && got == "1,2,20" })
	if !strings.Contains(other.Log(), created) {
		t.Errorf("%s was not created with pgBackRest", other.Name)
	}

	backrest(t, leader, config, "check")
	standby(t, config)
	leader.Terminate(enough)
	other.Terminate(enough)
	if err := os.RemoveAll(other.Data); err != nil {
		t.Fatal(err)
	}
	other.Run()
	again.WaitFor(enough, "the member that was lost in the lead", func() bool { return again.Leader() == other })
	trusted(t, again, other, "the data were copied before this member led")
	if got := execute(t, other, rows); got != "1,2,20" {
		t.Errorf("rows after the return: %s", got)
	}
}

// trusted waits until a member has taken the mark of its copy away, and has said why.
func trusted(t *testing.T, c *testcluster.Cluster, n *testcluster.Node, why string) {
	t.Helper()
	c.WaitFor(enough, "the end of the mark of a copy on "+n.Name, func() bool {
		_, err := os.Lstat(filepath.Join(n.Data, "hathi.copied"))
		return errors.Is(err, fs.ErrNotExist) && strings.Contains(n.Log(), why)
	})
}

// standby founds a standby cluster that has nothing but the archive.
func standby(t *testing.T, config string) {
	t.Helper()
	o := options("far", config)
	o.Nodes = 1
	o.DCS = "standby_cluster:\n  create_replica_methods: [pgbackrest]\n  restore_command: " + command(config) + " archive-get %f %p"
	o.Postgres = parameters(strings.Replace(o.Postgres, "[pgbackrest, basebackup]", "[basebackup]", 1), "archive_mode: 'off'")
	far := testcluster.Prepare(t, o)
	n := far.Nodes[0]
	n.Run()
	far.WaitFor(enough, "a standby leader with all rows", func() bool {
		code, _, down := n.REST("GET", "/standby-leader", "")
		got, err := n.SQL(rows)
		return down == nil && code == 200 && err == nil && got == "1,2,20"
	})
	n.Destroy()
}

// parameters adds settings to the parameters of a node.
func parameters(text, settings string) string {
	return text + "parameters:\n  shared_buffers: 16MB\n  unix_socket_directories: '{dir}'\n  " +
		strings.ReplaceAll(strings.TrimSpace(settings), "\n", "\n  ") + "\n"
}
