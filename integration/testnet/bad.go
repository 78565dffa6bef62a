package testnet

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Slow lets so many kilobits a second through on the line between a host and the switch, each way. What comes
// faster waits for up to the given time and is lost if it would have to wait longer, so that a busy line delays
// whatever goes over it. (A delay of each packet would need the kernel's netem, which not every kernel has.)
func (n *Network) Slow(host string, kilobits int, wait time.Duration) (mend func()) {
	n.T.Helper()
	limit := []string{
		"root", "tbf", "rate", fmt.Sprintf("%dkbit", kilobits), "burst", "3000",
		"latency", fmt.Sprintf("%dms", wait.Milliseconds()),
	}
	return n.spoil(host,
		func(change func(string, ...string)) {
			change(host, append([]string{"tc", "qdisc", "add", "dev", "eth0"}, limit...)...)
			change("sw", append([]string{"tc", "qdisc", "add", "dev", host}, limit...)...)
		},
		func(change func(string, ...string)) {
			change(host, "tc", "qdisc", "del", "dev", "eth0", "root")
			change("sw", "tc", "qdisc", "del", "dev", host, "root")
		})
}

// Lose loses each packet to and from a host with the given probability.
func (n *Network) Lose(host string, probability float64) (mend func()) {
	n.T.Helper()
	rules := func(change func(string, ...string), what string) {
		for _, way := range [][]string{{"INPUT", "-i"}, {"OUTPUT", "-o"}} {
			change(host, "iptables", "--wait", what, way[0], way[1], "eth0", "-m", "statistic", "--mode", "random",
				"--probability", fmt.Sprintf("%.3f", probability), "-j", "DROP")
		}
	}
	return n.spoil(host,
		func(change func(string, ...string)) { rules(change, "--append") },
		func(change func(string, ...string)) { rules(change, "--delete") })
}

// spoil does something to the line of a host and gives what undoes it, once. A line is bad in one way at a time.
func (n *Network) spoil(host string, do, undo func(change func(host string, args ...string))) (mend func()) {
	n.T.Helper()
	if n.bad[host] != nil {
		n.T.Fatalf("the line of %s is bad already: mend it first (bad lines: %v)", host, slices.Sorted(maps.Keys(n.bad)))
	}
	do(n.in)
	n.bad[host] = func() {
		if n.bad[host] != nil {
			delete(n.bad, host)
			undo(n.in)
		}
	}
	return n.bad[host]
}
