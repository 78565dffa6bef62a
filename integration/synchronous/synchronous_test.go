// Package synchronous runs clusters that replicate synchronously, as real processes, and accounts for every
// acknowledged row.
package synchronous

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

const enough = time.Minute

// run is one cluster on its way through the modes.
type run struct {
	*testcluster.Cluster
	t *testing.T
}

// TestSynchronous takes one cluster through the modes while it runs. In each, clients write, servers die, and
// at the end every row that was acknowledged is there.
func TestSynchronous(t *testing.T) {
	r := &run{Cluster: testcluster.Start(t, testcluster.Options{
		TTL: 6, LoopWait: 2, Retry: 2, DCS: "synchronous_mode: on",
	})}
	for _, step := range []struct {
		name string
		run  func(*run)
	}{
		{"one standby", (*run).oneStandby},
		{"a restart of the standby", (*run).restart},
		{"deaths with one standby", (*run).deaths},
		{"two standbys", (*run).twoStandbys},
		{"quorum", (*run).quorum},
		{"deaths with a quorum", (*run).deaths},
		{"a crash of the primary", (*run).crash},
		{"strict, quorum", func(r *run) { r.strict(`"quorum"`, 2, 1) }},
		{"strict", func(r *run) { r.strict("true", 1, 0) }},
		{"off", (*run).off},
	} {
		if !t.Run(step.name, func(t *testing.T) {
			r.t, r.T = t, t
			step.run(r)
		}) {
			return
		}
	}
}

// oneStandby: the one that is listed takes over, and has everything.
func (r *run) oneStandby() {
	leader := r.listed(1, 0)
	standby := r.Node(r.View().Sync.Standbys[0])
	if out := r.Hathi("list"); strings.Count(out, "Sync Standby") != 1 {
		r.t.Errorf("hathi list shows not one Sync Standby:\n%s", out)
	}
	for _, n := range r.Replicas(leader) {
		want := map[string]int{"/sync": 503, "/async": 200}
		if n == standby {
			want = map[string]int{"/sync": 200, "/async": 503}
		}
		for path, code := range want {
			r.WaitFor(10*time.Second, fmt.Sprintf("%d from %s%s", code, n.Name, path), func() bool { return r.get(n, path) == code })
		}
	}
	r.accounted(func() {
		leader.Destroy()
		r.WaitFor(enough, "the standby leading", func() bool { return r.Leader() == standby })
		leader.Run()
	})
}

// restart: the standby asks to be let go first, so that no commit waits for it.
func (r *run) restart() {
	leader := r.listed(1, 0)
	standby := r.Node(r.View().Sync.Standbys[0])
	r.accounted(func() {
		r.Hathi("restart", r.Scope, standby.Name, "--force")
		if !strings.Contains(standby.Log(), "Waiting for primary to release us from synchronous standby") {
			r.t.Errorf("%s did not ask to be let go", standby.Name)
		}
		r.WaitFor(enough, "the other as standby", func() bool { v := r.Look(); return v != nil && !v.Sync.HasStandby(standby.Name) })
	})
	if now := r.listed(1, 0); now != leader {
		r.t.Errorf("%s leads, not %s", now.Name, leader.Name)
	}
}

// deaths: whatever of the leader's node dies or freezes, nothing that was acknowledged is lost.
func (r *run) deaths() {
	for _, d := range []struct {
		what   string
		pids   func(n *testcluster.Node) []int
		strike func(...int)
	}{
		{"agent", func(n *testcluster.Node) []int { return []int{n.Agent()} }, testcluster.Kill},
		{"agent and postmaster", func(n *testcluster.Node) []int { return []int{n.Agent(), n.Postmaster()} }, testcluster.Kill},
		{"agent", func(n *testcluster.Node) []int { return []int{n.Agent()} }, testcluster.Freeze},
		{"postmaster", func(n *testcluster.Node) []int { return []int{n.Postmaster()} }, testcluster.Freeze},
	} {
		leader := r.WaitHealthy(enough)
		r.WaitFor(enough, "a synchronous standby", func() bool { return len(r.View().Sync.Standbys) > 0 })
		r.accounted(func() {
			postmaster, agent := leader.Postmaster(), leader.Agent()
			d.strike(d.pids(leader)...)
			r.WaitFor(enough, "a change after the "+d.what+" was struck", func() bool {
				l := r.Leader()
				return l != nil && (l.Postmaster() != postmaster || l.Agent() != agent && l.Agent() != 0)
			})
		})
	}
}

// twoStandbys: both have everything, so each can take over when the other dies with the leader.
func (r *run) twoStandbys() {
	r.Primary().Configure(`{"synchronous_node_count": 2}`)
	leader := r.listed(2, 0)
	others := r.Replicas(leader)
	r.accounted(func() {
		leader.Destroy()
		others[0].Destroy()
		r.WaitFor(enough, "the last one leading", func() bool { return r.Leader() == others[1] })
		leader.Run()
		others[0].Run()
	})
}

// quorum: any of the two acknowledges. One that is left alone can't know whether it was the one, and waits
// for another.
func (r *run) quorum() {
	r.Primary().Configure(`{"synchronous_mode": "quorum", "synchronous_node_count": 1}`)
	leader := r.listed(2, 1)
	if out := r.Hathi("list"); strings.Count(out, "Quorum Standby") != 2 {
		r.t.Errorf("hathi list shows not two Quorum Standbys:\n%s", out)
	}
	others := r.Replicas(leader)
	r.accounted(func() {
		leader.Destroy()
		others[0].Destroy()
		r.WaitFor(enough, "a leader key that is gone", func() bool { v := r.Look(); return v != nil && !v.Locked() })
		time.Sleep(5 * time.Second) // longer than any rule waits before it acts
		if l := r.Leader(); l != nil {
			r.t.Errorf("%s leads although it may lack acknowledged rows", l.Name)
		}
		others[0].Run()
		r.WaitFor(enough, "one of the two leading", func() bool { return r.Leader() != nil })
		leader.Run()
	})
}

// crash: a primary that is started again waits for its standbys from the first commit on.
func (r *run) crash() {
	leader := r.listed(2, 1)
	names := r.names(leader)
	r.accounted(func() {
		old := leader.Postmaster()
		testcluster.Kill(old)
		r.WaitFor(enough, "new postmaster", func() bool { p := leader.Postmaster(); return p != 0 && p != old })
		var first string
		r.WaitFor(enough, "answer of the new one", func() bool {
			v, err := leader.SQL("SHOW synchronous_standby_names")
			first = v
			return err == nil
		})
		if first != names {
			r.t.Errorf("after the crash the names are %q, before it they were %q", first, names)
		}
	})
}

// strict: without a standby nothing is acknowledged, and without strictness it is at once.
func (r *run) strict(mode string, standbys, q int) {
	r.Primary().Configure(fmt.Sprintf(`{"synchronous_mode": %s, "synchronous_mode_strict": true}`, mode))
	leader := r.listed(standbys, q)
	r.accounted(func() {
		others := r.Replicas(leader)
		for _, n := range others {
			n.Destroy()
		}
		w := r.StartProbes()
		r.WaitFor(enough, "names that block", func() bool { return r.names(leader) == quorum.Blocked().Text() })
		acknowledged := testcluster.Count(w)
		time.Sleep(2 * time.Second) // nothing is expected to happen
		if n := testcluster.Count(w); n != acknowledged {
			r.t.Errorf("%d rows were acknowledged without a standby", n-acknowledged)
		}
		r.Primary().Configure(`{"synchronous_mode_strict": false}`)
		r.WaitFor(10*time.Second, "writes that go on", func() bool { return testcluster.Count(w) > acknowledged })
		for _, n := range others {
			n.Run()
		}
	})
	r.listed(standbys, q)
}

// off: nothing of it remains.
func (r *run) off() {
	r.Primary().Configure(`{"synchronous_mode": false}`)
	r.WaitFor(enough, "end of synchronous replication", func() bool {
		v, l := r.View(), r.Leader()
		return v != nil && v.Sync.Revision == 0 && l != nil && r.names(l) == ""
	})
	if out := r.Hathi("list"); strings.Contains(out, "Standby") {
		r.t.Errorf("hathi list still shows standbys:\n%s", out)
	}
}

// listed waits for so many standbys in /sync, with that quorum, that the leader's server waits for.
func (r *run) listed(standbys, q int) *testcluster.Node {
	r.t.Helper()
	r.WaitHealthy(enough)
	var leader *testcluster.Node
	r.WaitFor(enough, fmt.Sprintf("%d synchronous standbys, quorum %d", standbys, q), func() bool {
		v := r.Look()
		if leader = r.Leader(); v == nil || leader == nil {
			return false
		}
		names, ok := quorum.Parse(r.names(leader))
		return ok && v.Sync.Leader == leader.Name && len(v.Sync.Standbys) == standbys && v.Sync.Quorum == q &&
			slices.Equal(names.Standbys, v.Sync.Standbys) && names.Required == standbys-q
	})
	return leader
}

func (r *run) names(n *testcluster.Node) string {
	names, err := n.SQL("SHOW synchronous_standby_names")
	if err != nil {
		return "unknown: " + err.Error()
	}
	return names
}

// accounted lets something happen under a client, and looks for every row that the client was told of.
func (r *run) accounted(happen func()) {
	r.t.Helper()
	w := r.StartWriter()
	time.Sleep(500 * time.Millisecond) // some hundred rows
	happen()
	r.WaitHealthy(2 * enough)
	r.WaitWrites(w, enough)
	r.Account(true, w)
	r.t.Logf("%d acknowledged rows", w.Count())
}

// get gives the status of a health check, zero without an answer.
func (r *run) get(n *testcluster.Node, path string) int {
	status, _, _ := n.REST(http.MethodGet, path, "")
	return status
}
