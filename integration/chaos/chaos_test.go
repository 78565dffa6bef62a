// Package chaos lets faults happen to a cluster of real processes, one after the other by chance, while clients
// write unique rows through all of it, and accounts for every acknowledged row at the end. Three members of
// etcd and three nodes each have a host of their own. It needs root and iproute2.
//
// make test runs a short form; make chaos runs CHAOS_TIME (default ten minutes) in each mode. CHAOS_SEED repeats
// the choice of faults; what comes of them still depends on the machine.
package chaos

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/integration/testnet"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const (
	enough = 2 * time.Minute
	// short is how long faults happen in each mode in make test.
	short = 15 * time.Second
)

// TestChaos: at no moment two primaries, in any mode; and in the modes that promise it no acknowledged row lost.
func TestChaos(t *testing.T) {
	length, seed := short, rand.Uint64()
	if d, err := time.ParseDuration(os.Getenv("CHAOS_TIME")); err == nil {
		length = max(d, short+time.Second) // asked for, so it is the long form
	}
	if s, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64); err == nil {
		seed = s
	}
	for _, mode := range []struct {
		name, dcs string
		lossless  bool
	}{
		{"async", "", false},
		{"sync", "synchronous_mode: true", true},
		{"strict", "synchronous_mode: true\nsynchronous_mode_strict: true", true},
		{"quorum", "synchronous_mode: quorum", true},
	} {
		if only := os.Getenv("CHAOS_MODE"); only != "" && only != mode.name {
			continue
		}
		t.Run(mode.name, func(t *testing.T) {
			t.Logf("CHAOS_SEED=%d", seed)
			w := newWorld(t, mode.dcs, seed)
			w.c.WaitHealthy(enough)
			probes := w.c.StartProbes()
			client := w.c.StartWriter()
			judge := func(*testing.T) {}
			if mode.lossless && length > short {
				// Not in the short form: a server that was killed shows, when it is back, what no standby has yet
				// acknowledged, and if it then dies again before one has, PostgreSQL itself is not linearizable.
				h, stop := record(t, w.c)
				judge = func(t *testing.T) { stop(); h.judge(t) }
			}
			w.disturb(time.Now().Add(length))
			w.net.MendAll()
			w.c.WaitHealthy(enough)
			w.c.WaitWrites(client, enough)
			judge(t)
			all := append(probes, client)
			lost := w.c.Account(mode.lossless, all...)
			t.Logf("%d rows acknowledged, %d lost, reigns %v", testcluster.Count(all), len(lost), testcluster.Reigns(probes))
		})
	}
}

func newWorld(t *testing.T, dcs string, seed uint64) *world {
	t.Helper()
	w := &world{net: testnet.New(t), rand: rand.New(rand.NewPCG(seed, 0)), log: t.Logf}
	var hosts []testetcd.Host
	for i := range etcdMembers {
		address, wrap := w.net.Host(etcdHost(i))
		hosts = append(hosts, testetcd.Host{Address: address, Wrap: wrap})
	}
	w.etcd = testetcd.StartOn(t, hosts...)
	w.c = testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, EtcdAt: w.etcd.Addresses(), DCS: dcs,
		Place: func(i int, node *testcluster.Node) { node.Listen, node.Wrap = w.net.Host(node.Name) },
	})
	return w
}
