//go:build bench

package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// restEvents are the figures of the REST API.
var restEvents = []event{
	{"checks", "health checks that one core of the agent answers in a second", "≥ 5000 /s", "-", "/s", "checks by CPU time of the agent, at 5,000 checks a second on 8 connections", func(c *testcluster.Cluster) float64 {
		return load(c).perCore
	}},
	{"checks-p99", "99 of 100 health checks, at 5,000 a second", "≤ 5 ms", "-", "ms", "beside a bare net/http server on the same machine, see the log", func(c *testcluster.Cluster) float64 {
		return load(c).p99.Seconds() * 1000
	}},
	{"checks-loop", "lease left meanwhile, at least", "≥ 50 %", "-", "%", "with a renewal each loop_wait it is 66 % without any check", func(c *testcluster.Cluster) float64 {
		return load(c).margin * 100
	}},
	{"start", "start of hathi run to the first answer of its REST API", "≤ 100 ms", "-", "ms", "", startUp},
	{"cluster", "GET /cluster of 1,000 members", "≤ 20 ms", "-", "ms", "made, sent over loopback and read", func(c *testcluster.Cluster) float64 {
		return bigCluster(c)
	}},
}

// rate is how many checks are made in a second, for how long, and on how many connections.
const (
	rate        = 5000
	loadTime    = 10 * time.Second
	connections = 8
)

// loaded is what came of a load of health checks.
type loaded struct {
	p99     time.Duration
	perCore float64
	margin  float64 // of the lease, the least that was seen
}

// load makes health checks of the leader. Times count from the moment a check is sent.
func load(c *testcluster.Cluster) loaded {
	leader := healthy(c, 2*time.Minute)
	address := fmt.Sprintf("127.0.0.1:%d", leader.RESTPort)
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		c.T.Fatal(err)
	}
	defer bare.Close()
	go func() { _ = http.Serve(bare, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})) }()
	baseline := checks(c, bare.Addr().String())

	l := loaded{margin: 1}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			l.margin = min(l.margin, leaseMargin(c, address))
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond): // often enough to see the least of it
			}
		}
	}()
	before := cpuTime(c, leader.Agent())
	times := checks(c, address)
	spent := cpuTime(c, leader.Agent()) - before
	close(stop)
	<-ended
	l.p99, l.perCore = percentile(times, 99), float64(len(times))/spent.Seconds()
	c.T.Logf("%d checks: half within %s, 99 in 100 within %s, all within %s, %s of CPU time; a bare server: %s, %s, %s",
		len(times), percentile(times, 50), l.p99, times[len(times)-1], spent, percentile(baseline, 50), percentile(baseline, 99), baseline[len(baseline)-1])
	return l
}

func percentile(sorted []time.Duration, n int) time.Duration { return sorted[len(sorted)*n/100] }

// checks makes the checks at their rate and gives how long each took, sorted.
func checks(c *testcluster.Cluster, address string) []time.Duration {
	var mu sync.Mutex
	var times []time.Duration
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			own, err := worker(address)
			if err != nil {
				c.T.Errorf("health checks: %v", err)
			}
			mu.Lock()
			times = append(times, own...)
			mu.Unlock()
		})
	}
	all.Wait()
	if len(times) < 100 {
		c.T.Fatal("hardly any check was answered")
	}
	slices.Sort(times)
	return times
}

// worker makes its part of the checks on one connection.
func worker(address string) ([]time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var times []time.Duration
	begin := time.Now()
	for n := 0; time.Since(begin) < loadTime; n++ {
		time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second * connections / rate))) // the rate is the test
		sent := time.Now()
		if _, err := io.WriteString(conn, "OPTIONS /primary HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			return times, err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return times, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return times, fmt.Errorf("status %d", resp.StatusCode)
		}
		times = append(times, time.Since(sent))
	}
	return times, nil
}

// cpuTime is what a process has used so far. Source: proc(5), /proc/pid/stat, utime and stime.
func cpuTime(c *testcluster.Cluster, pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		c.T.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := 0
	for _, i := range []int{11, 12} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			c.T.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// leaseMargin is what the leader says of its lease, as a part of ttl.
func leaseMargin(c *testcluster.Cluster, address string) float64 {
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		c.T.Error(err)
		return 0
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || families["hathi_lease_margin_ratio"] == nil {
		c.T.Errorf("no margin of the lease in /metrics: %v", err)
		return 0
	}
	return families["hathi_lease_margin_ratio"].GetMetric()[0].GetGauge().GetValue()
}

// startUp stops a replica's node and starts it again.
func startUp(c *testcluster.Cluster) float64 {
	replica := c.Replicas(healthy(c, 2*time.Minute))[0]
	replica.Terminate(30 * time.Second)
	address := fmt.Sprintf("127.0.0.1:%d", replica.RESTPort)
	begin := time.Now()
	replica.Run()
	for time.Since(begin) < 30*time.Second {
		if conn, err := net.Dial("tcp", address); err == nil {
			_, _ = io.WriteString(conn, "GET /liveness HTTP/1.0\r\n\r\n")
			_, err := http.ReadResponse(bufio.NewReader(conn), nil)
			took := time.Since(begin)
			_ = conn.Close()
			if err == nil {
				healthy(c, 2*time.Minute)
				return took.Seconds() * 1000
			}
		}
		time.Sleep(time.Millisecond) // nothing tells when somebody begins to listen
	}
	c.T.Error("the REST API does not answer within 30s")
	return 30_000
}

// big is a member of a cluster of a thousand, as its REST API sees it.
type big struct {
	api.Node
	view *cluster.View
}

// Snapshot implements api.Node.
func (b big) Snapshot() *api.Snapshot {
	return &api.Snapshot{Scope: "big", Name: "db0", Settings: cluster.DefaultSettings(), View: b.view}
}

// bigStore is its etcd.
type bigStore struct {
	api.Store
	view *cluster.View
}

// Latest implements api.Store.
func (b bigStore) Latest() (*cluster.View, dcs.Health) { return b.view, dcs.Health{} }

// bigCluster asks for /cluster: the median of 50 answers.
func bigCluster(c *testcluster.Cluster) float64 {
	view := &cluster.View{Leader: cluster.Leader{Present: true, Name: "db0"}, Status: cluster.Status{Present: true, Optime: 67393056}}
	for i := range 1000 {
		host := fmt.Sprintf("192.0.%d.%d", i/250, i%250)
		view.Members = append(view.Members, cluster.Member{
			Name: fmt.Sprintf("db%d", i), ConnURL: "postgres://" + host + ":5432/postgres", APIURL: "http://" + host + ":8008/patroni",
			State: cluster.StateRunning, ReplicationState: "streaming", Timeline: 3, Tags: cluster.Tags{"zone": "b"},
			XLogLocation: 67393056, ReceiveLSN: 67393056, ReplayLSN: 67393056,
		})
	}
	server, err := api.New(api.Options{
		Node: big{view: view}, Store: bigStore{view: view}, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Version: "bench",
	}, api.Settings{})
	if err != nil {
		c.T.Fatal(err)
	}
	l, err := api.Listen(c.T.Context(), "127.0.0.1:0", -1)
	if err != nil {
		c.T.Fatal(err)
	}
	go func() { _ = server.Serve(c.T.Context(), l) }()
	var times []float64
	for range 50 {
		begin := time.Now()
		resp, err := http.Get("http://" + l.Addr().String() + "/cluster")
		if err != nil {
			c.T.Fatal(err)
		}
		raw, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		times = append(times, time.Since(begin).Seconds()*1000)
		var got struct{ Members []json.RawMessage }
		if err != nil || json.Unmarshal(raw, &got) != nil || len(got.Members) != 1000 {
			c.T.Fatalf("%d members, %v", len(got.Members), err)
		}
	}
	slices.Sort(times)
	return times[len(times)/2]
}
