package ha

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// FuzzDecide: whatever a member sees, Decide answers, always the same, and never makes a primary of a member
// whose lock is not proven.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		o := arbitrary(rand.New(rand.NewPCG(seed, 1)))
		d := Decide(o)
		if !reflect.DeepEqual(d, Decide(o)) {
			t.Fatalf("two answers to one observation: %+v", o)
		}
		if d.Action == nil || len(d.Reasons) == 0 || d.Reasons[0].Text == "" {
			t.Fatalf("no action or no reason: %+v", d)
		}
		proven := o.Store.View != nil && o.Store.View.Leader.Name == o.Self.Name && o.Now.Before(o.Store.LockProven)
		switch x := d.Action.(type) {
		case Promote, StartPrimary:
			if !proven || o.Stopping || o.Job != nil {
				t.Fatalf("%T without a proven lock: %+v", d.Action, o)
			}
			if o.standbyCluster() {
				t.Fatalf("%T in a standby cluster: %+v", d.Action, o)
			}
			if syncActive(&o) && !o.Store.View.Sync.LedBy(o.Self.Name) {
				t.Fatalf("%T although /sync names another leader: %+v", d.Action, o)
			}
		case SetSyncNames:
			if names, _ := quorum.Parse(x.Names); !o.Server.InRecovery && !quorum.Safe(syncSetting(&o).Key, names) {
				t.Fatalf("names %q are not safe with the key: %+v", x.Names, o)
			}
		case AcquireLeader:
			if o.Store.View.Leader.Present || o.Store.FailingSince != 0 {
				t.Fatalf("acquires a key that exists or can't be reached: %+v", o)
			}
		}
	})
}

// arbitrary makes an observation of which nothing can be relied on.
func arbitrary(r *rand.Rand) Observation {
	one := func(n int) bool { return r.IntN(n) == 0 }
	lsn := func() cluster.LSN { return cluster.LSN(r.IntN(4)) * 1000 }
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	o := see()
	o.Now = clock.Instant(r.Int64N(int64(time.Hour)))
	o.Settings.Pause, o.Settings.CheckTimeline = one(5), one(3)
	o.Settings.UseSlots, o.Settings.UsePgRewind = one(2), one(2)
	o.Settings.PrimaryStartTimeout = time.Duration(r.IntN(3)) * time.Second
	o.Settings.RemoveDataDirOnDivergedTimeline = one(3)
	o.Stopping = one(8)
	if one(4) {
		o.Job = &Job{Kind: JobKind(pick(string(JobPromote), string(JobBootstrap), string(JobDemote), string(JobClone), string(JobStartPrimary)))}
	}
	if one(4) {
		o.Store.FailingSince = clock.Instant(1 + r.Int64N(int64(time.Hour)))
	}
	o.Store.LockProven = clock.Instant(r.Int64N(int64(time.Hour)))
	v := o.Store.View
	v.Leader = cluster.Leader{Present: one(2)}
	if v.Leader.Present {
		v.Leader.Name = pick("", "a", "b", "c", "nobody")
	}
	v.Initialize = cluster.Initialize{Present: one(2), Value: pick("", systemID, "7000000000000000009", "garbage"), Lease: r.Int64N(3)}
	v.Failover = cluster.FailoverRequest{Leader: pick("", "a", "b"), Candidate: pick("", "a", "b", "gone")}
	v.Status.Optime = lsn()
	for i := range v.Members {
		m := &v.Members[i]
		m.Role = cluster.Role(pick("primary", "replica", "", "demoted"))
		m.ConnURL = pick(m.ConnURL, "", "garbage:%%")
		m.CheckpointPending, m.Timeline = one(3), cluster.Timeline(r.IntN(4))
		if one(3) {
			m.Tags = cluster.Tags{"nofailover": one(2), "clonefrom": "yes", "failover_priority": pick("x", "2")}
		}
		if one(2) {
			answers(m.Name, lsn(), func(p *Peer) {
				p.Reachable, p.InRecovery, p.Timeline = !one(4), !one(4), cluster.Timeline(r.IntN(4))
			})(&o)
		}
	}
	v.Members = v.Members[:r.IntN(len(v.Members)+1)]
	s := &o.Server
	s.Data, s.Process = cluster.DataDir(r.IntN(4)), cluster.Process(r.IntN(3))
	s.Answered, s.InRecovery, s.Rejecting = one(2), one(2), one(2)
	s.State = cluster.State(pick("running", "starting", "stopped", "crashed", ""))
	s.Timeline, s.FlushLSN, s.ReceiveLSN, s.ReplayLSN = cluster.Timeline(r.IntN(4)), lsn(), lsn(), lsn()
	s.SystemID = pick("", systemID, "7000000000000000009")
	s.RewindPossible, s.StandbySignal = one(2), one(2)
	s.Slots = []cluster.Slot{{Name: "b", Type: "physical", RestartLSN: lsn()}, {Name: "old", Type: pick("physical", "logical")}}
	if one(2) {
		s.Control = &cluster.Control{State: pick("in production", "shut down", "shut down in recovery", "")}
	}
	o.Memory = Memory{
		Rewind: RewindState(r.IntN(6)), RewindAgainst: pick("", "a", "b"), RewindAgainstTimeline: 2,
		WasPrimary: one(2), StartFailures: r.IntN(3), Adopted: one(2), Joined: one(2),
		CheckpointPending: one(3), ReinitializeRequested: one(6), RestartRequested: one(6),
		FrozenSince: clock.Instant(r.Int64N(2) * r.Int64N(int64(time.Hour))),
	}
	o.Settings.SynchronousMode = cluster.SynchronousMode(pick("", "on", "quorum"))
	o.Settings.SynchronousModeStrict, o.Settings.SynchronousNodeCount = one(2), r.IntN(4)
	v.Sync = cluster.SyncState{Leader: pick("", "a", "B", "c"), Standbys: strings.Fields(pick("", "a", "b", "b c", "A gone")), Quorum: r.IntN(3), Revision: int64(r.IntN(3))}
	s.SynchronousNames = pick("", "b", "ANY 1 (b,c)", "*", "2 (b,c)", quorum.Blocked().Text(), "garbage (")
	o.Memory.Sync = SyncMemory{
		Written: int64(r.IntN(3)), Judged: int64(r.IntN(3)), Names: s.SynchronousNames, PID: s.PostmasterPID,
		Settled: one(2), Mark: lsn(), PrimarySince: clock.Instant(r.Int64N(2) * r.Int64N(int64(time.Hour))),
	}
	for i := range s.Senders {
		s.Senders[i].FlushLSN, s.Senders[i].SyncPriority = lsn(), r.IntN(2)
	}
	if one(10) {
		o.Store.View = nil
	}
	arbitraryStandby(r, &o)
	return o
}

// arbitraryStandby makes a standby cluster of it, now and then.
func arbitraryStandby(r *rand.Rand, o *Observation) {
	if r.IntN(4) != 0 {
		return
	}
	o.Settings.SynchronousMode = cluster.SyncOff
	o.Settings.StandbyCluster = &cluster.StandbyCluster{
		Host: []string{"", "far"}[r.IntN(2)], PrimarySlotName: []string{"", "us"}[r.IntN(2)],
	}
}
