// Package netfault cuts the lines between nodes and etcd, and between nodes, and accounts for every moment in
// which two servers could be open to writes. Each host is a network namespace that the test makes; nothing
// leaves the machine. It needs root and iproute2.
package netfault

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testcluster.Cleanup()
	os.Exit(code)
}

// network is a switch with hosts around it, each in a namespace of its own. The test itself is a host, too:
// the only one in the machine's own namespace.
type network struct {
	t      *testing.T
	prefix string // of all names
	subnet string // 10.x.y
}

const (
	testHost = 254
	etcdHost = 100
)

func newNetwork(t *testing.T) *network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run the tests as root, as CI does")
	}
	n := &network{t: t, prefix: fmt.Sprintf("hn%d", os.Getpid()%100000), subnet: fmt.Sprintf("10.%d.%d", 64+os.Getpid()/250%60, os.Getpid()%250)}
	n.namespace("sw")
	n.in("sw", "ip", "link", "add", "name", "br0", "type", "bridge")
	n.in("sw", "ip", "link", "set", "br0", "up")
	// The test's own line.
	line := n.prefix + "t"
	n.must("ip", "link", "add", "name", line, "type", "veth", "peer", "name", "test", "netns", n.ns("sw"))
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", line).Run() })
	n.must("ip", "addr", "add", n.addr(testHost)+"/24", "dev", line)
	n.must("ip", "link", "set", line, "up")
	n.in("sw", "ip", "link", "set", "test", "master", "br0", "up")
	return n
}

func (n *network) ns(host string) string { return n.prefix + host }

func (n *network) addr(number int) string { return fmt.Sprintf("%s.%d", n.subnet, number) }

func (n *network) namespace(host string) {
	n.t.Helper()
	n.must("ip", "netns", "add", n.ns(host))
	n.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.ns(host)).Run() })
	n.in(host, "ip", "link", "set", "lo", "up")
}

// host makes a host with an address.
func (n *network) host(name string, number int) {
	n.t.Helper()
	n.namespace(name)
	n.in("sw", "ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", n.ns(name))
	n.in("sw", "ip", "link", "set", name, "master", "br0", "up")
	n.in(name, "ip", "addr", "add", n.addr(number)+"/24", "dev", "eth0")
	n.in(name, "ip", "link", "set", "eth0", "up")
}

// cut drops everything that a host sends to another; the other way stays open. mend undoes it.
func (n *network) cut(from string, to int) {
	n.in(from, "ip", "route", "add", "blackhole", n.addr(to)+"/32")
}

func (n *network) mend(from string, to int) {
	n.in(from, "ip", "route", "del", "blackhole", n.addr(to)+"/32")
}

func (n *network) in(host string, args ...string) {
	n.t.Helper()
	n.must(append([]string{"ip", "netns", "exec", n.ns(host)}, args...)...)
}

func (n *network) must(args ...string) {
	n.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		n.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// etcd starts an etcd on its own host and gives its address.
func (n *network) etcd() string {
	n.t.Helper()
	n.host("etcd", etcdHost)
	dir := n.t.TempDir()
	program := filepath.Join(dir, "etcdproc")
	n.must("go", "build", "-o", program, "github.com/hathi-ha/hathi/integration/etcdproc")
	client, peer := n.addr(etcdHost)+":2379", n.addr(etcdHost)+":2380"
	cmd := exec.Command("ip", "netns", "exec", n.ns("etcd"), program, "-client-url", "http://"+client,
		"-peer-url", "http://"+peer, "-data-dir", filepath.Join(dir, "data"))
	stdin, err := cmd.StdinPipe() // it ends when this is closed
	if err != nil {
		n.t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return client
}

const enough = time.Minute

// TestPartitions cuts one line after the other in one cluster, waits for what has to happen, and mends it.
func TestPartitions(t *testing.T) {
	n := newNetwork(t)
	etcd := n.etcd()
	c := testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, EtcdAt: []string{etcd},
		Place: func(i int, node *testcluster.Node) {
			n.host(node.Name, i+1)
			node.Listen, node.Wrap = n.addr(i+1), []string{"ip", "netns", "exec", n.ns(node.Name)}
		},
	})
	number := func(node *testcluster.Node) int { return int(node.Name[len(node.Name)-1] - '0') }
	for _, fault := range []struct {
		name string
		// lines gives the directions to cut, as sender and receiver.
		lines func(leader *testcluster.Node) [][2]any
		moves bool // another member has to take over while the line is cut
	}{
		{"the leader can't reach etcd", func(l *testcluster.Node) [][2]any {
			return [][2]any{{l.Name, etcdHost}, {"etcd", number(l)}}
		}, true},
		{"what the leader sends to etcd is lost", func(l *testcluster.Node) [][2]any {
			return [][2]any{{l.Name, etcdHost}}
		}, true},
		{"what etcd answers the leader is lost", func(l *testcluster.Node) [][2]any {
			return [][2]any{{"etcd", number(l)}}
		}, true},
		{"the leader is alone", func(l *testcluster.Node) [][2]any {
			cut := [][2]any{{l.Name, etcdHost}, {"etcd", number(l)}}
			for _, r := range c.Replicas(l) {
				cut = append(cut, [2]any{l.Name, number(r)}, [2]any{r.Name, number(l)})
			}
			return cut
		}, true},
		{"the leader can't reach the replicas", func(l *testcluster.Node) [][2]any {
			var cut [][2]any
			for _, r := range c.Replicas(l) {
				cut = append(cut, [2]any{l.Name, number(r)}, [2]any{r.Name, number(l)})
			}
			return cut
		}, false},
		{"a replica can't reach etcd", func(l *testcluster.Node) [][2]any {
			r := c.Replicas(l)[0]
			return [][2]any{{r.Name, etcdHost}, {"etcd", number(r)}}
		}, false},
	} {
		t.Run(fault.name, func(t *testing.T) {
			c.T, n.t = t, t
			leader := c.WaitHealthy(2 * enough)
			probes := c.StartProbes()
			lines := fault.lines(leader)
			for _, line := range lines {
				n.cut(line[0].(string), line[1].(int))
			}
			if fault.moves {
				c.WaitFor(enough, "another leader", func() bool { l := c.Leader(); return l != nil && l != leader })
			} else {
				time.Sleep(8 * time.Second) // longer than a lease: whatever goes wrong has gone wrong by then
				if now := c.Leader(); now != leader {
					t.Errorf("the leader has changed although it could reach etcd all the time")
				}
			}
			for _, line := range lines {
				n.mend(line[0].(string), line[1].(int))
			}
			c.WaitHealthy(2 * enough)
			for _, p := range probes {
				p.Stop()
			}
			if over := testcluster.Overlap(probes); over > 0 {
				t.Errorf("%d rows were acknowledged while another primary was open: reigns %v", over, testcluster.Reigns(probes))
			}
		})
	}
}
