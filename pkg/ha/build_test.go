package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// A healthy cluster of three, seen by one of its members; each case says only what differs.

const (
	systemID = "7000000000000000001"
	start    = clock.Instant(1000 * time.Second)
)

func noWatchdog(o *Observation) { o.Self.WatchdogFailed = true }

// change makes an observation differ from the healthy one.
type change func(*Observation)

func see(changes ...change) Observation {
	o := Observation{
		Now: start, Wall: time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC),
		Self:     Self{Name: "a", CanBootstrap: true},
		Settings: cluster.DefaultSettings(),
		Server: cluster.Server{
			Data: cluster.DataPresent, SystemID: systemID, Version: 150004, State: cluster.StateRunning,
			Process: cluster.ProcessRunning, PostmasterPID: 100, Answered: true, Timeline: 2, FlushLSN: 1000,
			RewindPossible: true,
			Senders:        []cluster.Sender{{ApplicationName: "b", State: "streaming"}, {ApplicationName: "c", State: "streaming"}},
		},
		Peers: map[string]Peer{},
	}
	o.Settings.UsePgRewind = true
	o.Settings.UseSlots = false // cases about slots turn them on
	view := &cluster.View{
		Revision:   10,
		Initialize: cluster.Initialize{Present: true, Value: systemID, Revision: 2},
		Config:     cluster.Document{Present: true, Raw: []byte("{}"), Revision: 3},
		Leader:     cluster.Leader{Present: true, Name: "a", Revision: 4, Created: 4, Lease: 1},
		Members: []cluster.Member{
			member("a", cluster.RolePrimary), member("b", cluster.RoleReplica), member("c", cluster.RoleReplica),
		},
		Status:  cluster.Status{Present: true, Optime: 1000},
		History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{oldHistory}},
	}
	o.Server.History = []cluster.HistoryEntry{oldHistory}
	o.Store = Store{View: view, LeaseExpires: start.Add(25 * time.Second), LockProven: start.Add(25 * time.Second)}
	o.Memory.Joined = true
	o.Memory.WasPrimary = true
	for _, c := range changes {
		c(&o)
	}
	return o
}

var oldHistory = cluster.HistoryEntry{Timeline: 1, LSN: 500, Reason: "no recovery target specified", Timestamp: "2027-01-01T00:00:00+00:00", NewLeader: "a"}

func member(name string, role cluster.Role) cluster.Member {
	m := cluster.Member{
		Name: name, ConnURL: "postgres://" + name + ":5432/postgres", APIURL: "http://" + name + ":8008/patroni",
		State: cluster.StateRunning, Role: role, Version: "4.1.4", Timeline: 2, XLogLocation: 1000,
	}
	return m
}

// replica makes the observer a streaming replica of b.
func replica(o *Observation) {
	o.Store.View.Leader.Name = "b"
	o.Store.View.Members[0].Role, o.Store.View.Members[1].Role = cluster.RoleReplica, cluster.RolePrimary
	o.Store.LockProven = 0
	o.Memory.WasPrimary = false
	s := &o.Server
	s.InRecovery, s.FlushLSN, s.ReceiveLSN, s.ReplayLSN = true, 0, 1000, 1000
	s.ReceiverStatus, s.StandbySignal = "streaming", true
	s.PrimaryConninfo = cluster.Upstream{Host: "b", Port: "5432"}
}

// unlocked takes the leader key away.
func unlocked(o *Observation) {
	o.Store.View.Leader = cluster.Leader{}
	o.Store.LockProven = 0
}

// orphan is a replica whose leader is gone.
func orphan(o *Observation) {
	replica(o)
	unlocked(o)
	o.Server.ReceiverStatus = ""
	o.Memory.FormerLeader = "b"
}

// down ends the postmaster; the control file says in which state.
func down(state string) change {
	return func(o *Observation) {
		s := &o.Server
		s.Answered, s.Process, s.State, s.PostmasterPID = false, cluster.ProcessNone, cluster.StateCrashed, 0
		s.Control = &cluster.Control{State: state, Timeline: 2, Checkpoint: 1000}
	}
}

func paused(o *Observation) { o.Settings.Pause = true }

// answers adds a fresh answer of a peer in recovery at a position.
func answers(name string, position cluster.LSN, more ...func(*Peer)) change {
	return func(o *Observation) {
		p := Peer{PeerStatus: cluster.PeerStatus{Name: name, Reachable: true, InRecovery: true, Position: position, Timeline: 2}, Asked: o.Now}
		for _, f := range more {
			f(&p)
		}
		o.Peers[name] = p
	}
}

func unreachable(p *Peer) { p.Reachable = false }
func stopped(p *Peer)     { p.Reachable, p.Stopped = false, true }
func primary(p *Peer)     { p.InRecovery = false }
func mayWrite(p *Peer)    { p.MayWrite = true }
func tagged(t cluster.Tags) func(*Peer) {
	return func(p *Peer) { p.Tags = t }
}

func request(leader, candidate string) change {
	return func(o *Observation) {
		o.Store.View.Failover = cluster.FailoverRequest{Leader: leader, Candidate: candidate, Revision: 20}
	}
}

// synchronous turns the cluster to a mode, led by a, whose key is known to be its own, with b and c streaming
// and confirmed.
func synchronous(mode cluster.SynchronousMode, names string, quorum int, standbys ...string) change {
	return func(o *Observation) {
		o.Settings.SynchronousMode = mode
		o.Store.View.Sync = cluster.SyncState{Leader: "a", Standbys: standbys, Quorum: quorum, Revision: 30}
		o.Memory.Sync = SyncMemory{Written: 30, Names: names, PID: 100, Since: o.Now.Add(-time.Minute), Settled: true, Mark: 900, PrimarySince: o.Now.Add(-time.Hour)}
		o.Server.SynchronousNames, o.Server.CheckpointerIdle, o.Server.OwnSynchronousNames = names, true, true
		for i := range o.Server.Senders {
			o.Server.Senders[i].FlushLSN, o.Server.Senders[i].SyncPriority = 1000, 1
		}
	}
}

// syncLed says who the key names as the leader.
func syncLed(name string) change { return func(o *Observation) { o.Store.View.Sync.Leader = name } }

func strict(o *Observation) { o.Settings.SynchronousModeStrict = true }

// fromBackup: a way to create replicas needs no leader.
func fromBackup(o *Observation) { o.Settings.CopyWithoutLeader = true }

// promotable is a replica that has won the lock.
func promotable(o *Observation) {
	replica(o)
	o.Store.View.Leader.Name = "a"
	o.Store.LockProven = start.Add(25 * time.Second)
}

// refusedPromotion: pre_promote has just said no.
func refusedPromotion(o *Observation) { o.Memory.PromotionRefusedAt = o.Now }

// smallLimits: the primary was restarted with a higher max_connections.
func smallLimits(o *Observation) { o.Server.ReplayPaused, o.Server.LimitsTooSmall = true, true }
