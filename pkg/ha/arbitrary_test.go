package ha

import (
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// An arbitrary observation is a scene and some changes to it, as in the named cases, but chosen by bytes: one for the scene,
// one for each change, and one for each thing that the change chooses. So a fuzzer can mutate it, put two together, and
// drop what does not matter.

// dice are thrown with bytes. When they are used up, each throw gives the first.
type dice []byte

func (d *dice) IntN(n int) int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b) % n
}

func (d *dice) flag() bool                  { return d.IntN(2) == 0 }
func (d *dice) pick(words ...string) string { return words[d.IntN(len(words))] }
func (d *dice) lsn() cluster.LSN            { return cluster.LSN(d.IntN(4)) * 1000 }
func (d *dice) timeline() cluster.Timeline  { return cluster.Timeline(d.IntN(4)) }
func (d *dice) revision() int64             { return int64(d.IntN(4)) * 10 }

// when gives a moment around now, or none; begun gives one that has passed, or none.
func (d *dice) when() clock.Instant {
	if s := []int{0, -3600, -61, -29, -10, -1, 1, 5, 10, 40}[d.IntN(10)]; s != 0 {
		return start.Add(time.Duration(s) * time.Second)
	}
	return 0
}

func (d *dice) begun() clock.Instant { return min(d.when(), start) }

const otherID = "7000000000000000009"

func (d *dice) history() []cluster.HistoryEntry {
	lines := []cluster.HistoryEntry{{Timeline: 1, LSN: d.lsn()}, {Timeline: 2, LSN: d.lsn()}}
	return lines[:d.IntN(3)]
}

// most is how many changes an observation can have.
const most = 24

// scenes are what is changed; none of them has a member that could not lead.
var scenes = [][]change{
	nil,
	{replica},
	{orphan},
	{unlocked},
	{promotable},
	{orphan, paused},
	{paused},
	{replica, paused},
	{request("a", "b")},
	{request("", "b")},
	{request("a", "")},
	{orphan, request("b", "a")},
	{orphan, request("", "a")},
	{orphan, request("b", "c")},
	{orphan, request("a", "")},
	{orphan, paused, request("b", "a")},
	{orphan, paused, request("", "a")},
	{starting},
	{silent},
	{down("in production")},
	{replica, down("shut down in recovery")},
	{replica, oldPrimary, down("shut down")},
	{noData, newCluster},
	{replica, noData},
	{synchronous(cluster.SyncOn, "b", 0, "b")},
	{synchronous(cluster.SyncQuorum, "ANY 1 (b,c)", 1, "b", "c")},
	{synchronous(cluster.SyncOn, "a", 0, "a"), syncLed("b"), orphan},
	{synchronous(cluster.SyncQuorum, "ANY 1 (b,c)", 1, "a", "c"), syncLed("b"), orphan},
}

// arbitrary makes an observation of which nothing can be relied on, but that what has begun has begun before now, and that
// everybody has answered if the scene is followed by no other word.
func arbitrary(d dice) Observation {
	o := see(scenes[d.IntN(len(scenes))]...)
	o.Settings.MaximumLagOnFailover = 1000
	for _, name := range []string{"b", "c"} {
		answers(name, 1000, func(p *Peer) { p.SyncRevision = o.Store.View.Sync.Revision })(&o)
	}
	gone := false
	for n := 0; n < most && len(d) > 0; n++ {
		kinds := [][]func(*dice, *Observation){settingChanges, storeChanges, keyChanges, serverChanges, answerChanges, memoryChanges, {selfChange, jobChange}}
		kind := kinds[d.IntN(len(kinds))]
		kind[d.IntN(len(kind))](&d, &o)
		gone = gone || d.IntN(64) == 63
	}
	if gone {
		o.Store.View = nil
	}
	return o
}

var settingChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) { o.Settings.Pause = d.flag() },
	func(d *dice, o *Observation) { o.Settings.CheckTimeline = d.flag() },
	func(d *dice, o *Observation) { o.Settings.UseSlots, o.Settings.UsePgRewind = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Settings.FailsafeMode = d.flag() },
	func(d *dice, o *Observation) { o.Settings.CopyWithoutLeader = d.flag() },
	func(d *dice, o *Observation) {
		o.Settings.PrimaryStartTimeout = time.Duration(d.IntN(3)) * time.Second
	},
	func(d *dice, o *Observation) {
		o.Settings.RemoveDataDirOnDivergedTimeline, o.Settings.RemoveDataDirOnRewindFailure = d.flag(), d.flag()
	},
	func(d *dice, o *Observation) { o.Settings.MaximumLagOnFailover = uint64(d.IntN(3) * 1000) },
	func(d *dice, o *Observation) { o.Settings.MaximumLagOnSyncnode = int64(d.IntN(2) * 1000) },
	func(d *dice, o *Observation) {
		o.Settings.SynchronousMode = cluster.SynchronousMode(d.pick("", "on", "quorum"))
		o.Settings.SynchronousModeStrict, o.Settings.SynchronousNodeCount = d.flag(), d.IntN(4)
	},
	func(d *dice, o *Observation) {
		o.Settings.UseSlots = true
		o.Settings.PermanentSlots = map[string]cluster.PermanentSlot{"s1": {Logical: d.flag(), Plugin: "p", Database: "d"}}
	},
	func(d *dice, o *Observation) {
		o.Settings.SynchronousMode = cluster.SyncOff
		o.Settings.StandbyCluster = &cluster.StandbyCluster{Host: d.pick("", "far"), PrimarySlotName: d.pick("", "us")}
	},
}

var storeChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) { o.Store.FailingSince = max(1, d.begun()) },
	func(_ *dice, o *Observation) { o.Store.FailingSince, o.Store.Refuses = o.Now, true },
	func(d *dice, o *Observation) { o.Store.LockProven = d.when() },
	func(d *dice, o *Observation) { o.Store.LeaseExpires, o.Store.Lease = d.when(), d.revision() },
	func(d *dice, o *Observation) { o.Store.LockLife = time.Duration(d.IntN(2)) * 30 * time.Second },
	func(d *dice, o *Observation) { o.Stopping = d.flag() },
}

var keyChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) { o.Store.View.Leader.Name = d.pick("", "a", "b", "c", "nobody") },
	func(d *dice, o *Observation) {
		o.Store.View.Leader = cluster.Leader{Present: d.flag(), Revision: d.revision(), Created: d.revision()}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Initialize = cluster.Initialize{Present: d.flag(), Value: d.pick("", systemID, otherID, "garbage"), Lease: d.revision()}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Failover = cluster.FailoverRequest{Leader: d.pick("", "a", "b"), Candidate: d.pick("", "a", "b", "gone"), Revision: d.revision()}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Failover.ScheduledAt = o.Wall.Add(time.Duration(d.IntN(80)-40) * time.Second)
	},
	func(d *dice, o *Observation) { o.Store.View.Status.Optime = d.lsn() },
	func(d *dice, o *Observation) {
		o.Store.View.History = cluster.History{Present: d.flag(), Entries: d.history()}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Sync = cluster.SyncState{
			Leader: d.pick("", "a", "B", "c"), Standbys: strings.Fields(d.pick("", "a", "b", "b c", "A gone")), Quorum: d.IntN(3), Revision: d.revision(),
		}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Failsafe, o.Store.View.FailsafeRevision = map[string]string{}, d.revision()
		for _, name := range strings.Fields(d.pick("a b c", "a", "b", "a b", "")) {
			o.Store.View.Failsafe[name] = "http://" + name
		}
	},
	func(d *dice, o *Observation) {
		o.Store.View.Members = o.Store.View.Members[:d.IntN(len(o.Store.View.Members)+1)]
	},
	memberChange, memberChange,
}

func memberChange(d *dice, o *Observation) {
	if len(o.Store.View.Members) == 0 {
		return
	}
	m := &o.Store.View.Members[d.IntN(len(o.Store.View.Members))]
	m.Role, m.ConnURL = cluster.Role(d.pick("primary", "replica", "", "demoted")), d.pick(m.ConnURL, "", "garbage:%%")
	m.CheckpointPending, m.Timeline = d.flag(), d.timeline()
	m.Tags = cluster.Tags{"nofailover": d.flag(), "clonefrom": "yes", "failover_priority": d.pick("x", "2")}
}

var serverChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) {
		o.Server.Data = []cluster.DataDir{cluster.DataPresent, cluster.DataEmpty, cluster.DataForeign, cluster.DataUnreadable}[d.IntN(4)]
	},
	func(d *dice, o *Observation) { o.Server.Process = cluster.Process(d.IntN(3)) },
	func(d *dice, o *Observation) { o.Server.Answered, o.Server.Rejecting = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Server.InRecovery = d.flag() },
	func(d *dice, o *Observation) { o.Server.Promoting = d.flag() },
	func(d *dice, o *Observation) {
		o.Server.Copied = d.flag()
		o.Memory.Copy = CopyMemory{Since: d.begun(), Reign: d.revision(), Had: d.lsn(), Timeline: d.timeline(), FailedAt: d.begun()}
	},
	func(d *dice, o *Observation) {
		o.Server.State = cluster.State(d.pick("running", "starting", "stopped", "crashed", ""))
	},
	func(d *dice, o *Observation) {
		o.Server.Timeline, o.Server.FlushLSN, o.Server.ReceiveLSN, o.Server.ReplayLSN = d.timeline(), d.lsn(), d.lsn(), d.lsn()
	},
	func(d *dice, o *Observation) { o.Server.History = d.history() },
	func(d *dice, o *Observation) { o.Server.SystemID = d.pick(otherID, "", systemID) },
	func(d *dice, o *Observation) { o.Server.RewindPossible, o.Server.RewindCut = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Server.StandbySignal, o.Server.BackupLabel = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Server.LimitsTooSmall, o.Server.ReplayPaused = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Server.Replaying = d.flag() },
	func(d *dice, o *Observation) {
		o.Server.CheckpointerIdle, o.Server.OwnSynchronousNames = d.flag(), d.flag()
	},
	func(d *dice, o *Observation) {
		o.Server.Answered, o.Server.SilentFor = false, time.Duration(d.IntN(3))*300*time.Second
	},
	func(d *dice, o *Observation) {
		o.Server.ReceiverStatus, o.Server.RestoreCommand = d.pick("", "streaming"), d.pick("", "x")
	},
	func(d *dice, o *Observation) {
		o.Server.PrimaryConninfo = cluster.Upstream{Host: d.pick("", "a", "b", "x"), Port: "5432"}
	},
	func(d *dice, o *Observation) {
		o.Server.Slots = []cluster.Slot{{Name: "b", Type: "physical", RestartLSN: d.lsn()}, {Name: "old", Type: d.pick("physical", "logical")}}
	},
	func(d *dice, o *Observation) {
		o.Server.SynchronousNames = d.pick("", "b", "ANY 1 (b,c)", "*", "2 (b,c)", quorum.Blocked().Text(), "garbage (")
		if d.flag() {
			o.Memory.Sync.Names = o.Server.SynchronousNames
		}
	},
	func(d *dice, o *Observation) {
		o.Server.Control = &cluster.Control{State: d.pick("in production", "shut down", "shut down in recovery", "")}
	},
	func(d *dice, o *Observation) {
		for i := range o.Server.Senders {
			o.Server.Senders[i].FlushLSN, o.Server.Senders[i].SyncPriority = d.lsn(), d.IntN(2)
		}
	},
	func(d *dice, o *Observation) { o.Server.Senders = o.Server.Senders[:d.IntN(len(o.Server.Senders)+1)] },
}

// answered changes what a member has answered.
func answered(f func(*dice, *Peer)) func(*dice, *Observation) {
	return func(d *dice, o *Observation) {
		name := d.pick("b", "c", "a")
		p := o.Peers[name]
		p.Name = name
		f(d, &p)
		o.Peers[name] = p
	}
}

var answerChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) { delete(o.Peers, d.pick("b", "c")) },
	answered(func(d *dice, p *Peer) { p.Reachable = d.IntN(2) == 1 }),
	answered(func(d *dice, p *Peer) { p.InRecovery = d.IntN(2) == 1 }),
	answered(func(d *dice, p *Peer) { p.Position, p.Timeline, p.History = d.lsn(), d.timeline(), d.history() }),
	answered(func(d *dice, p *Peer) { p.MayWrite, p.Replaying = d.flag(), d.flag() }),
	answered(func(d *dice, p *Peer) { p.WatchdogFailed = d.flag() }),
	answered(func(d *dice, p *Peer) { p.Copied = d.flag() }),
	answered(func(d *dice, p *Peer) { p.SyncRevision = d.revision() }),
	answered(func(d *dice, p *Peer) { p.Asked = d.begun() }),
	answered(func(d *dice, p *Peer) {
		p.Tags = cluster.Tags{"nofailover": d.flag(), "failover_priority": d.pick("x", "2")}
	}),
}

var memoryChanges = []func(*dice, *Observation){
	func(d *dice, o *Observation) {
		o.Memory.Rewind, o.Memory.RewindAgainst, o.Memory.RewindAgainstTimeline = RewindState(d.IntN(6)), d.pick("b", "", "a"), 2
		o.Memory.RewindLSN, o.Memory.RewindRetryAt = d.lsn(), d.when()
	},
	func(d *dice, o *Observation) { o.Memory.WasPrimary = d.flag() },
	func(d *dice, o *Observation) { o.Memory.CrashRecoveryTried = d.flag() },
	func(d *dice, o *Observation) { o.Memory.StartFailures, o.Memory.LastStart = d.IntN(3), d.begun() },
	func(d *dice, o *Observation) { o.Memory.CloneFailures, o.Memory.LastClone = d.IntN(3), d.begun() },
	func(d *dice, o *Observation) { o.Memory.StartingSince = d.begun() },
	func(d *dice, o *Observation) {
		o.Memory.CheckpointPending, o.Memory.CheckpointRunning = d.flag(), d.flag()
	},
	func(d *dice, o *Observation) { o.Memory.FormerLeader = d.pick("", "b", "c") },
	func(d *dice, o *Observation) { o.Memory.PromotingSince = d.begun() },
	func(d *dice, o *Observation) { o.Memory.PromotionRefusedAt = d.begun() },
	func(d *dice, o *Observation) { o.Memory.HandedOver, o.Memory.DemotedCluster = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Memory.RaceLostAt = d.begun() },
	func(d *dice, o *Observation) { o.Memory.ReinitializeRequested = d.flag() },
	func(d *dice, o *Observation) { o.Memory.RestartRequested = d.flag() },
	func(d *dice, o *Observation) { o.Memory.Adopted, o.Memory.Joined = d.flag(), d.flag() },
	func(d *dice, o *Observation) { o.Memory.FrozenSince = d.begun() },
	func(d *dice, o *Observation) { o.Memory.InitializeEmptySince = d.begun() },
	func(d *dice, o *Observation) {
		o.Memory.RefusedRequest, o.Memory.RequestRevision, o.Memory.RequestSince = d.revision(), d.revision(), d.begun()
	},
	func(d *dice, o *Observation) { o.Memory.UnlockedSince = d.begun() },
	func(d *dice, o *Observation) {
		o.Memory.Failsafe.Began, o.Memory.Failsafe.Written = d.begun(), d.revision()
	},
	func(d *dice, o *Observation) { o.Memory.Failsafe.Promised, o.Memory.Failsafe.To = d.when(), "b" },
	func(d *dice, o *Observation) { o.Memory.Failsafe.Bound = d.when() },
	func(d *dice, o *Observation) {
		o.Memory.Failsafe.Round = FailsafeRound{Asked: d.begun(), TTL: 30 * time.Second, Agreed: d.begun()}
	},
	func(d *dice, o *Observation) {
		o.Memory.Sync.Written, o.Memory.Sync.Stale, o.Memory.Sync.Judged = d.revision(), d.revision(), d.revision()
	},
	func(d *dice, o *Observation) {
		o.Memory.Sync.Since, o.Memory.Sync.Settled, o.Memory.Sync.Mark = d.begun(), d.flag(), d.lsn()
	},
	func(d *dice, o *Observation) {
		o.Memory.Sync.LeavingSince, o.Memory.Sync.PrimarySince = d.begun(), d.begun()
	},
	func(d *dice, o *Observation) { o.Memory.Sync.FailedAt = d.begun() },
	func(d *dice, o *Observation) { o.Memory.Sync.Alive = []string{"b"} },
}

func selfChange(d *dice, o *Observation) {
	o.Self.WatchdogFailed, o.Self.CanBootstrap = d.flag(), d.flag()
	o.Self.Tags = cluster.Tags{d.pick("", "nofailover", "nostream", "clonefrom", "nosync"): true, "replicatefrom": d.pick("", "a", "b", "gone")}
}

func jobChange(d *dice, o *Observation) {
	kinds := []JobKind{JobPromote, JobBootstrap, JobDemote, JobClone, JobStartPrimary, JobRestart}
	o.Job = &Job{Kind: kinds[d.IntN(len(kinds))], Cancelled: d.flag()}
}
