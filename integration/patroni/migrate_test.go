//go:build patroni

package patroni

import (
	"fmt"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestMigrate takes a cluster of three nodes from Patroni to hathi and back, node by node, in the two ways of
// docs/migrate-from-patroni.md, while clients write.
func TestMigrate(t *testing.T) {
	for _, way := range []struct {
		name string
		to   func(*migration, bool)
		// changes of the leader for each direction, and the longest that clients may wait in it.
		changes int
		gap     time.Duration
	}{
		{"switchover", (*migration).bySwitchover, 1, 10 * time.Second},
		{"pause", (*migration).inPause, 0, 2 * time.Second},
	} {
		t.Run(way.name, func(t *testing.T) {
			m := &migration{Cluster: found(t, "", 1, 2, 3), t: t}
			probes := append(m.StartProbes(), m.StartWriter())
			writer := probes[len(probes)-1]
			for _, patroni := range []bool{false, true} {
				before := len(m.View().History.Entries)
				began := time.Now()
				way.to(m, patroni)
				m.WaitWrites(writer, enough)
				gap := writer.LongestGap(began)
				changes := len(m.View().History.Entries) - before
				t.Logf("to %s: longest gap %.3f s, %d changes of the leader, %.0f s in all", kind(patroni), gap.Seconds(), changes, time.Since(began).Seconds())
				if changes != way.changes {
					t.Errorf("%d changes of the leader on the way to %s, not %d", changes, kind(patroni), way.changes)
				}
				if gap > way.gap {
					t.Errorf("clients waited %s on the way to %s", gap, kind(patroni))
				}
				both(t, m.Cluster, []step{{args: "list -f json", before: settled}})
			}
			lost := m.Account(true, probes...)
			t.Logf("%d rows acknowledged, %d lost, reigns %v", testcluster.Count(probes), len(lost), testcluster.Reigns(probes))
		})
	}
}

type migration struct {
	*testcluster.Cluster
	t *testing.T
}

func kind(patroni bool) string {
	if patroni {
		return "Patroni"
	}
	return "hathi"
}

// change stops what runs a node and starts the other.
func (m *migration) change(n *testcluster.Node, patroni bool) {
	m.t.Helper()
	n.Terminate(enough)
	n.Patroni = patroni
	n.Run()
	m.WaitFor(enough, fmt.Sprintf("%s under %s", n.Name, kind(patroni)), func() bool {
		v := m.View()
		member, ok := v.Member(n.Name)
		return ok && (member.HathiVersion == "") == patroni
	})
	m.WaitHealthy(enough)
}

// bySwitchover: the replicas first, then a switchover to one of them, then the last.
func (m *migration) bySwitchover(patroni bool) {
	m.t.Helper()
	leader := m.WaitSettled(enough)
	others := m.Replicas(leader)
	for _, n := range others {
		m.change(n, patroni)
	}
	m.Hathi("switchover", "--force", "--leader", leader.Name, "--candidate", others[0].Name)
	m.WaitFor(enough, others[0].Name+" leading", func() bool { return m.Leader() == others[0] })
	m.WaitHealthy(enough)
	m.change(leader, patroni)
}

// inPause: no server is stopped, the leader's neither.
func (m *migration) inPause(patroni bool) {
	m.t.Helper()
	leader := m.WaitSettled(enough)
	servers := map[*testcluster.Node]int{}
	for _, n := range m.Nodes {
		servers[n] = n.Postmaster()
	}
	m.Hathi("pause", "--wait")
	for _, n := range append(m.Replicas(leader), leader) {
		m.change(n, patroni)
	}
	m.Hathi("resume", "--wait")
	for _, n := range m.Nodes {
		if now := n.Postmaster(); now != servers[n] {
			m.t.Errorf("%s has another server: %d, not %d", n.Name, now, servers[n])
		}
	}
}
