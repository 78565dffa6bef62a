package operate

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestTags: a new member is copied from the one with clonefrom, not from the leader; and one with nostream gets its WAL from
// the archive alone, through a switchover, too, and nobody keeps any for it.
func TestTags(t *testing.T) {
	archive := t.TempDir()
	for dir, mode := range map[string]os.FileMode{filepath.Dir(archive): 0o755, archive: 0o777} { // for the user of PostgreSQL
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	c := testcluster.Prepare(t, testcluster.Options{TTL: 6, LoopWait: 1, Retry: 2, DCS: fmt.Sprintf(`
    archive_mode: 'on'
    archive_command: cp %%p %[1]s/%%f.new && mv %[1]s/%%f.new %[1]s/%%f
  recovery_conf:
    restore_command: cp %[1]s/%%f %%p`, archive)})
	leader, source, archived := c.Nodes[0], c.Nodes[1], c.Nodes[2]
	tag(t, source, "clonefrom: true")
	tag(t, archived, "nostream: true")
	state := func(n *testcluster.Node, want string) func() bool {
		return func() bool {
			for line := range strings.Lines(c.Hathi("list", "-f", "tsv")) {
				if f := strings.Split(line, "\t"); len(f) > 4 && f[1] == n.Name {
					return f[4] == want
				}
			}
			return false
		}
	}
	leader.Run()
	c.WaitFor(enough, "a leader", func() bool { return c.Leader() == leader })
	source.Run()
	c.WaitFor(enough, source.Name+" to stream", state(source, "streaming"))
	archived.Run()
	c.WaitFor(enough, archived.Name+" to restore from the archive", state(archived, "in archive recovery"))
	if !strings.Contains(archived.Log(), "trying to bootstrap from replica '"+source.Name+"'") ||
		!strings.Contains(archived.Log(), fmt.Sprintf("replica has been created using basebackup source=127.0.0.1:%d", source.Port)) {
		t.Errorf("%s was not copied from %s", archived.Name, source.Name)
	}

	rows := 0
	arrives := func(from *testcluster.Node) {
		t.Helper()
		must(t, from, "CREATE TABLE IF NOT EXISTS tagged (n int); INSERT INTO tagged VALUES (1)")
		must(t, from, "SELECT pg_switch_wal()")
		rows++
		c.WaitFor(enough, "a row by the archive", func() bool {
			got, err := archived.SQL("SELECT count(*) FROM tagged")
			return err == nil && got == fmt.Sprint(rows)
		})
		for n, query := range map[*testcluster.Node]string{
			archived: "SELECT (SELECT count(*) FROM pg_stat_wal_receiver) + (SELECT count(*) FROM pg_settings WHERE name = 'primary_conninfo' AND setting <> '')",
			from: fmt.Sprintf("SELECT (SELECT count(*) FROM pg_stat_replication WHERE application_name = '%[1]s') + "+
				"(SELECT count(*) FROM pg_replication_slots WHERE slot_name = '%[1]s')", archived.Name),
		} {
			if got, err := n.SQL(query); err != nil || got != "0" {
				t.Errorf("%s streams, or WAL is kept for it: %s, %v", archived.Name, got, err)
			}
		}
		if !state(archived, "in archive recovery")() || !state(source, "running")() && !state(source, "streaming")() {
			t.Errorf("list shows\n%s", c.Hathi("list"))
		}
	}
	arrives(leader)
	c.Hathi("switchover", "--candidate", source.Name, "--force")
	c.WaitFor(enough, source.Name+" leading", func() bool { return c.Leader() == source })
	arrives(source)
}

// tag adds a tag to the configuration of a node that does not run.
func tag(t *testing.T, n *testcluster.Node, text string) {
	t.Helper()
	raw, err := os.ReadFile(n.Config)
	if err == nil {
		err = os.WriteFile(n.Config, fmt.Appendf(raw, "tags: {%s}\n", text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}
