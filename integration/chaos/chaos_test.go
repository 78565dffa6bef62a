// Package chaos lets faults happen to a cluster of real processes, one after the other by chance, while clients
// write unique rows through all of it, and accounts for every acknowledged row at the end. Three members of
// etcd and three nodes each have a host of their own, and each node a disk and clocks, too. It needs root, iproute2,
// iptables, util-linux and e2fsprogs.
//
// make test runs a short form; make chaos runs CHAOS_TIME (default ten minutes) in each mode. CHAOS_SEED repeats
// the choice of faults; what comes of them still depends on the machine. CHAOS_STEP begins in the middle of them,
// CHAOS_MODE chooses one mode, CHAOS_FAULT the faults whose name this regular expression matches. CHAOS_DRIFT is by how many
// millionths the clocks of nodes run too fast or too slow: 1000, the most that is assumed, unless it is set.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testdisk"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testnet"
)

// The nodes run a hathi whose clock can run at a wrong rate; see package clock, drift.go.
func TestMain(m *testing.M) { testcluster.Main(m, "drift") }

const (
	enough = 2 * time.Minute
	// short is how long faults happen in each mode in make test.
	short = 15 * time.Second
	// diskSize is what a node has: the first max_wal_size of WAL, two copies of the data, and some air.
	diskSize = 3 << 30
	// assumedDrift is what docs/safety.md assumes of clocks at most, in millionths.
	assumedDrift = 1000
)

// options are what the environment says.
type options struct {
	length      time.Duration
	drift       int // in millionths
	seed, first uint64
	faults      []fault
}

func read(t *testing.T) options {
	t.Helper()
	o := options{length: short, seed: rand.Uint64(), drift: assumedDrift}
	if d, err := strconv.Atoi(os.Getenv("CHAOS_DRIFT")); err == nil {
		o.drift = d
	}
	if d, err := time.ParseDuration(os.Getenv("CHAOS_TIME")); err == nil {
		o.length = max(d, short+time.Second) // asked for, so it is the long form
	}
	if s, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64); err == nil {
		o.seed = s
	}
	if s, err := strconv.ParseUint(os.Getenv("CHAOS_STEP"), 10, 64); err == nil {
		o.first = s
	}
	like, err := regexp.Compile(os.Getenv("CHAOS_FAULT"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		if like.MatchString(f.name) {
			o.faults = append(o.faults, f)
		}
	}
	if len(o.faults) == 0 {
		t.Fatalf("no fault is called like CHAOS_FAULT=%q", os.Getenv("CHAOS_FAULT"))
	}
	return o
}

// TestChaos: at no moment two primaries, in any mode; and in the modes that promise it no acknowledged row lost.
func TestChaos(t *testing.T) {
	o := read(t)
	for i, mode := range []struct {
		name, dcs string
		lossless  bool
		long      bool // not in the short form, where the others have to do for it
	}{
		{"async", "", false, false},
		{"sync", "synchronous_mode: true", true, false},
		{"strict", "synchronous_mode: true\nsynchronous_mode_strict: true", true, false},
		{"quorum", "synchronous_mode: quorum", true, true},
		{"failsafe", "failsafe_mode: true", false, true},
		{"failsafe and sync", "failsafe_mode: true\nsynchronous_mode: true", true, true},
		{"failsafe and quorum", "failsafe_mode: true\nsynchronous_mode: quorum", true, false},
	} {
		if only := os.Getenv("CHAOS_MODE"); only != "" && only != mode.name || only == "" && mode.long && o.length <= short {
			continue
		}
		o := o
		if os.Getenv("CHAOS_STEP") == "" {
			o.first = uint64(i) * 1000 // other faults in each mode: in the short form there are few
		}
		t.Run(mode.name, func(t *testing.T) {
			again := fmt.Sprintf("CHAOS_MODE='%s' CHAOS_SEED=%d CHAOS_STEP=%d CHAOS_FAULT='%s' CHAOS_DRIFT=%d CHAOS_TIME=%s make chaos",
				mode.name, o.seed, o.first, os.Getenv("CHAOS_FAULT"), o.drift, o.length)
			t.Log("the same faults again: " + again)
			t.Cleanup(func() {
				if t.Failed() {
					t.Log("FAILED; the same faults again: " + again)
				}
			})
			w := newWorld(t, mode.dcs, o)
			w.c.WaitHealthy(enough)
			probes := w.c.StartProbes()
			client := w.c.StartWriter()
			judge := func(*testing.T) {}
			if mode.lossless && o.length > short {
				// Not in the short form: a server that was killed shows, when it is back, what no standby has yet
				// acknowledged, and if it then dies again before one has, PostgreSQL itself is not linearizable.
				h, stop := record(t, w.c)
				judge = func(t *testing.T) { stop(); h.judge(t) }
			}
			w.disturb(o, time.Now().Add(o.length))
			w.net.MendAll()
			w.c.WaitHealthy(enough)
			w.c.WaitWrites(client, enough)
			judge(t)
			all := append(probes, client)
			lost := w.c.Account(mode.lossless, all...)
			w.holdToBound(t, all, lost)
			t.Logf("%d rows acknowledged, %d lost, reigns %v", testcluster.Count(all), len(lost), testcluster.Reigns(probes))
			t.Logf("marks in the logs: %v", w.marks())
			t.Logf("children and programs struck: %v", w.struck)
		})
	}
}

func newWorld(t *testing.T, dcs string, o options) *world {
	t.Helper()
	w := &world{
		net: testnet.New(t), rand: rand.New(rand.NewPCG(o.seed, 1<<63)), log: t.Logf,
		disks: map[string]*testdisk.Disk{}, hosts: map[string][]string{}, drifts: map[string]int{}, struck: map[string]int{},
	}
	drift := o.drift * (1 - 2*w.rand.IntN(2))
	var hosts []testetcd.Host
	for i := range etcdMembers {
		address, wrap := w.net.Host(etcdHost(i))
		hosts = append(hosts, testetcd.Host{Address: address, Wrap: wrap})
	}
	// Disks before what runs on them, so that they end after it.
	disks := []*testdisk.Disk{testdisk.New(t, diskSize), testdisk.New(t, diskSize), testdisk.New(t, diskSize)}
	w.etcd = testetcd.StartOn(t, hosts...)
	w.c = testcluster.Start(t, testcluster.Options{
		Nodes: len(disks), TTL: 6, LoopWait: 2, Retry: 2, MaximumLag: maximumLag, EtcdAt: w.etcd.Addresses(),
		DCS:      "    archive_mode: 'on'\n    archive_command: 'true'\n" + dcs, // the first two under postgresql.parameters
		Postgres: "remove_data_directory_on_rewind_failure: true",               // or a rewind that a fault cuts off waits for a person
		Place: func(i int, n *testcluster.Node) {
			n.Listen, w.hosts[n.Name] = w.net.Host(n.Name)
			w.drifts[n.Name], drift = drift, -drift // a fast one and a slow one in each run
			n.Wrap = w.clock(n)
			w.disks[n.Name] = disks[i]
			n.Dir, n.Data = disks[i].Path, filepath.Join(disks[i].Path, "data")
		},
	})
	t.Cleanup(func() { // nothing that writes to a disk that hangs can end
		for _, d := range disks {
			d.Thaw()
		}
	})
	for _, n := range w.c.Nodes {
		w.checkClock(t, n)
	}
	return w
}

// marks counts lines of the nodes' logs that show that a fault has reached something.
func (w *world) marks() map[string]int {
	marks := map[string]int{}
	for _, n := range w.c.Nodes {
		for line := range strings.Lines(n.Log()) {
			for _, mark := range []string{
				"PANIC", "No space left on device", "demoting self", "Demoting self", "promoted self", "running pg_rewind",
				"connecting to ", "starting primary after failure", "DCS is not accessible", "failsafe mode is enabled",
			} {
				if strings.Contains(line, mark) {
					marks[mark]++
				}
			}
		}
	}
	return marks
}

// checkClock: a node that shared this machine's clocks would prove nothing.
func (w *world) checkClock(t *testing.T, n *testcluster.Node) {
	t.Helper()
	here, err := os.Readlink("/proc/self/ns/time")
	if err != nil {
		t.Fatal(err)
	}
	for what, pid := range map[string]int{"guard": n.Guard(), "agent": n.Agent(), "postmaster": n.Postmaster()} {
		if there, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/time", pid)); err != nil || there == here {
			t.Fatalf("the %s of %s (pid %d) has no clocks of its own: %q, %v", what, n.Name, pid, there, err)
		}
	}
	rate := fmt.Sprintf("this clock drifts by %d millionths", w.drifts[n.Name])
	if count := strings.Count(n.Log(), rate); count < 2 {
		t.Fatalf("guard and agent of %s don't both say %q:\n%s", n.Name, rate, n.Log())
	}
	t.Logf("%s: %s", n.Name, rate)
}
