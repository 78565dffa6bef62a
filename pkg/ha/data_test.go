package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// unreadable: the agent can't look into the data directory, so it knows nothing of what is in it.
func unreadable(o *Observation) {
	s := &o.Server
	s.Data, s.DataError, s.SystemID, s.Version, s.History, s.RewindPossible = cluster.DataUnreadable, "too many open files", "", 0, nil, false
}

// TestUnreadable: what becomes of a server whose data, or whose control file, can't be looked at.
func TestUnreadable(t *testing.T) {
	noControl := func(o *Observation) { o.Server.SystemID = "" }
	fresh := func(o *Observation) { o.Memory.Joined = false }
	removed := func(o *Observation) { unreadable(o); o.Server.Data = cluster.DataEmpty }
	outrun := func(o *Observation) { replica(o); o.Server.InRecovery = false; o.Memory.WasPrimary = true } // b leads
	busy := func(o *Observation) { o.Server.Answered = false }
	decides(t, []decideCase{
		{"a primary that runs keeps the lock", []change{unreadable}, Wait{}, "no action. I am (a), the leader with the lock"},
		{"so does one that does not answer", []change{unreadable, busy}, Wait{}, "Error communicating with PostgreSQL"},
		{"so does one whose directory was removed", []change{removed}, Wait{}, "no action. I am (a), the leader with the lock"},
		{"and hands over when asked to", []change{unreadable, request("a", "b"), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"it stops when another one leads", []change{unreadable, outrun}, Demote{Mode: DemoteNoLock}, "demoting self because I do not have the lock and I was a leader"},
		{"one that has ended gives the lock up", []change{unreadable, down("")}, ReleaseLeader{}, "data dir not accessible and currently leader"},
		{"a replica waits", []change{replica, unreadable}, Wait{}, "data directory is not accessible: too many open files"},
		{"a primary without a control file hands over when asked to", []change{noControl, request("a", "b"), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"and stops when another one leads", []change{noControl, outrun}, Demote{Mode: DemoteNoLock}, "demoting self because I do not have the lock"},
		{"one that was never seen in this cluster is left alone", []change{noControl, outrun, fresh}, Wait{}, "system ID is invalid"},
		{"a replica without a control file waits", []change{replica, noControl}, Wait{}, "system ID is invalid"},
	})
}

// TestStartWithoutEtcd: while etcd is away a server that is down is started to be read, but not with any data.
func TestStartWithoutEtcd(t *testing.T) {
	away := func(o *Observation) { o.Store.FailingSince = o.Now.Add(-time.Second) }
	stopped := []change{replica, down("shut down in recovery"), away}
	with := func(c change) []change { return append(stopped[:len(stopped):len(stopped)], c) }
	decides(t, []decideCase{
		{"its own", stopped, StartReplica{Upstream: upB}, "starting as a secondary that can be read"},
		{"of another cluster", with(func(o *Observation) { o.Server.SystemID = "7000000000000000009" }), Wait{}, "DCS is not accessible"},
		{"without a control file", with(func(o *Observation) { o.Server.SystemID = "" }), Wait{}, "DCS is not accessible"},
		{"half rewound", with(func(o *Observation) { o.Server.RewindCut = true }), Wait{}, "DCS is not accessible"},
	})
}

// TestCopyBackoff: a copy that can't be had is not tried without a pause.
func TestCopyBackoff(t *testing.T) {
	failed := func(o *Observation) {
		o.Settings.UsePgRewind, o.Settings.RemoveDataDirOnDivergedTimeline = false, true
		o.Memory.CloneFailures, o.Memory.LastClone = 1, o.Now
	}
	later := func(o *Observation) { o.Memory.LastClone -= 1e9 }
	decides(t, []decideCase{
		{"just failed", []change{replica, diverged, failed}, Wait{}, "waiting before another attempt to copy 'b'"},
		{"a second later", []change{replica, diverged, failed, later}, Reinitialize{From: "b", Diverged: true}, "reinitializing due to diverged timelines"},
		{"while it is down", []change{replica, down("shut down"), diverged, failed, func(o *Observation) { o.Server.Answered = false }}, Wait{}, "waiting before another attempt to copy 'b'"},
	})
}

// founder: this member has begun to found the cluster, and /initialize hangs on its lease.
func founder(o *Observation) {
	o.Store.Lease, o.Store.LockProven = 5, o.Now.Add(25*time.Second)
	o.Store.View.Initialize = cluster.Initialize{Present: true, Revision: 7, Lease: 5}
}

// TestFounding: who founds the cluster goes on as long as /initialize is its own, and nobody else begins meanwhile.
func TestFounding(t *testing.T) {
	bootstrap := func(o *Observation) { o.Job = &Job{Kind: JobBootstrap, Since: o.Now} }
	lost := func(o *Observation) { o.Store.LockProven = o.Now }
	cancelled := func(o *Observation) { o.Job.Cancelled = true }
	long := func(o *Observation) {
		o.Store.View.Members, o.Memory.InitializeEmptySince = nil, o.Now.Add(-time.Hour)
	}
	of := func(lease int64) change { return func(o *Observation) { o.Store.View.Initialize.Lease = lease } }
	decides(t, []decideCase{
		{"goes on", []change{noData, unlocked, founder, bootstrap}, Wait{}, "bootstrap in progress"},
		{"its proof has run out", []change{noData, unlocked, founder, bootstrap, lost}, CancelJob{}, "lost initialize lock during bootstrap"},
		{"it is being cancelled", []change{noData, unlocked, founder, bootstrap, lost, cancelled}, Wait{}, "bootstrap in progress"},
		{"nobody else begins while its lease lives", []change{noData, unlocked, founder, long, of(6)}, Wait{}, "waiting for leader to bootstrap"},
		{"what this member could not remove is removed", []change{noData, unlocked, founder}, AbandonInitialize{Revision: 7}, "removing initialize key"},
		{"and what a member of Patroni has left", []change{noData, unlocked, founder, long, of(0)}, AbandonInitialize{Revision: 7}, "removing initialize key"},
	})
}
