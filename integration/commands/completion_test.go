package commands

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

// completion asks for what the shells' scripts ask for: values that only the running cluster knows.
func completion(t *testing.T, c *testcluster.Cluster) {
	for line, want := range map[string]string{
		"list ":                          "demo",
		"reload ":                        "demo",
		"reload demo ":                   "node1 node2 node3",
		"reload demo node2 ":             "node1 node3",
		"history demo ":                  "",
		"flush demo node1 node2 node3 ":  "restart switchover",
		"switchover --candidate ":        "node1 node2 node3",
		"failover demo --candidate node": "node1 node2 node3",
		"query -m ":                      "node1 node2 node3",
		"restart demo -r ":               "leader primary standby-leader replica standby any",
		"list -f ":                       "pretty tsv json yaml yml",
		"edit-config -p max_c":           "max_connections=",
		"edit-config -s ttl":             "ttl=",
	} {
		for _, program := range []string{"hathi", "patronictl"} {
			got := again(want, func() string { return offered(t, c, program, line) })
			if got != want {
				t.Errorf("%s %q offers %q, want %q", program, line, got, want)
			}
		}
	}
	if keys := again("all", func() string { return offered(t, c, "hathi", "edit-config -s ") }); !strings.Contains(keys, "postgresql.parameters.max_wal_senders= ") || !strings.Contains(keys, "synchronous_mode= ") {
		t.Errorf("keys that are in etcd and keys that may be should be offered: %s", keys)
	}
	shells(t, c)
	withoutEtcd(t, c)
}

// again asks several times, because on a busy machine etcd may be too late for completion, which is silent then.
func again(want string, ask func() string) (got string) {
	for range 10 {
		if got = ask(); got == want || want != "" && strings.Contains(got, "postgresql.parameters.max_wal_senders=") {
			return got
		}
	}
	return got
}

// offered gives what is offered for the last word of a line: what begins like it, which the shells' scripts see to,
// without the directive at the end.
func offered(t *testing.T, c *testcluster.Cluster, program, line string) string {
	t.Helper()
	out, code := c.RunAs(program, "", nil, append([]string{"__complete"}, strings.Split(line, " ")...)...)
	typed := line[strings.LastIndexByte(line, ' ')+1:]
	var values []string
	for l := range strings.Lines(out) {
		switch l = strings.TrimSuffix(l, "\n"); {
		case strings.HasPrefix(l, ":"):
			return strings.Join(values, " ")
		case strings.HasPrefix(l, typed):
			values = append(values, l)
		}
	}
	t.Fatalf("%s __complete %q: exit %d\n%s", program, line, code, out)
	return ""
}

// withoutEtcd: completion offers nothing and soon gives up with nobody at the address of etcd, and with an etcd that accepts
// connections and says nothing, for which other commands wait for seconds. What it takes is in make bench; here the best of
// several only tells giving up from waiting, on a machine that is busy.
func withoutEtcd(t *testing.T, c *testcluster.Cluster) {
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, address := range map[string]string{"nobody is there": "127.0.0.1:1", "etcd is mute": mute.Addr().String()} {
		best := time.Hour
		for try := 0; try < 8 && best > etcd.DefaultTimeout/4; try++ {
			started := time.Now()
			out, _ := c.RunAs("hathi", "", nil, "-d", address, "__complete", "reload", "demo", "")
			best = min(best, time.Since(started))
			if !strings.HasPrefix(out, ":") {
				t.Errorf("%s: completion says\n%s", name, out)
			}
		}
		if best > etcd.DefaultTimeout/4 {
			t.Errorf("%s: completion took %s at best", name, best)
		}
	}
}
