package badinput

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testdisk"
)

// TestDiskFullInRewind: a former leader has to be rewound, and its disk has less room than what pg_rewind brings. What
// is left of its data stays, and the member says what to do, with room again, too; only where the configuration
// says so it is copied anew.
func TestDiskFullInRewind(t *testing.T) {
	o := testcluster.Options{Nodes: 2, TTL: 5, LoopWait: 1, Retry: 1}
	disk := testdisk.New(t, 512<<20)
	o.Place = func(i int, n *testcluster.Node) {
		if i == 0 {
			n.Dir = filepath.Join(disk.Path, "node")
			n.Data = filepath.Join(n.Dir, "data")
		}
	}
	c := testcluster.Prepare(t, o)
	old, heir := c.Nodes[0], c.Nodes[1]
	old.Run()
	c.WaitFor(enough, "the node on the small disk in the lead", func() bool { return c.Leader() == old })
	heir.Run()
	c.WaitHealthy(enough)
	must(t, old, "CREATE TABLE told (who text)")
	c.WaitFor(enough, "the table on the replica", func() bool { _, err := heir.SQL("SELECT FROM told"); return err == nil })
	old.FreezeSenders(heir)
	must(t, old, "INSERT INTO told VALUES ('lost')")
	old.Destroy()
	c.WaitFor(enough, "the replica in the lead", func() bool { return c.Leader() == heir })
	must(t, heir, "INSERT INTO told VALUES ('kept')")
	must(t, heir, "CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 80000)") // and as much WAL

	empty := fillBut(t, disk, 48<<20) // crash recovery, which comes first, writes a little
	before := inode(t, old.Data)
	old.Run()
	said := func() int {
		return strings.Count(old.Log(), "did not come to its end and left its data unusable: run reinit for "+old.Name)
	}
	c.WaitFor(enough, "a word on what to do", func() bool { return said() > 0 })
	wants(t, old.Log(), "No space left on device", "the data directory is unusable now, run hathi reinit "+c.Scope+" "+old.Name)
	empty()
	turns := said() + 2
	c.WaitFor(enough, "the same word while there is room", func() bool { return said() >= turns })
	if _, err := os.Stat(filepath.Join(old.Data, "PG_VERSION")); err != nil || inode(t, old.Data) != before {
		t.Errorf("its data directory is not the one it was: %v", err)
	}
	if now := c.View().Leader.Name; now != heir.Name {
		t.Errorf("the leader has changed: %q", now)
	}

	must(t, heir, "DROP TABLE big")
	must(t, heir, "CHECKPOINT") // a base backup begins with one, which would take its time
	heir.Configure(`{"postgresql": {"remove_data_directory_on_rewind_failure": true}}`)
	c.WaitHealthy(enough)
	c.WaitFor(enough, "the leader's rows", func() bool {
		got, err := old.SQL("SELECT string_agg(who, ' ') FROM told")
		return err == nil && got == "kept"
	})
}

// fillBut fills a disk but for so many bytes.
func fillBut(t *testing.T, d *testdisk.Disk, left int64) (empty func()) {
	t.Helper()
	room := filepath.Join(d.Path, "room")
	f, err := os.Create(room)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, left); err != nil {
		t.Fatalf("keep room on a disk: %v", err)
	}
	empty = d.Fill()
	if err := os.Remove(room); err != nil {
		t.Fatal(err)
	}
	return empty
}

func inode(t *testing.T, path string) uint64 {
	t.Helper()
	var s unix.Stat_t
	if err := unix.Stat(path, &s); err != nil {
		t.Fatal(err)
	}
	return s.Ino
}

func must(t *testing.T, n *testcluster.Node, statement string) {
	t.Helper()
	if _, err := n.SQL(statement); err != nil {
		t.Fatalf("%s: %s: %v", n.Name, statement, err)
	}
}
