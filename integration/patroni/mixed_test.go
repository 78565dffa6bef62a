//go:build patroni

package patroni

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// TestMixed: a cluster of both in which the one that is alone leads, dies, comes back and hands over, so that the
// leadership goes from each kind to the other, by a switchover and by a death. Clients write all the time, and every
// row that was acknowledged is there at the end. Whoever takes the lock must be named by /sync at that moment.
func TestMixed(t *testing.T) {
	const two, strict = "synchronous_mode: on\nsynchronous_node_count: 2", "synchronous_mode: on\nsynchronous_mode_strict: on"
	for _, shape := range []struct {
		name, dcs string
		listed    int // members in /sync
		alone     int // the node that is of the other kind than the two others
		patroni   []int
	}{
		{"one Patroni among hathi", two, 2, 3, []int{3}},
		{"one hathi among Patroni", two, 2, 1, []int{2, 3}},
		{"one Patroni among hathi, strict", strict, 1, 3, []int{3}},
		{"one hathi among Patroni, strict", strict, 1, 1, []int{2, 3}},
		{"one Patroni among hathi, quorum", "synchronous_mode: quorum", 2, 3, []int{3}},
		{"one hathi among Patroni, quorum", "synchronous_mode: quorum", 2, 1, []int{2, 3}},
	} {
		t.Run(shape.name, func(t *testing.T) {
			m := &mixed{Cluster: found(t, shape.dcs, shape.patroni...), t: t, listed: shape.listed}
			m.alone = m.Nodes[shape.alone-1]
			m.Run()
		})
	}
}

// mixed is a cluster on its way through the changes.
type mixed struct {
	*testcluster.Cluster
	t      *testing.T
	alone  *testcluster.Node
	listed int
}

// Run goes through the changes.
func (m *mixed) Run() {
	heirs := watchHeirs(m.Cluster)
	probes := append(m.StartProbes(), m.StartWriter())
	m.handOver(m.alone, "hathi")
	m.shown()
	m.die("the other kind", func(heir *testcluster.Node) bool { return heir.Patroni != m.alone.Patroni })
	m.handOver(m.alone, theirs)
	m.handOver(m.others(), theirs)
	m.shown()
	m.handOver(m.alone, ours)
	m.handOver(m.others(), "hathi")
	m.die("any", func(*testcluster.Node) bool { return true })
	m.shown()
	lost := m.Account(true, probes...)
	m.t.Logf("%d rows acknowledged, %d lost, reigns %v", testcluster.Count(probes), len(lost), testcluster.Reigns(probes))
	heirs()
}

// others gives a node that is not of the lone kind and may lead next.
func (m *mixed) others() *testcluster.Node {
	m.t.Helper()
	m.settled()
	for _, n := range m.Replicas(m.alone) {
		if m.View().Sync.HasStandby(n.Name) {
			return n
		}
	}
	m.t.Fatalf("/sync names none of the others: %+v", m.View().Sync)
	return nil
}

// settled waits until all stream and /sync says what the primary's server does.
func (m *mixed) settled() *testcluster.Node {
	m.t.Helper()
	leader := m.WaitHealthy(enough)
	m.WaitFor(enough, fmt.Sprintf("%d in /sync and on the server", m.listed), func() bool {
		v := m.Look()
		if v == nil || !v.Sync.LedBy(leader.Name) || len(v.Sync.Standbys) != m.listed {
			return false
		}
		onServer, err := leader.SQL("SELECT string_agg(application_name, ',' ORDER BY application_name) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")
		named := slices.Sorted(slices.Values(v.Sync.Standbys))
		return err == nil && onServer == strings.Join(named, ",")
	})
	return leader
}

// list has /sync name a node: by stopping the other replica for a while, for who is named stays so.
func (m *mixed) list(n *testcluster.Node) {
	m.t.Helper()
	leader := m.settled()
	named := func() bool { v := m.Look(); return v != nil && v.Sync.HasStandby(n.Name) }
	for _, other := range m.Replicas(leader) {
		if other != n && !named() {
			other.Terminate(enough)
			m.WaitFor(enough, n.Name+" in /sync", named)
			other.Run()
		}
	}
	m.settled()
}

// handOver makes a node the leader, with a program's switchover.
func (m *mixed) handOver(to *testcluster.Node, program string) {
	m.t.Helper()
	leader := m.settled()
	if leader == to {
		return
	}
	m.list(to)
	out, wrong, code := m.Streams(program, "", nil, "switchover", "--force", "--leader", leader.Name, "--candidate", to.Name)
	if code != 0 {
		m.t.Errorf("%s switchover from %s to %s: exit code %d\n%s%s", program, leader.Name, to.Name, code, out, wrong)
	}
	m.WaitFor(enough, fmt.Sprintf("%s leading after %s (%s)", to.Name, leader.Name, out), func() bool { return m.Leader() == to })
}

// die kills the leader's whole node at once and starts it again when another leads.
func (m *mixed) die(who string, fits func(heir *testcluster.Node) bool) {
	m.t.Helper()
	leader := m.settled()
	leader.Destroy()
	died := time.Now()
	var heir *testcluster.Node
	m.WaitFor(enough, "another leader", func() bool { heir = m.Leader(); return heir != nil && heir != leader })
	m.t.Logf("%s (Patroni: %t) died, %s (Patroni: %t) led %.1f s later", leader.Name, leader.Patroni, heir.Name, heir.Patroni, time.Since(died).Seconds())
	if !fits(heir) {
		m.t.Errorf("%s leads after %s, which is not of %s", heir.Name, leader.Name, who)
	}
	leader.Run()
	m.settled()
}

// shown holds that both programs show the same.
func (m *mixed) shown() {
	m.t.Helper()
	m.settled()
	both(m.t, m.Cluster, []step{{args: "list -f json"}, {args: "topology"}, {args: "history"}})
}
