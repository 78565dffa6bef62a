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
func check(address string) (time.Duration, error) {
	began := time.Now()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(began.Add(5 * time.Second))
	if _, err := io.WriteString(conn, "OPTIONS /primary HTTP/1.0\r\n\r\n"); err != nil {
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

func TestSilentConnections(t *testing.T) {
	raiseLimit(t)
	const ttl = 10
	c := testcluster.Start(t, testcluster.Options{Nodes: 1, TTL: ttl, LoopWait: 2, Retry: 3})
	node := c.Nodes[0]
	address := fmt.Sprintf("127.0.0.1:%d", node.RESTPort)
	before := c.View().Leader

	began := time.Now()
	silence(t, address)
	t.Logf("%d silent connections within %s", silentClients, time.Since(began).Round(time.Millisecond))

	// For longer than a lease lives: had one renewal been kept waiting, the lock would be gone.
	var took []time.Duration
	least := 1.0
	for end := time.Now().Add((ttl + 3) * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) { // a check every now and then is the test
		d, err := check(address)
		if err != nil {
			t.Fatalf("health check %d beside silent connections: %v", len(took), err)
		}
		took = append(took, d)
		least = min(least, margin(t, address))
	}
	slices.Sort(took)
	middle, worst := took[len(took)/2], took[len(took)-1]
	t.Logf("%d health checks: half within %s, all within %s; the lease never had less than %.0f%% of its ttl", len(took), middle, worst, least*100)
	// The machine may be busy with other tests, so a single check may wait for a processor; half of them may not.
	if middle > 50*time.Millisecond {
		t.Errorf("half of the health checks took longer than 50ms: %s", middle)
	}
	if worst > time.Second {
		t.Errorf("a health check took %s", worst)
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
