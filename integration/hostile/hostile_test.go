// Package hostile lets clients that mean harm loose on the REST API of a running node.
package hostile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// silentClients connect, send nothing or half a request, and wait.
const silentClients = 10_000

// raiseLimit lets this process hold that many connections.
func raiseLimit(t *testing.T) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	const need = silentClients + 1000
	if limit.Cur >= need {
		return
	}
	limit.Cur, limit.Max = need, max(limit.Max, need)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatalf("raise the limit of open files to %d (ulimit -n): %v", need, err)
	}
}

// silence opens the connections and keeps them until the test ends.
func silence(t *testing.T, address string) {
	t.Helper()
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		for _, c := range open {
			_ = c.Close()
		}
	})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := worker; i < silentClients; i += 8 {
				conn, err := net.DialTimeout("tcp", address, 10*time.Second)
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				if i%2 == 0 { // the node may have closed it already, which is its right
					_, _ = io.WriteString(conn, "GET /primary HTTP/1.1\r\nHo")
				}
				mu.Lock()
				open = append(open, conn)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// check makes one health check on a connection of its own.
func check(address, path string) (time.Duration, error) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(began.Add(5 * time.Second))
	if _, err := io.WriteString(conn, "OPTIONS "+path+" HTTP/1.0\r\n\r\n"); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	return time.Since(began), nil
}

// checks are the times that checks of one node took.
type checks []time.Duration

// one makes a check; that it is answered at all is what every single one must be.
func (c *checks) one(t *testing.T, n *testcluster.Node, path string) {
	t.Helper()
	d, err := check(fmt.Sprintf("127.0.0.1:%d", n.RESTPort), path)
	if err != nil {
		t.Fatalf("health check %d of %s: %v", len(*c), n.Name, err)
	}
	*c = append(*c, d)
}

// slower counts the checks that took longer than this.
func (c checks) slower(limit time.Duration) int {
	n := 0
	for _, d := range c {
		if d > limit {
			n++
		}
	}
	return n
}

func (c checks) String() string {
	sorted := slices.Sorted(slices.Values(c))
	return fmt.Sprintf("%d: half within %s, 99 in 100 within %s, all within %s", len(c), sorted[len(c)/2], sorted[len(c)*99/100], sorted[len(c)-1])
}

// margin is what the node says of its lease, as a part of ttl.
func margin(t *testing.T, address string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || families["hathi_lease_margin_ratio"] == nil {
		t.Fatalf("no margin of the lease in /metrics: %v", err)
	}
	return families["hathi_lease_margin_ratio"].GetMetric()[0].GetGauge().GetValue()
}

// promised is what a health check may take beside silent connections.
const promised = 50 * time.Millisecond

// The leader has the silent clients; its replica has none and tells how long a check takes on this machine, with whatever
// else is going on there. The first check comes when the kernel's queue is full of silent connections that were made, and
// not yet accepted: it is the worst of all.
func TestSilentConnections(t *testing.T) {
	raiseLimit(t)
	const ttl = 10
	c := testcluster.Start(t, testcluster.Options{Nodes: 2, TTL: ttl, LoopWait: 2, Retry: 3})
	node := c.WaitHealthy(time.Minute)
	replica := c.Replicas(node)[0]
	address := fmt.Sprintf("127.0.0.1:%d", node.RESTPort)
	before := c.View().Leader

	began := time.Now()
	silence(t, address)
	var beside, without checks
	beside.one(t, node, "/primary")
	t.Logf("%d silent connections within %s, the next check %s", silentClients, time.Since(began).Round(time.Millisecond), beside[0])

	// For longer than a lease lives: had one renewal been kept waiting, the lock would be gone.
	least := 1.0
	for end := time.Now().Add((ttl + 3) * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // a check every now and then is the test
		beside.one(t, node, "/primary")
		without.one(t, replica, "/replica")
		least = min(least, margin(t, address))
	}
	t.Logf("health checks beside silent connections %s", beside)
	t.Logf("health checks without                   %s", without)
	t.Logf("the lease never had less than %.0f%% of its ttl", least*100)
	// A machine that is busy lets some checks wait for a processor, with or without silent connections. What these can do is to
	// keep nearly every check waiting.
	if slow, anyway := beside.slower(promised), without.slower(promised); slow > 3*anyway+len(beside)/10 {
		t.Errorf("%d health checks beside silent connections took longer than %s, and %d without", slow, promised, anyway)
	}
	if slow, anyway := beside.slower(20*promised), without.slower(20*promised); slow > anyway+len(beside)/50 {
		t.Errorf("%d health checks beside silent connections took longer than %s, and %d without", slow, 20*promised, anyway)
	}
	if least < 1./3 {
		t.Errorf("the lease came down to %.0f%% of its ttl: a renewal was kept waiting", least*100)
	}
	if after := c.View().Leader; after != before {
		t.Errorf("the leader key was lost meanwhile: %+v, was %+v", after, before)
	}
	if log := node.LogTail(10000); strings.Contains(log, "too many open files") {
		t.Error("the node has run out of file descriptors")
	}
}
