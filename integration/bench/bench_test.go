//go:build bench

package bench

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// row is one line of the table.
type row struct {
	Event   string    `json:"event"`
	Must    string    `json:"must"`
	Patroni string    `json:"patroni"`
	Runs    []float64 `json:"runs"`
	Median  float64   `json:"median"`
	Unit    string    `json:"unit"`
	Note    string    `json:"note,omitempty"`
}

// TestBench starts one cluster with the default timing (ttl 30, loop_wait 10) and lets every event happen
// to it five times. BENCH_RUNS changes that; BENCH_ONLY chooses events, with commas; BENCH_DCS is further YAML under
// bootstrap.dcs, such as "synchronous_mode: true".
func TestBench(t *testing.T) {
	runs := repetitions()
	c := testcluster.Start(t, testcluster.Options{DCS: os.Getenv("BENCH_DCS")})
	t.Cleanup(testcluster.Cleanup)
	var rows []row
	for _, e := range slices.Concat(events, restEvents) {
		if only := os.Getenv("BENCH_ONLY"); only != "" && !slices.Contains(strings.Split(only, ","), e.id) {
			continue
		}
		r := row{Event: e.name, Must: e.must, Patroni: e.patroni, Unit: e.unit, Note: e.note}
		for range runs {
			r.Runs = append(r.Runs, e.run(c))
		}
		r.Median = median(r.Runs)
		rows = append(rows, r)
		fmt.Printf("%-58s %8.2f %-4s must %-28s Patroni %s   %v\n", r.Event, r.Median, r.Unit, r.Must, r.Patroni, rounded(r.Runs))
	}
	report(t, rows)
}

// repetitions is how often each event happens.
func repetitions() int {
	if n, err := strconv.Atoi(os.Getenv("BENCH_RUNS")); err == nil && n > 0 {
		return n
	}
	return 5
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func rounded(values []float64) []string {
	var out []string
	for _, v := range values {
		out = append(out, fmt.Sprintf("%.2f", v))
	}
	return out
}

func report(t *testing.T, rows []row) {
	fmt.Printf("\n| event | median of %d | must | Patroni 4.1.4 |\n|---|---|---|---|\n", len(rows[0].Runs))
	for _, r := range rows {
		fmt.Printf("| %s | %.2f %s | %s | %s |\n", r.Event, r.Median, r.Unit, r.Must, r.Patroni)
	}
	fmt.Println("\nNot measured: what a network between machines adds; disks other than this machine's; Patroni itself (its figures are from an earlier run on the same kind of machine).")
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("\n%s\n", text)
	if path := os.Getenv("BENCH_OUT"); path != "" {
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Errorf("write %s: %v", path, err)
		}
	}
}

type event struct {
	id, name, must, patroni, unit, note string
	run                                 func(*testcluster.Cluster) float64
}

var events = []event{
	{"switchover", "switchover by the CLI", "≤ 0.30 s", "2.4 s", "s", "", gap(func(c *testcluster.Cluster, l *testcluster.Node) {
		c.Hathi("switchover", "--force")
	})},
	{"sigterm", "SIGTERM to the leader's agent", "≤ 0.30 s", "2.5 s", "s", "", gap(func(c *testcluster.Cluster, l *testcluster.Node) {
		l.Terminate(30 * time.Second)
		c.WaitFor(30*time.Second, "new leader", func() bool { n := c.Leader(); return n != nil && n != l })
		l.Run()
	})},
	{"postmaster", "postmaster killed, agent alive", "≤ 0.60 s", "4.5 s", "s", "", gap(func(c *testcluster.Cluster, l *testcluster.Node) {
		testcluster.Kill(l.Postmaster())
	})},
	{"agent+postmaster", "agent and postmaster killed, guard alive", "≤ 0.60 s", "21 s", "s", "", gap(func(c *testcluster.Cluster, l *testcluster.Node) {
		testcluster.Kill(l.Agent(), l.Postmaster())
	})},
	{"agent", "agent killed and restarted", "≤ 0.10 s", "0.02 s", "s", "the guard restarts it at once", gap(func(c *testcluster.Cluster, l *testcluster.Node) {
		testcluster.Kill(l.Agent())
		time.Sleep(2 * time.Second) // what happens in this time is what is measured
	})},
	{"node", "everything of the node killed, guard included (beyond the lease)", "what is left of the lease + 0.5 s", "21 s", "s", "", nodeLoss},
	{"frozen", "agent frozen and left so: rows acknowledged by two primaries", "0", "2,600", "rows", "", frozenAgent},
	{"rss", "agent at rest, resident memory", "≤ 30 MiB", "62 MiB", "MiB", "", func(c *testcluster.Cluster) float64 {
		time.Sleep(11 * time.Second) // a loop_wait of rest
		kib, _ := testcluster.ResidentKiB(c.Primary().Agent())
		return float64(kib) / 1024
	}},
	{"guard", "guard at rest, private memory", "≤ 10 MiB", "-", "MiB", "", func(c *testcluster.Cluster) float64 {
		_, kib := testcluster.ResidentKiB(c.Primary().Guard())
		return float64(kib) / 1024
	}},
	{"etcd", "etcd calls a minute of three nodes at rest", "≤ 36", "36", "/min", "", func(c *testcluster.Cluster) float64 {
		before := c.EtcdCalls()
		time.Sleep(time.Minute) // the minute that is counted
		return c.EtcdCalls() - before
	}},
	{"list", "hathi list", "≤ 20 ms", "900 ms", "ms", "", func(c *testcluster.Cluster) float64 {
		begin := time.Now()
		c.Hathi("list")
		return float64(time.Since(begin).Microseconds()) / 1000
	}},
	{"tab", "what completion offers of the running cluster", "≤ 100 ms", "-", "ms", "", completion(true)},
	{"tab-mute", "the end of a completion whose etcd says nothing", "≤ 100 ms", "-", "ms", "", completion(false)},
}

// completion measures what a person waits for after a TAB, besides the shell itself.
func completion(answered bool) func(*testcluster.Cluster) float64 {
	return func(c *testcluster.Cluster) float64 {
		healthy(c, 2*time.Minute)
		mute, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.T.Fatal(err)
		}
		defer mute.Close()
		args := []string{"__complete", "reload", "demo", ""}
		if !answered {
			args = append([]string{"-d", mute.Addr().String()}, args...)
		}
		begin := time.Now()
		out, _ := c.RunAs("hathi", "", nil, args...)
		took := float64(time.Since(begin).Microseconds()) / 1000
		if strings.Contains(out, "node1") != answered {
			c.T.Errorf("completion says\n%s", out)
		}
		return took
	}
}

// gap measures the longest time between two acknowledged commits around an event.
func gap(happen func(*testcluster.Cluster, *testcluster.Node)) func(*testcluster.Cluster) float64 {
	return func(c *testcluster.Cluster) float64 {
		leader := healthy(c, 2*time.Minute)
		w := c.StartWriter()
		defer w.Stop()
		begin := time.Now()
		happen(c, leader)
		healthy(c, 2*time.Minute)
		settle(c, w)
		return w.LongestGap(begin).Seconds()
	}
}

// settle waits until rows are acknowledged again.
func settle(c *testcluster.Cluster, w *testcluster.Writer) {
	count := w.Count()
	c.WaitFor(time.Minute, "further acknowledged rows", func() bool { return w.Count() > count+50 })
}

// nodeLoss kills everything of the leader's node and takes what was left of its lease off the gap.
func nodeLoss(c *testcluster.Cluster) float64 {
	leader := healthy(c, 2*time.Minute)
	w := c.StartWriter()
	defer w.Stop()
	left := c.LeaseLeft()
	begin := time.Now()
	leader.Destroy()
	c.WaitFor(2*time.Minute, "new leader", func() bool { n := c.Leader(); return n != nil && n != leader })
	settle(c, w)
	result := w.LongestGap(begin) - left
	leader.Run()
	healthy(c, 2*time.Minute)
	return result.Seconds()
}

// frozenAgent stops the leader's agent with a signal and counts what a node acknowledged after another
// had begun to.
func frozenAgent(c *testcluster.Cluster) float64 {
	leader := healthy(c, 2*time.Minute)
	probes := c.StartProbes()
	agent := leader.Agent()
	if err := syscall.Kill(agent, syscall.SIGSTOP); err != nil {
		c.T.Fatal(err)
	}
	c.WaitFor(2*time.Minute, "new leader", func() bool { n := c.Leader(); return n != nil && n != leader })
	healthy(c, 2*time.Minute)
	for _, p := range probes {
		p.Stop()
	}
	if lost := c.Lost(probes...); len(lost) > 0 {
		c.T.Errorf("%d acknowledged rows lost after the guard fenced", len(lost))
	}
	return float64(testcluster.Overlap(probes))
}

// healthy waits until all members stream, and in synchronous mode until one of them may take over.
func healthy(c *testcluster.Cluster, limit time.Duration) *testcluster.Node {
	leader := c.WaitHealthy(limit)
	if strings.Contains(os.Getenv("BENCH_DCS"), "synchronous_mode") {
		c.WaitFor(limit, "a synchronous standby", func() bool { v := c.Look(); return v != nil && len(v.Sync.Standbys) > 0 })
	}
	return leader
}
