// Package testnet makes hosts out of network namespaces around a switch, cuts the lines between them, one way or
// both, makes them slow and lets them lose packets. Nothing leaves the machine. It needs root, iproute2 and, for
// lines that lose packets, iptables.
package testnet

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Network is a switch with hosts around it. The test itself is a host, too: the only one in the machine's own
// namespace, and the only one that is never cut off.
type Network struct {
	T      testing.TB
	prefix string // of all names
	subnet string // 10.x.y
	hosts  map[string]int
	cuts   map[line]bool
	bad    map[string]func() // what mends the line of a host that is slow or loses packets
}

// line is one direction between two hosts.
type line struct{ from, to string }

const testHost = 254

// New makes a network without hosts. It is removed at the end of the test.
func New(t testing.TB) *Network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("network namespaces need root: run the tests as root, as CI does")
	}
	pid := os.Getpid()
	n := &Network{
		T: t, prefix: fmt.Sprintf("hn%d", pid%100000), subnet: fmt.Sprintf("10.%d.%d", 64+pid/250%60, pid%250),
		hosts: map[string]int{}, cuts: map[line]bool{}, bad: map[string]func(){},
	}
	n.namespace("sw")
	n.in("sw", "ip", "link", "add", "name", "br0", "type", "bridge")
	n.in("sw", "ip", "link", "set", "br0", "up")
	own := n.prefix + "t"
	n.must("ip", "link", "add", "name", own, "type", "veth", "peer", "name", "test", "netns", n.namespaceOf("sw"))
	t.Cleanup(func() { _ = exec.Command("ip", "link", "del", own).Run() }) // gone with its other end already is as good
	n.must("ip", "addr", "add", n.addr(testHost)+"/24", "dev", own)
	n.must("ip", "link", "set", own, "up")
	n.in("sw", "ip", "link", "set", "dev", "test", "master", "br0", "up")
	return n
}

func (n *Network) namespaceOf(host string) string { return n.prefix + host }

func (n *Network) addr(number int) string { return fmt.Sprintf("%s.%d", n.subnet, number) }

func (n *Network) namespace(host string) {
	n.T.Helper()
	n.must("ip", "netns", "add", n.namespaceOf(host))
	n.T.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.namespaceOf(host)).Run() })
	n.in(host, "ip", "link", "set", "lo", "up")
}

// Host makes a host and gives its address and the command that starts a program on it. Its name has at most
// eight letters.
func (n *Network) Host(name string) (address string, wrap []string) {
	n.T.Helper()
	number := len(n.hosts) + 1
	n.hosts[name] = number
	n.namespace(name)
	n.in("sw", "ip", "link", "add", "name", name, "type", "veth", "peer", "name", "eth0", "netns", n.namespaceOf(name))
	n.in("sw", "ip", "link", "set", "dev", name, "master", "br0", "up")
	n.in(name, "ip", "addr", "add", n.addr(number)+"/24", "dev", "eth0")
	n.in(name, "ip", "link", "set", "eth0", "up")
	return n.addr(number), []string{"ip", "netns", "exec", n.namespaceOf(name)}
}

// nobody is a hardware address that no host has.
const nobody = "02:00:00:00:00:01"

// Cut loses everything that one host sends to another, without a word to the sender, until Mend or the end of
// the test. The other way stays open. A route into nothing would not do: its sender gets an error at once.
func (n *Network) Cut(from, to string) {
	n.T.Helper()
	n.in(from, "ip", "neigh", "replace", n.addr(n.hosts[to]), "lladdr", nobody, "nud", "permanent", "dev", "eth0")
	n.cuts[line{from, to}] = true
}

// Mend opens a line again; one that is open stays so.
func (n *Network) Mend(from, to string) {
	n.T.Helper()
	if !n.cuts[line{from, to}] {
		return
	}
	n.in(from, "ip", "neigh", "del", n.addr(n.hosts[to]), "dev", "eth0")
	delete(n.cuts, line{from, to})
}

// CutOff cuts a host off from others, both ways, and gives what mends that.
func (n *Network) CutOff(host string, others ...string) (mend func()) {
	n.T.Helper()
	for _, o := range others {
		n.Cut(host, o)
		n.Cut(o, host)
	}
	return func() {
		for _, o := range others {
			n.Mend(host, o)
			n.Mend(o, host)
		}
	}
}

// MendAll opens all lines, and none is slow or loses anything.
func (n *Network) MendAll() {
	n.T.Helper()
	for _, mend := range n.bad {
		mend()
	}
	for l := range n.cuts {
		n.Mend(l.from, l.to)
	}
}

func (n *Network) in(host string, args ...string) {
	n.T.Helper()
	n.must(append([]string{"ip", "netns", "exec", n.namespaceOf(host)}, args...)...)
}

func (n *Network) must(args ...string) {
	n.T.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		n.T.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}
