// Package hooks looks at what users hang onto a cluster: callbacks, pre_promote and before_stop; and at a
// database that was there before hathi.
package hooks

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// calls gives what the callbacks of a node were told, and forgets it.
func calls(t *testing.T, n *testcluster.Node) []string {
	t.Helper()
	path := filepath.Join(n.Dir, "calls")
	b, _ := os.ReadFile(path)
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func await(c *testcluster.Cluster, n *testcluster.Node, last string) {
	c.T.Helper()
	c.WaitFor(enough, n.Name+" told "+last, func() bool {
		b, _ := os.ReadFile(filepath.Join(n.Dir, "calls"))
		return strings.HasSuffix(string(b), last+"\n")
	})
}

// TestHooks: callbacks through a switchover, a pre_promote that takes longer than a lease, and one that refuses.
func TestHooks(t *testing.T) {
	var lines []string
	for _, action := range []string{"on_start", "on_stop", "on_restart", "on_role_change"} {
		lines = append(lines, "  "+action+": sh -c 'echo $* >> {dir}/calls' --")
	}
	c := testcluster.Start(t, testcluster.Options{
		Nodes: 2, TTL: 5, LoopWait: 1, Retry: 1,
		Postgres: "callbacks:\n" + strings.Join(lines, "\n") + "\npre_promote: sh -c 'test ! -e {dir}/refuse && sleep $(cat {dir}/seconds)'\n" +
			"before_stop: sh -c 'echo before >> {dir}/calls'",
	})
	old := c.Primary()
	next := c.Replicas(old)[0]
	await(c, old, "on_start primary demo")
	await(c, next, "on_start replica demo")
	for _, n := range c.Nodes {
		calls(t, n)
		if err := os.WriteFile(filepath.Join(n.Dir, "seconds"), []byte("0"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c.Hathi("switchover", "--candidate", next.Name, "--force")
	c.WaitHealthy(enough)
	await(c, old, "on_role_change replica demo")
	if got, want := calls(t, old), []string{"before", "on_stop demoted demo", "on_role_change replica demo"}; !slices.Equal(got, want) {
		t.Errorf("the old leader was told %q, want %q", got, want)
	}
	await(c, next, "on_role_change primary demo")
	if got := calls(t, next); len(got) != 1 {
		t.Errorf("the new leader was told %q", got)
	}

	// The lock is kept for as long as the script takes, and nobody is promoted before.
	if err := os.WriteFile(filepath.Join(old.Dir, "seconds"), []byte("20"), 0o644); err != nil {
		t.Fatal(err)
	}
	next.Destroy()
	c.WaitFor(enough, "the lock taken", func() bool { v := c.Look(); return v != nil && v.Leader.Name == old.Name })
	for deadline := time.Now().Add(7 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) { // a time in which nothing may happen
		if v := c.Look(); v != nil && v.Leader.Name != old.Name || !c.ReadOnly() {
			t.Fatalf("the lock was lost, or the server promoted, before pre_promote has ended:\n%s", c.Describe())
		}
	}
	c.WaitFor(enough, "the promotion", func() bool { return c.Leader() == old })
	next.Run()
	c.WaitHealthy(enough)

	refuse := filepath.Join(next.Dir, "refuse")
	if err := os.WriteFile(refuse, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	old.Destroy()
	c.WaitFor(enough, "a refused promotion", func() bool {
		v := c.Look()
		return v != nil && !v.Locked() && strings.Contains(next.Log(), "Promotion cancelled because the pre-promote script failed")
	})
	if !c.ReadOnly() {
		t.Error("promoted although pre_promote refused")
	}
	if err := os.Remove(refuse); err != nil {
		t.Fatal(err)
	}
	c.WaitFor(enough, "the promotion after a ttl", func() bool { return c.Leader() == next })
}

// TestTakeOver: a database that has served without hathi becomes the first of a cluster, running as it is.
func TestTakeOver(t *testing.T) {
	c := testcluster.Prepare(t, testcluster.Options{Nodes: 2, TTL: 6, LoopWait: 1, Retry: 2})
	first := c.Nodes[0]
	run := func(program string, args ...string) {
		t.Helper()
		if out, err := first.Exec(filepath.Join(testcluster.PostgresBin(t), program), args...); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	run("initdb", "-D", first.Data, "--auth=trust", "--username=postgres", "--no-sync")
	appendLine(t, first, "postgresql.conf", "work_mem = '7MB'", "maintenance_work_mem = '33MB'")
	run("pg_ctl", "-D", first.Data, "-w", "-l", filepath.Join(first.Dir, "log"), "-o", fmt.Sprintf("-c listen_addresses=127.0.0.1 -p %d -k %s", first.Port, first.Dir), "start")
	for _, s := range []string{
		"ALTER ROLE postgres PASSWORD 'secret-super'", "CREATE ROLE replicator LOGIN REPLICATION PASSWORD 'secret-repl'",
		"CREATE TABLE old (n int)", "INSERT INTO old VALUES (1)",
	} {
		if _, err := first.SQL(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	pid := first.Postmaster()
	first.Run()
	c.WaitFor(enough, "a leader", func() bool { return c.Leader() == first })
	if now := first.Postmaster(); now != pid {
		t.Errorf("the server was restarted: %d, then %d", pid, now)
	}
	if got, err := first.SQL("SELECT current_setting('work_mem') || current_setting('shared_buffers')"); err != nil || !strings.HasPrefix(got, "7MB") {
		t.Errorf("settings %s, %v", got, err)
	}
	c.WaitFor(enough, "the original configuration in its new place", func() bool {
		b, err := os.ReadFile(filepath.Join(first.Data, "postgresql.base.conf"))
		return err == nil && strings.Contains(string(b), "33MB")
	})
	c.Nodes[1].Run()
	c.WaitHealthy(enough)
	if got, err := c.Nodes[1].SQL("SELECT n FROM old"); err != nil || got != "1" {
		t.Errorf("rows on the replica: %s, %v", got, err)
	}
	c.Hathi("restart", c.Scope, first.Name, "--force")
	c.WaitHealthy(enough)
}

func appendLine(t *testing.T, n *testcluster.Node, file string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(n.Data, file), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "\n") + "\n"); err != nil {
		t.Fatal(err)
	}
}
