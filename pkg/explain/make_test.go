package explain

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

const now = clock.Instant(time.Hour)

// three is a healthy cluster: a leads at position 1000, b and c stream and are level with it.
func three() *Input {
	in := &Input{Cluster: "demo", View: view(), Version: "1"}
	for _, name := range []string{"a", "b", "c"} {
		o := observation(name)
		st := State("1", "replica", "running", o, ha.Decide(o), time.Second)
		in.Answers = append(in.Answers, Answer{Member: cluster.Member{Name: name}, Statement: &st})
	}
	return in
}

func view() *cluster.View {
	v := &cluster.View{
		Revision: 10, Initialize: cluster.Initialize{Present: true, Value: "7000000000000000001"},
		Config: cluster.Document{Present: true, Raw: []byte("{}"), Revision: 3},
		Leader: cluster.Leader{Present: true, Name: "a", Revision: 4, Lease: 1},
		Status: cluster.Status{Present: true, Optime: 900}, History: cluster.History{Present: true},
	}
	for _, name := range []string{"a", "b", "c"} {
		v.Members = append(v.Members, cluster.Member{
			Name: name, APIURL: "http://" + name + ":8008/patroni", ConnURL: "postgres://" + name + ":5432/postgres",
			State: cluster.StateRunning, Timeline: 1,
		})
	}
	return v
}

func observation(name string) ha.Observation {
	o := ha.Observation{
		Now: now, Self: ha.Self{Name: name}, Settings: cluster.DefaultSettings(), Store: ha.Store{View: view()},
		Server: cluster.Server{
			Data: cluster.DataPresent, SystemID: "7000000000000000001", State: cluster.StateRunning,
			Process: cluster.ProcessRunning, Answered: true, Timeline: 1,
		},
		Memory: ha.Memory{Joined: true},
	}
	o.Settings.UseSlots = false
	if name == "a" {
		o.Store.LockProven, o.Memory.WasPrimary, o.Server.FlushLSN = now.Add(25*time.Second), true, 1000
		o.Server.Senders = []cluster.Sender{{ApplicationName: "b", State: "streaming"}, {ApplicationName: "c", State: "streaming"}}
		return o
	}
	o.Server.InRecovery, o.Server.ReceiveLSN, o.Server.ReplayLSN, o.Server.ReceiverStatus = true, 1000, 1000, "streaming"
	o.Server.PrimaryConninfo = cluster.Upstream{Host: "a", Port: "5432"}
	return o
}

// see changes what members observe, all of them if none is named.
func (in *Input) see(change func(o *ha.Observation), names ...string) {
	for _, a := range in.Answers {
		if a.Statement != nil && (len(names) == 0 || slices.Contains(names, a.Member.Name)) {
			change(&a.Statement.Observation)
		}
	}
}

func (in *Input) answer(name string) *Answer {
	i := slices.IndexFunc(in.Answers, func(a Answer) bool { return a.Member.Name == name })
	return &in.Answers[i]
}

func (in *Input) silent(name string) {
	*in.answer(name) = Answer{Member: cluster.Member{Name: name}, Error: "does not answer"}
}

func (in *Input) synchronous(standby string) {
	key := cluster.SyncState{Leader: "a", Standbys: []string{standby}, Revision: 7}
	in.View.Sync = key
	in.see(func(o *ha.Observation) {
		o.Settings.SynchronousMode, o.Store.View.Sync = cluster.SyncOn, key
		o.Server.SynchronousNames, o.Server.OwnSynchronousNames, o.Server.CheckpointerIdle = standby, true, true
	})
}

func (in *Input) patroni(name string, position cluster.LSN) {
	*in.answer(name) = Answer{
		Member: cluster.Member{Name: name}, Patroni: "4.1.4", Error: "runs Patroni 4.1.4 and can't explain itself",
		Status: &cluster.PeerStatus{Reachable: true, InRecovery: true, Position: position, Timeline: 1},
	}
}

func standby(o *ha.Observation) {
	o.Settings.StandbyCluster = &cluster.StandbyCluster{Host: "outside"}
}

func standbyLeads(o *ha.Observation) {
	s := &o.Server
	s.InRecovery, s.FlushLSN, s.ReceiveLSN, s.ReplayLSN, s.ReceiverStatus = true, 0, 1000, 1000, "streaming"
	s.PrimaryConninfo, o.Memory.WasPrimary = cluster.Upstream{Host: "outside", Port: "5432"}, false
}

func pause(o *ha.Observation)      { o.Settings.Pause = true }
func behind(o *ha.Observation)     { o.Server.ReceiveLSN, o.Server.ReplayLSN = 950, 950 }
func farBehind(o *ha.Observation)  { o.Store.View.Status.Optime, o.Server.FlushLSN = 4<<20, 4<<20 }
func noFailover(o *ha.Observation) { o.Self.Tags = cluster.Tags{"nofailover": true} }
func etcdAway(o *ha.Observation)   { o.Store.FailingSince = o.Now.Add(-time.Second) }
func leaderless(o *ha.Observation) {
	o.Store.View.Leader, o.Store.LockProven, o.Server.ReceiverStatus = cluster.Leader{}, 0, ""
	o.Memory.UnlockedSince, o.Memory.FormerLeader = now.Add(-time.Second), "a"
}

func TestMake(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(in *Input)
		winners string
		lost    string // bytes, and "at least" if that is no bound
		stands  string // what is said of c if the leader died
		to      string // candidates of a switchover
		refused string // why a switchover to anybody is not possible
		unknown string // those that run Patroni and might
		notes   int
	}{
		{
			name: "healthy", change: func(*Input) {}, winners: "b c", lost: "0", stands: "promoted self to leader", to: "b c",
		},
		{
			name: "one is behind", change: func(in *Input) { in.see(behind, "c") },
			winners: "b", lost: "0", stands: "Wal position of b is ahead", to: "b c",
		},
		{
			name: "the one ahead may not be promoted", change: func(in *Input) { in.see(behind, "c"); in.see(noFailover, "b") },
			winners: "c", lost: "50", stands: "promoted self", to: "c",
		},
		{
			name: "both lag too far", change: func(in *Input) { in.see(farBehind) },
			stands: "My wal position exceeds", refused: "Member b exceeds maximum replication lag: 4193304 bytes behind, maximum_lag_on_failover is 1048576",
		},
		{
			name: "the leader does not answer", change: func(in *Input) { in.silent("a") },
			winners: "b c", lost: "at least 0", stands: "promoted self", refused: "the leader a did not answer",
		},
		{
			name: "a replica does not answer", change: func(in *Input) { in.silent("b") },
			winners: "c", lost: "0", stands: "promoted self", to: "c",
		},
		{
			name: "no replica answers", change: func(in *Input) { in.silent("b"); in.silent("c") },
			refused: "no healthy members found",
		},
		{
			name: "synchronous with b", change: func(in *Input) { in.synchronous("b"); in.see(behind, "c") },
			winners: "b", lost: "0", stands: "i am not a synchronous standby",
		},
		{
			name: "paused", change: func(in *Input) { in.see(pause) },
			stands: "no action", to: "b c", refused: "only to a specific candidate in a paused state",
		},
		{
			name: "standby cluster", change: func(in *Input) { in.see(standby); in.see(standbyLeads, "a"); in.see(behind, "c") },
			winners: "b", stands: "Wal position of b is ahead", to: "b c", notes: 1,
		},
		{
			name: "standby cluster without a leader", change: func(in *Input) {
				in.see(standby)
				in.View.Leader = cluster.Leader{}
				in.silent("a")
				in.see(leaderless)
			},
			winners: "b c", stands: "promoted self to a standby leader", refused: "there is no leader", notes: 1,
		},
		{
			name: "etcd away", change: func(in *Input) { in.View, in.Etcd = nil, "down"; in.see(etcdAway) },
			winners: "b c", lost: "0", stands: "promoted self", refused: "DCS is not accessible", notes: 4,
		},
		{
			name: "no leader", change: func(in *Input) { in.View.Leader = cluster.Leader{}; in.silent("a"); in.see(leaderless) },
			winners: "b c", lost: "at least 0", stands: "promoted self", refused: "there is no leader",
		},
		{
			name: "Patroni leads", change: func(in *Input) {
				in.patroni("a", 1200)
				in.answer("a").Status.InRecovery = false
			},
			winners: "b c", lost: "200", stands: "promoted self", refused: "the leader a runs Patroni",
		},
		{
			name: "Patroni is ahead", change: func(in *Input) { in.patroni("b", 1000); in.see(behind, "c") },
			stands: "Wal position of b is ahead", to: "b c", unknown: "b",
		},
		{
			name: "Patroni is ahead and must not", change: func(in *Input) {
				in.patroni("b", 1000)
				in.answer("b").Status.Tags = cluster.Tags{"nofailover": true}
				in.see(behind, "c")
			},
			winners: "c", lost: "50", stands: "promoted self", to: "c",
		},
		{
			name: "b has not read etcd yet", change: func(in *Input) {
				in.see(func(o *ha.Observation) { o.Store.View = nil }, "b")
			},
			winners: "c", lost: "0", stands: "promoted self", to: "b c", notes: 1,
		},
		{
			name: "another version", change: func(in *Input) { in.answer("b").Statement.Hathi = "2" },
			winners: "b c", lost: "0", stands: "promoted self", to: "b c", notes: 1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := three()
			c.change(in)
			r := Make(overTheWire(t, *in))
			if got := strings.Join(r.Failover.Winners, " "); got != c.winners {
				t.Errorf("winners %q, want %q", got, c.winners)
			}
			if got := lost(r.Failover); got != c.lost {
				t.Errorf("lost %q, want %q", got, c.lost)
			}
			if m := r.Members[2]; m.IfLeaderDied != nil && !said(m.IfLeaderDied.Reasons, c.stands) || m.IfLeaderDied == nil && c.stands != "" {
				t.Errorf("c: %+v, want %q", m.IfLeaderDied, c.stands)
			}
			if got := strings.Join(r.Switchover.Candidates, " "); got != c.to {
				t.Errorf("switchover to %q, want %q: %+v", got, c.to, r.Members)
			}
			if c.refused != "" && (r.Switchover.Possible || !said(r.Switchover.Reasons, c.refused)) {
				t.Errorf("switchover: %+v, want %q", r.Switchover, c.refused)
			}
			if got := strings.Join(r.Failover.Unknown, " "); got != c.unknown {
				t.Errorf("unknown %q, want %q", got, c.unknown)
			}
			if len(r.Notes) != c.notes {
				t.Errorf("notes %q, want %d", r.Notes, c.notes)
			}
		})
	}
}

// overTheWire sends the statements through JSON, as members do.
func overTheWire(t *testing.T, in Input) Input {
	t.Helper()
	for i, a := range in.Answers {
		if a.Statement == nil {
			continue
		}
		raw, err := json.Marshal(a.Statement)
		if err != nil {
			t.Fatal(err)
		}
		in.Answers[i].Statement = new(Statement)
		if err := json.Unmarshal(raw, in.Answers[i].Statement); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

func lost(f Failover) string {
	switch {
	case f.LostBytes == nil:
		return ""
	case !f.LostIsBound:
		return "at least " + cluster.LSN(*f.LostBytes).String()[2:]
	}
	raw, _ := json.Marshal(*f.LostBytes)
	return string(raw)
}

func said(reasons []Reason, text string) bool {
	return slices.ContainsFunc(reasons, func(r Reason) bool { return strings.Contains(r.Text, text) })
}

// TestSameDecide: what is read over the wire decides as it did in the agent. A field that does not survive would
// make explain tell of a cluster that is not there.
func TestSameDecide(t *testing.T) {
	in := three()
	in.synchronous("b")
	in.see(func(o *ha.Observation) {
		o.Job = &ha.Job{Kind: ha.JobPromote, Since: now}
		o.Memory.RewindAgainst, o.Memory.Sync.Names = "a", "b"
		o.Self.Tags = cluster.Tags{"failover_priority": 2, "nosync": true, "replicatefrom": "c"}
	})
	var sent []ha.Observation
	for _, a := range in.Answers {
		sent = append(sent, a.Statement.Observation)
	}
	for i, a := range overTheWire(t, *in).Answers {
		before, after := sent[i], a.Statement.Observation
		for range 2 { // with the job, and without
			if x, y := ha.Decide(before), ha.Decide(after); x.Reasons[0] != y.Reasons[0] {
				t.Errorf("%s: %v, over the wire %v", a.Member.Name, x.Reasons, y.Reasons)
			}
			before.Job, after.Job = nil, nil
		}
		if after.Self.Tags.FailoverPriority() != 2 || !after.Self.Tags.NoSync() || after.Memory.RewindAgainst != "a" || after.Memory.Sync.Names != "b" {
			t.Errorf("%s lost something: %+v", a.Member.Name, after)
		}
	}
}
