package ha

import (
	"fmt"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// crowd is a cluster of 50 members with synchronous replication, as its leader sees it.
func crowd(o *Observation) {
	o.Settings.SynchronousMode, o.Settings.SynchronousNodeCount = cluster.SyncQuorum, 3
	v := o.Store.View
	v.Members, v.Sync = v.Members[:1], cluster.SyncState{Leader: "a", Quorum: 46, Revision: 30}
	o.Memory.Sync = SyncMemory{Written: 30, Settled: true, Mark: 500}
	o.Server.CheckpointerIdle, o.Server.Senders, o.Peers = true, nil, map[string]Peer{}
	for i := range 49 {
		name := fmt.Sprintf("m%02d", i)
		m := v.Members[0]
		m.Name, m.Role, m.Tags = name, cluster.RoleReplica, cluster.Tags{"failover_priority": i%5 + 1}
		v.Members = append(v.Members, m)
		v.Sync.Standbys = append(v.Sync.Standbys, name)
		o.Server.Senders = append(o.Server.Senders, cluster.Sender{ApplicationName: name, State: "streaming", FlushLSN: 1000, SyncPriority: 1})
		o.Server.SynchronousNames = quorum.Names{Required: 3, Standbys: v.Sync.Standbys, Any: true}.Text()
		o.Peers[name] = Peer{PeerStatus: cluster.PeerStatus{Name: name, Reachable: true, InRecovery: true, Position: 1000, Timeline: 2}, Asked: o.Now, SyncRevision: 30}
	}
}

// BenchmarkDecide: one decision in a cluster of 50 members in quorum mode, of the leader and of a member that
// races for the lock.
func BenchmarkDecide(b *testing.B) {
	race := func(o *Observation) {
		o.Store.View.Leader = cluster.Leader{}
		o.Store.View.Members = o.Store.View.Members[1:]
		o.Self.Name, o.Server.InRecovery, o.Server.StandbySignal = "m00", true, true
		o.Server.FlushLSN, o.Server.ReceiveLSN, o.Server.ReplayLSN = 0, 1000, 1000
		delete(o.Peers, "m00")
		o.Memory.UnlockedSince = o.Now.Add(-time.Second)
	}
	for _, c := range []struct {
		rule string
		o    Observation
	}{
		{"leader", see(crowd)},
		{"race-won", see(crowd, race)},
	} {
		b.Run(c.rule, func(b *testing.B) {
			if got := Decide(c.o).Reasons[0]; got.Rule != c.rule {
				b.Fatalf("decided by %s: %s", got.Rule, got.Text)
			}
			b.ReportAllocs()
			for b.Loop() {
				Decide(c.o)
			}
		})
	}
}
