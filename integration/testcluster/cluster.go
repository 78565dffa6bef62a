package testcluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/leftover"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testport"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/shmem"
	"github.com/hathi-ha/hathi/pkg/privilege"
)

// Options say how a cluster differs from the default one of three nodes.
type Options struct {
	Scope string // the cluster's, and what its nodes are called by; empty: demo, and node
	Nodes int    // zero: three
	// Etcd is the number of etcd members; zero: one.
	Etcd int
	// TTL, LoopWait and Retry are the timing in whole seconds; zero: 30, 10, 10.
	TTL, LoopWait, Retry int
	// MaximumLag is maximum_lag_on_failover; zero: 1 MB.
	MaximumLag int
	// DCS is further YAML under bootstrap.dcs, Bootstrap under bootstrap and Postgres under postgresql, each without
	// indentation. {data} and {dir} stand for the node's data directory and its own directory.
	DCS, Bootstrap, Postgres string
	// Node is further YAML at the top level of the file of each node.
	Node string
	// EtcdAt are host:port of an etcd that the test has started itself; then none is started here.
	EtcdAt []string
	// Place puts a node somewhere else than on loopback, by its Listen and Wrap, before anything is written.
	Place func(i int, n *Node)
}

// Cluster is a cluster of real processes.
type Cluster struct {
	T      testing.TB
	Scope  string
	Etcd   *testetcd.Cluster
	Nodes  []*Node
	Dir    string
	o      Options
	bin    string
	viewer viewer
}

// Start founds a cluster and waits until all its members stream.
func Start(t testing.TB, o Options) *Cluster {
	t.Helper()
	c := Prepare(t, o)
	for _, n := range c.Nodes {
		n.Run()
	}
	c.WaitHealthy(90 * time.Second)
	return c
}

// Prepare makes everything but starts only etcd.
func Prepare(t testing.TB, o Options) *Cluster {
	t.Helper()
	defaults(&o)
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "hathi-it-")
	if err == nil {
		err = leftover.Watch(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	c := &Cluster{T: t, Scope: cmp.Or(o.Scope, "demo"), Dir: dir, o: o, bin: bin}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(c.Describe())
		}
		for _, n := range c.Nodes {
			n.Destroy()
			if err := shmem.Release(n.Data); err != nil { // it may lie outside dir
				t.Error(err)
			}
		}
		c.viewer.close()
		if err := leftover.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if len(o.EtcdAt) == 0 {
		c.Etcd = testetcd.Start(t, o.Etcd)
	}
	for i := range o.Nodes {
		c.Nodes = append(c.Nodes, c.newNode(i, testport.Take(t), testport.Take(t)))
	}
	return c
}

func defaults(o *Options) {
	o.Nodes, o.Etcd = max(o.Nodes, 0), max(o.Etcd, 1)
	if o.Nodes == 0 {
		o.Nodes = 3
	}
	if o.MaximumLag == 0 {
		o.MaximumLag = 1 << 20
	}
	if o.TTL == 0 {
		o.TTL, o.LoopWait, o.Retry = 30, 10, 10
	}
}

// Leader gives the node that holds the leader key and says that it is a running primary; nil if there is none.
func (c *Cluster) Leader() *Node {
	v := c.Look()
	if v == nil {
		return nil
	}
	m, ok := v.Member(v.Leader.Name)
	if !ok || m.Role != cluster.RolePrimary || m.State != cluster.StateRunning {
		return nil
	}
	return c.Node(m.Name)
}

// Primary waits for a leader and gives it; for a test that has not taken etcd away. Leader gives none, too, when etcd takes
// more than a second to answer.
func (c *Cluster) Primary() *Node {
	c.T.Helper()
	var leader *Node
	c.WaitFor(viewLimit, "a leader", func() bool { leader = c.Leader(); return leader != nil })
	return leader
}

// Node finds a node by name.
func (c *Cluster) Node(name string) *Node {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// Replicas gives the nodes that are not n.
func (c *Cluster) Replicas(n *Node) []*Node {
	var out []*Node
	for _, other := range c.Nodes {
		if other != n {
			out = append(out, other)
		}
	}
	return out
}

// WaitHealthy waits until one member leads and accepts writes, and all others stream from it, on its timeline.
func (c *Cluster) WaitHealthy(limit time.Duration) *Node {
	c.T.Helper()
	var leader *Node
	c.WaitFor(limit, "a leader and all others streaming", func() bool {
		leader = c.Leader()
		return leader != nil && c.unhealthy() == ""
	})
	return leader
}

// unhealthy says what is missing to a healthy cluster.
func (c *Cluster) unhealthy() string {
	v := c.Look()
	leader := c.Leader()
	if v == nil || leader == nil {
		return "no leader"
	}
	lead, _ := v.Member(leader.Name)
	for _, n := range c.Nodes {
		m, ok := v.Member(n.Name)
		switch {
		case !ok:
			return n.Name + " has no key"
		case n != leader && (m.ReplicationState != "streaming" || m.Timeline != lead.Timeline):
			return n.Name + " does not stream"
		}
	}
	// The keys may tell of what was. By its socket, where no test has another password.
	in, err := ask(fmt.Sprintf("host=%s port=%d user=postgres dbname=postgres", leader.Dir, leader.Port), "SELECT pg_is_in_recovery()")
	if err != nil || in != "f" {
		return leader.Name + " accepts no writes"
	}
	return ""
}

// WaitSettled waits until everybody streams and has published that it has everything.
func (c *Cluster) WaitSettled(limit time.Duration) *Node {
	c.T.Helper()
	leader := c.WaitHealthy(limit)
	c.WaitFor(limit, "no lag", func() bool {
		v := c.View()
		for _, n := range c.Replicas(leader) {
			m, ok := v.Member(n.Name)
			if !ok || m.ReceiveLSN < v.Status.Optime || m.ReplayLSN < v.Status.Optime {
				return false
			}
		}
		return true
	})
	return leader
}

// ReadOnly reports whether no node accepts writes.
func (c *Cluster) ReadOnly() bool {
	for _, n := range c.Nodes {
		if in, err := n.SQL("SELECT pg_is_in_recovery()"); err == nil && in == "f" {
			return false
		}
	}
	return true
}

// WaitFor waits for a condition and fails the test with the state of the cluster if it does not come.
func (c *Cluster) WaitFor(limit time.Duration, what string, holds func() bool) {
	c.T.Helper()
	deadline := time.Now().Add(limit)
	pause := 20 * time.Millisecond
	for !holds() {
		if time.Now().After(deadline) {
			c.T.Fatalf("no %s within %s (%s)", what, limit, c.unhealthy())
		}
		time.Sleep(pause) // conditions of a test have no event
		pause = min(pause*9/8, 100*time.Millisecond)
	}
}

// Hathi runs a command of hathi against the cluster and gives its output; it fails the test if the command
// does not end with the exit code zero.
func (c *Cluster) Hathi(args ...string) string {
	c.T.Helper()
	out, err := c.TryHathi("", args...)
	if err != nil {
		c.T.Fatalf("hathi %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// TryHathi runs a command of hathi with the given standard input.
func (c *Cluster) TryHathi(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.bin, append([]string{"-c", c.Nodes[0].Config}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Describe gives the state of the cluster and the end of each node's log.
func (c *Cluster) Describe() string {
	out, _ := c.TryHathi("", "list")
	for _, n := range c.Nodes {
		out += "\n--- " + n.Name + "\n" + n.LogTail(120)
	}
	return out
}

// etcdAddresses gives host:port of the members of etcd.
func (c *Cluster) etcdAddresses() []string {
	if c.Etcd == nil {
		return c.o.EtcdAt
	}
	return c.Etcd.Addresses()
}

func (c *Cluster) newNode(i, pgPort, restPort int) *Node {
	name := fmt.Sprintf("%s%d", cmp.Or(c.o.Scope, "node"), i+1)
	cred, err := privilege.Credential("postgres")
	if err != nil {
		c.T.Fatal(err)
	}
	pgBin, err := postgresBin()
	if err != nil {
		c.T.Fatal(err)
	}
	n := &Node{
		c: c, Name: name, Port: pgPort, RESTPort: restPort, Dir: filepath.Join(c.Dir, name),
		Config: filepath.Join(c.Dir, name+".yml"), cred: cred, bin: c.bin,
	}
	n.Data = filepath.Join(n.Dir, "data")
	if c.o.Place != nil {
		c.o.Place(i, n)
	}
	if err := n.prepare(pgBin); err != nil {
		c.T.Fatal(err)
	}
	return n
}

// RunAs runs a command under the name by which it was called, and gives what it printed, both streams in one, and
// its exit code; env is added to the environment.
func (c *Cluster) RunAs(program, stdin string, env []string, args ...string) (string, int) {
	c.T.Helper()
	var out bytes.Buffer
	code := c.run(c.command(program, stdin, env, args), &out, &out)
	return out.String(), code
}

// Streams is RunAs with each stream for itself. A path is the program itself, not a name for hathi.
func (c *Cluster) Streams(program, stdin string, env []string, args ...string) (stdout, stderr string, code int) {
	c.T.Helper()
	var out, wrong bytes.Buffer
	code = c.run(c.command(program, stdin, env, args), &out, &wrong)
	return out.String(), wrong.String(), code
}

func (c *Cluster) command(program, stdin string, env, args []string) *exec.Cmd {
	cmd := exec.Command(c.bin)
	if filepath.IsAbs(program) {
		cmd = exec.Command(program)
	}
	cmd.Args = append([]string{program, "-c", c.Nodes[0].Config}, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	return cmd
}

// run gives the exit code of a command, which it ends when it takes too long.
func (c *Cluster) run(cmd *exec.Cmd, stdout, stderr *bytes.Buffer) int {
	c.T.Helper()
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		c.T.Fatalf("run %q: %v", cmd.Args, err)
	}
	limit := time.AfterFunc(2*time.Minute, func() { _ = cmd.Process.Kill() })
	defer limit.Stop()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		c.T.Fatalf("run %q: %v\n%s", cmd.Args, err, stdout.String())
	}
	return cmd.ProcessState.ExitCode()
}

// Binary is the path of the hathi that the nodes run.
func (c *Cluster) Binary() string { return c.bin }
