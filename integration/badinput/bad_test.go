// Package badinput gives hathi what it must refuse, and looks that it says why, touches nothing and does not
// run in circles.
package badinput

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// quick is a cluster of one node with a short lease.
func quick(nodes int) testcluster.Options {
	return testcluster.Options{Nodes: nodes, TTL: 6, LoopWait: 2, Retry: 2}
}

// ends waits until hathi run has ended and gives its log.
func ends(t *testing.T, c *testcluster.Cluster, n *testcluster.Node) string {
	t.Helper()
	c.WaitFor(enough, "end of "+n.Name, func() bool { return !n.Running() })
	if code := n.ExitCode(); code != 1 {
		t.Errorf("%s ended with %d, want 1", n.Name, code)
	}
	return n.Log()
}

func wants(t *testing.T, log string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(log, text) {
			t.Errorf("it does not say %q:\n%s", text, log)
		}
	}
}

func TestWrongConfiguration(t *testing.T) {
	c := testcluster.Prepare(t, quick(1))
	n := c.Nodes[0]
	wrong := "scope: demo\nrestapi: {listen: 127.0.0.1}\netcd3: {host: 'h:0'}\npostgresql:\n  listen: 127.0.0.1:x\n  data_dir: " + n.Data + "\n"
	if err := os.WriteFile(n.Config, []byte(wrong), 0o644); err != nil {
		t.Fatal(err)
	}
	n.Run()
	file := filepath.Base(n.Config)
	wants(t, ends(t, c, n), file+":1: name:", file+":2: restapi.listen: 127.0.0.1:", file+":3: etcd3.host: h:0:",
		file+":5: postgresql.listen: 127.0.0.1:x:", "postgresql.authentication.replication.username")
	if _, err := os.Stat(n.Data); !os.IsNotExist(err) {
		t.Errorf("the data directory was touched: %v", err)
	}
}

// TestForeignData: what is in the data directory is not a database. Nothing is done to it, and nothing runs in
// circles: the agent lives and says it.
func TestForeignData(t *testing.T) {
	c := testcluster.Prepare(t, quick(1))
	n := c.Nodes[0]
	precious := filepath.Join(n.Data, "precious")
	if err := os.MkdirAll(n.Data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(precious, []byte("not a database"), 0o644); err != nil {
		t.Fatal(err)
	}
	n.Own(n.Data, precious)
	before := contents(t, n.Data)
	n.Run()
	c.WaitFor(enough, "a word about the directory", func() bool { return strings.Contains(n.Log(), "data directory is not accessible") })
	untouched(t, n.Data, before)
	if !n.Running() {
		t.Errorf("the node has ended")
	}
}

// TestAnotherCluster: the database belongs to a cluster with another system identifier.
func TestAnotherCluster(t *testing.T) {
	c := testcluster.Start(t, quick(1))
	n := c.Nodes[0]
	before, err := n.SQL("SELECT system_identifier FROM pg_control_system()")
	if err != nil {
		t.Fatal(err)
	}
	n.Terminate(enough)
	c.Put("initialize", "7999999999999999999")
	data := contents(t, n.Data)
	n.Run()
	wants(t, ends(t, c, n), "system ID mismatch, node node1 belongs to a different cluster: 7999999999999999999 != "+before)
	untouched(t, n.Data, data)
}

// contents gives what is in a directory: path to mode and hash.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String()
		if info.Mode().IsRegular() {
			raw, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x", sha256.Sum256(raw))
		}
		all[path] = text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// untouched fails the test if anything in a directory is other than it was.
func untouched(t *testing.T, dir string, before map[string]string) {
	t.Helper()
	now := contents(t, dir)
	for path, text := range before {
		if now[path] != text {
			t.Errorf("%s: %q, was %q", path, now[path], text)
		}
	}
	for path := range now {
		if before[path] == "" {
			t.Errorf("%s is new", path)
		}
	}
}

// TestSecondAgentAndPort: a second agent with the name of a living one, and one on a port in use.
func TestSecondAgentAndPort(t *testing.T) {
	c := testcluster.Start(t, quick(2))
	first, second := c.Nodes[0], c.Nodes[1]
	second.Terminate(enough)
	replace(t, second.Config, "name: "+second.Name, "name: "+first.Name)
	second.Run()
	wants(t, ends(t, c, second), "there is already a node named '"+first.Name+"' running")

	replace(t, second.Config, "name: "+first.Name, "name: "+second.Name)
	l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(second.RESTPort))
	if err != nil {
		t.Fatal(err)
	}
	second.Run()
	wants(t, ends(t, c, second), "the port is in use")
	l.Close()

	// PostgreSQL's port: the agent goes on trying, with pauses, and says why.
	pg, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(second.Port))
	if err != nil {
		t.Fatal(err)
	}
	second.Run()
	c.WaitFor(enough, "a word about the port", func() bool { return strings.Contains(second.Log(), "Address already in use") })
	time.Sleep(5 * time.Second) // long enough for a loop without pauses to show
	if n := strings.Count(second.Log(), "postmaster started"); n > 12 {
		t.Errorf("%d attempts to start PostgreSQL: that is no back-off", n)
	}
	pg.Close()
	c.WaitHealthy(2 * enough)
}

// TestGarbageInKeys: nobody may fall over what stands in etcd.
func TestGarbageInKeys(t *testing.T) {
	c := testcluster.Start(t, quick(2))
	leader := c.Primary()
	agents := []int{c.Nodes[0].Agent(), c.Nodes[1].Agent()}
	for _, key := range []string{"config", "failover", "status", "history", "sync", "failsafe", "members/ghost", "members/" + c.Replicas(leader)[0].Name, "nonsense/x"} {
		c.Put(key, "\xff{garbage")
		c.Put(key, "[[null]]")
	}
	w := c.StartWriter()
	time.Sleep(5 * time.Second) // two turns of everybody
	w.Stop()
	if now := c.WaitHealthy(enough); now != leader {
		t.Errorf("%s leads instead of %s", now.Name, leader.Name)
	}
	for i, n := range c.Nodes {
		if n.Agent() != agents[i] {
			t.Errorf("the agent of %s has died of it:\n%s", n.Name, n.LogTail(40))
		}
	}
	c.Hathi("list")
}

// TestDiskFull: the file system of a replica is full. The replica suffers, says so, and comes back.
func TestDiskFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("a small file system needs root: run the tests as root, as CI does")
	}
	o, small := quick(2), mount(t)
	o.Place = func(i int, n *testcluster.Node) {
		if i == 1 {
			n.Dir, n.Data = small, filepath.Join(small, "data")
		}
	}
	c := testcluster.Prepare(t, o)
	c.Nodes[0].Run()
	c.WaitFor(2*enough, "the first node as leader", func() bool { return c.Leader() == c.Nodes[0] })
	c.Nodes[1].Run()
	leader := c.WaitHealthy(2 * enough)
	full := c.Nodes[1]
	if leader == full {
		t.Fatal("the node with the small disk leads")
	}
	ballast := filepath.Join(full.Dir, "ballast")
	_ = exec.Command("dd", "if=/dev/zero", "of="+ballast, "bs=1M").Run() // until the disk is full
	if _, err := leader.SQL("CREATE TABLE filler AS SELECT repeat('x', 1000) FROM generate_series(1, 60000)"); err != nil {
		t.Fatal(err)
	}
	c.WaitFor(enough, "a word about the disk", func() bool { return strings.Contains(full.Log(), "No space left on device") })
	if now := c.View().Leader.Name; now != leader.Name {
		t.Errorf("the leader has changed: %q", now)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	c.WaitHealthy(2 * enough)
}

// mount makes a small file system. Make it before the cluster, so that it is there until nothing of that is left.
func mount(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "small-") // others than root have to be able to reach it, unlike t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount a small file system: %v %s", err, out)
	}
	t.Cleanup(func() {
		_ = exec.Command("umount", "-l", dir).Run()
		_ = os.Remove(dir)
	})
	return dir
}

func replace(t *testing.T, path, old, text string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), old, text, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
