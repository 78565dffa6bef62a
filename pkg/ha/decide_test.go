package ha

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// upB and upC are the members b and c as upstreams.
var (
	upB = cluster.Upstream{Member: "b", Host: "b", Port: "5432"}
	upC = cluster.Upstream{Member: "c", Host: "c", Port: "5432"}
)

// decideCase is an observation and what has to come of it.
type decideCase struct {
	name string
	see  []change
	want Action
	line string // a part of the line that is logged
}

func decides(t *testing.T, cases []decideCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := see(c.see...)
			d := Decide(o)
			if !reflect.DeepEqual(d.Action, c.want) {
				t.Errorf("decided %T%+v because %v\nwant %T%+v", d.Action, d.Action, d.Reasons, c.want, c.want)
			}
			if at := decide(o).WakeAt; at != 0 && at <= o.Now {
				t.Errorf("wants to be woken %s ago", o.Now.Sub(at))
			}
			if line := d.Line(o.Settings.Pause); !strings.Contains(line, c.line) {
				t.Errorf("says %q\nwant %q in it", line, c.line)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	decides(t, []decideCase{
		// The leader.
		{"leader at rest", nil, Wait{}, "no action. I am (a), the leader with the lock"},
		{"leader in pause", []change{paused}, Wait{}, "PAUSE: no action. I am (a), the leader with the lock"},
		{"leader without the watchdog it needs", []change{noWatchdog}, Demote{Mode: DemoteImmediate}, "Demoting self because watchdog could not be activated"},
		{"leader without the watchdog it needs, in pause", []change{noWatchdog, paused}, Wait{}, "PAUSE: no action. I am (a), the leader with the lock"},
		{"leader still a replica, without the watchdog it needs", []change{noWatchdog, replica, func(o *Observation) { o.Store.View.Leader.Name = "a"; o.Store.LockProven = o.Now.Add(10 * time.Second) }}, ReleaseLeader{}, "Not promoting self because watchdog could not be activated"},
		{"leader still a replica is promoted", []change{replica, func(o *Observation) { o.Store.View.Leader.Name = "a"; o.Store.LockProven = o.Now.Add(10 * time.Second) }}, Promote{}, "promoted self to leader because I had the session lock"},
		{"nobody is promoted in pause", []change{replica, paused, func(o *Observation) { o.Store.View.Leader.Name = "a"; o.Store.LockProven = o.Now.Add(time.Second) }}, ReleaseLeader{}, "removed leader lock"},
		{"lock not yet proven", []change{func(o *Observation) { o.Store.LockProven = 0 }}, ProveLock{}, "proving"},
		{"proof run out while frozen", []change{func(o *Observation) { o.Now = o.Store.LockProven }}, ProveLock{}, "proving"},
		{"initialize key lost", []change{func(o *Observation) { o.Store.View.Initialize = cluster.Initialize{} }}, WriteInitialize{SystemID: systemID}, "system identifier"},
		{"config key lost", []change{func(o *Observation) { o.Store.View.Config = cluster.Document{} }}, WriteConfig{}, "configuration"},
		{"checkpoint after promotion", []change{func(o *Observation) { o.Memory.CheckpointPending = true }}, Checkpoint{}, "checkpoint"},
		{"checkpoint under way", []change{func(o *Observation) { o.Memory.CheckpointPending, o.Memory.CheckpointRunning = true, true }}, Wait{}, "no action"},
		{"restart asked for", []change{func(o *Observation) { o.Memory.RestartRequested = true }}, Restart{}, "restart"},

		// Requests seen by the leader.
		{"switchover asks the candidate first", []change{request("a", "b")}, AskPeers{Names: []string{"b"}}, "asking"},
		{"switchover to a healthy candidate", []change{request("a", "b"), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "switchover: demoting myself"},
		{"manual failover", []change{request("", "c"), answers("c", 1000)}, Demote{Mode: DemoteGraceful}, "manual failover: demoting myself"},
		{"switchover without candidate", []change{request("a", ""), answers("b", 1000), answers("c", 1, unreachable)}, Demote{Mode: DemoteGraceful}, "switchover: demoting myself"},
		{"candidate lags too far", []change{request("a", "b"), answers("b", 1000), func(o *Observation) { o.Store.View.Status.Optime = 1 << 30 }}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"candidate can't be reached", []change{request("a", "b"), answers("b", 1000, unreachable)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"candidate may not be promoted", []change{request("a", "b"), answers("b", 1000, tagged(cluster.Tags{"nofailover": true}))}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"candidate has lost its connection", []change{request("a", "b"), answers("b", 1000), noSenders, func(o *Observation) { o.Memory.RequestSince = o.Now }}, Wait{}, "waiting for a candidate to stream"},
		{"candidate does not come back", []change{request("a", "b"), answers("b", 1000), noSenders, func(o *Observation) { o.Memory.RequestSince = o.Now.Add(-time.Minute) }}, ClearFailover{Revision: 20}, "no candidate streams"},
		{"candidate streams from another replica", []change{request("a", "b"), answers("b", 1000), noSenders, func(o *Observation) { o.Store.View.Members[1].Tags = cluster.Tags{"replicatefrom": "c"} }}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"a change that was called off is not tried again", []change{request("a", "b"), answers("b", 1000), func(o *Observation) { o.Memory.RefusedRequest = 20 }}, ClearFailover{Revision: 20}, "called off"},
		{"request for another leader", []change{request("x", "b")}, ClearFailover{Revision: 20}, "leader name does not match: x != a"},
		{"request for the leader itself", []change{request("", "a")}, ClearFailover{Revision: 20}, "I am already the leader"},
		{"pause needs a candidate", []change{paused, request("a", "")}, ClearFailover{Revision: 20}, "only to a specific candidate"},
		{"scheduled, not yet", []change{request("a", "b"), at(time.Minute)}, Wait{}, "no action"},
		{"scheduled, due", []change{request("a", "b"), at(-time.Second), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"scheduled, stale", []change{request("a", "b"), at(-time.Minute)}, ClearFailover{Revision: 20}, "Found a stale switchover"},

		// Replicas.
		{"replica at rest", []change{replica}, Wait{}, "no action. I am (a), a secondary, and following a leader (b)"},
		{"replica follows the new leader", []change{replica, func(o *Observation) { o.Server.PrimaryConninfo.Host = "old" }}, Follow{Upstream: upB}, "following b"},
		{"replica follows the member of its tag", []change{replica, func(o *Observation) { o.Self.Tags = cluster.Tags{"replicatefrom": "c"} }}, Follow{Upstream: cluster.Upstream{Member: "c", Host: "c", Port: "5432"}}, "following c"},
		{"replica streaming on an older timeline is not bothered", []change{replica, func(o *Observation) { o.Server.Timeline = 1 }}, Wait{}, "no action"},
		{"replica cut off on an older timeline is compared", []change{replica, func(o *Observation) { o.Server.Timeline, o.Server.ReceiverStatus = 1, "" }}, CheckRewind{Leader: upB}, "comparing"},
		{"down without etcd is started to be read", []change{down("in production"), lost(time.Second)}, StartReplica{}, "starting as a secondary that can be read"},
		{"a replica down without etcd follows whom it knows", []change{replica, down("shut down in recovery"), lost(time.Second)}, StartReplica{Upstream: upB}, "starting as a secondary that can be read"},
		{"down without etcd in pause", []change{down("in production"), lost(time.Second), paused}, Wait{}, "PAUSE: DCS is not accessible"},
		{"it is compared where nothing can be done about it", []change{replica, func(o *Observation) {
			o.Server.Timeline, o.Server.ReceiverStatus = 1, ""
			o.Settings.UsePgRewind, o.Settings.RemoveDataDirOnDivergedTimeline = false, false
		}}, CheckRewind{Leader: upB}, "comparing"},
		{"and then said", []change{replica, diverged, judged(RewindNeeded), func(o *Observation) { o.Settings.UsePgRewind = false }}, Wait{}, "has diverged from leader b and can't be rewound; reinitialize it"},
		{"an answer does not hold for WAL that came later", []change{replica, diverged, judged(RewindNotNeeded), func(o *Observation) { o.Memory.RewindLSN = 900 }}, CheckRewind{Leader: upB}, "comparing"},
		{"replica known to have diverged is rewound", []change{replica, diverged}, Rewind{Leader: upB}, "running pg_rewind from b"},
		{"rewind waits for the checkpoint", []change{replica, diverged, func(o *Observation) { o.Store.View.Members[1].CheckpointPending = true }}, Wait{}, "Waiting for checkpoint on b before rewind"},
		{"diverged and nothing may be done", []change{replica, diverged, func(o *Observation) { o.Memory.Rewind = RewindFailed }}, Wait{}, "reinitialize it"},
		{"diverged and may be removed", []change{replica, diverged, func(o *Observation) { o.Memory.Rewind = RewindFailed; o.Settings.RemoveDataDirOnRewindFailure = true }}, Reinitialize{From: "b", Diverged: true}, "reinitializing due to diverged timelines"},
		{"but not over and over", []change{replica, diverged, func(o *Observation) {
			o.Memory.Rewind, o.Memory.CloneFailures, o.Memory.LastClone = RewindFailed, 1, o.Now
			o.Settings.RemoveDataDirOnRewindFailure = true
		}}, Wait{}, "waiting before another attempt to copy 'b'"},
		{"the WAL it needs is gone", []change{replica, func(o *Observation) { o.Server.ReceiverStatus, o.Server.WALGone = "", "removed" }}, Wait{}, "no action. I am (a), a secondary"},
		{"a rewind that was cut off", []change{replica, down("shut down"), func(o *Observation) { o.Server.RewindCut = true }}, Wait{}, "run reinit for a"},
		{"a rewind that was cut off, and is never run through recovery", []change{replica, down("in production"), func(o *Observation) { o.Server.RewindCut, o.Server.StandbySignal = true, false }}, Wait{}, "run reinit for a"},
		{"a rewind that was cut off, and data that may go", []change{replica, down("shut down"), func(o *Observation) { o.Server.RewindCut, o.Settings.RemoveDataDirOnRewindFailure = true, true }}, Reinitialize{From: "b", Diverged: true}, "pg_rewind did not come to its end"},
		{"the same while nobody leads", []change{orphan, down("shut down"), func(o *Observation) { o.Server.RewindCut, o.Settings.RemoveDataDirOnRewindFailure = true, true }}, Wait{}, "waiting for a leader to copy from"},
		{"a history file that is gone erases nothing", []change{func(o *Observation) { o.Server.History = nil }}, Wait{}, "no action"},
		{"primary without the lock", []change{replica, func(o *Observation) { o.Server.InRecovery = false }}, Demote{Mode: DemoteNoLock}, "demoting self because I do not have the lock"},
		{"primary without the lock in pause", []change{replica, paused, func(o *Observation) { o.Server.InRecovery = false }}, Wait{}, "PAUSE: continue to run as primary without lock"},
		{"reinitialize as asked", []change{replica, func(o *Observation) { o.Memory.ReinitializeRequested = true }}, Reinitialize{From: "b"}, "reinitializing"},

		// Nobody leads.
		{"race asks everybody", []change{orphan}, AskPeers{Names: []string{"b", "c"}}, "asking"},
		{"paused, ordered, and a primary is alive", []change{orphan, paused, request("", "a"), answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "PAUSE: following a different leader because i am not the healthiest node"},
		{"paused, ordered, and no primary answers", []change{orphan, paused, request("", "a"), answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self to leader by acquiring session lock"},
		{"race won at the same position", []change{orphan, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self to leader by acquiring session lock"},
		{"race lost to who is ahead", []change{orphan, answers("b", 0, unreachable), answers("c", 1001)}, Wait{}, "i am not the healthiest node"},
		{"the old primary lives", []change{orphan, answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "i am not the healthiest node"},
		{"nofailover of one ahead does not block", []change{orphan, answers("b", 0, unreachable), answers("c", 1001, tagged(cluster.Tags{"nofailover": true}))}, AcquireLeader{}, "promoted self"},
		{"priority breaks the tie", []change{orphan, answers("b", 0, unreachable), answers("c", 1000, tagged(cluster.Tags{"failover_priority": 5}))}, Wait{}, "i am not the healthiest node"},
		{"stale answers are asked again", []change{orphan, answers("b", 0, unreachable), answers("c", 1000), func(o *Observation) { o.Now = o.Now.Add(time.Minute) }}, AskPeers{Names: []string{"b", "c"}}, "asking"},
		{"too far behind the last known position", []change{orphan, func(o *Observation) { o.Store.View.Status.Optime = 1000 + 1<<20 + 1 }}, Wait{}, "i am not the healthiest node"},
		{"just near enough", []change{orphan, answers("b", 0, unreachable), answers("c", 1000), func(o *Observation) { o.Store.View.Status.Optime = 1000 + 1<<20 }}, AcquireLeader{}, "promoted self"},
		{"timeline unknown with check_timeline", []change{orphan, func(o *Observation) { o.Settings.CheckTimeline, o.Server.Timeline = true, 0 }}, Wait{}, "i am not the healthiest node"},
		{"replay is paused for limits", []change{replica, smallLimits}, Restart{}, "Resuming paused WAL replay"},
		{"replay is paused for limits, the lock is won", []change{promotable, smallLimits}, Restart{}, "Resuming paused WAL replay"},
		{"replay is paused by a user", []change{replica, func(o *Observation) { o.Server.ReplayPaused = true }}, Wait{}, "no action"},
		{"replay is paused for limits in pause", []change{replica, smallLimits, paused}, Wait{}, "no action"},
		{"pre_promote said no", []change{promotable, refusedPromotion}, ReleaseLeader{}, "pre-promote script failed"},
		{"pre_promote said no, long ago", []change{promotable, refusedPromotion, func(o *Observation) {
			o.Now = o.Now.Add(31 * time.Second)
			o.Store.LockProven = o.Now.Add(25 * time.Second)
		}}, Promote{}, "promoted self"},
		{"pre_promote said no, and nobody leads", []change{orphan, refusedPromotion}, Wait{}, "i am not the healthiest node"},
		{"pre_promote said no to an order in pause", []change{orphan, paused, request("", "a"), refusedPromotion}, Wait{}, "no action"},
		{"nofailover never races", []change{orphan, func(o *Observation) { o.Self.Tags = cluster.Tags{"nofailover": true} }}, Wait{}, "not allowed to promote"},
		{"no race in pause", []change{orphan, paused}, Wait{}, "PAUSE: no action. I am (a)"},
		{"named candidate asks the former leader", []change{orphan, request("b", "a")}, AskPeers{Names: []string{"b"}}, "whether a primary is still alive"},
		{"named candidate takes the lock", []change{orphan, request("b", "a"), answers("b", 0, stopped)}, AcquireLeader{}, "promoted self"},
		{"named candidate, and the key was removed by hand", []change{orphan, request("b", "a"), answers("b", 1000, primary)}, Wait{}, "not the healthiest"},
		{"named candidate takes the lock in pause", []change{answers("b", 1000), answers("c", 1000), orphan, paused, request("b", "a")}, AcquireLeader{}, "promoted self"},
		{"nobody is promoted under a proof that is nearly over", []change{replica, func(o *Observation) { o.Store.View.Leader.Name = "a"; o.Store.LockProven = o.Now.Add(time.Second) }}, ProveLock{}, "proving"},
		{"no start either", []change{down("in production"), func(o *Observation) { o.Store.LockProven = o.Now.Add(time.Second) }}, ProveLock{}, "proving"},
		{"named for a switchover, but too far behind", []change{orphan, request("b", "a"), answers("c", 3<<20), func(o *Observation) { o.Store.View.Status.Optime = 3 << 20 }}, Wait{}, "i am not the healthiest node"},
		{"named for a failover, too far behind", []change{orphan, request("", "a"), answers("b", 0, unreachable), answers("c", 1000), func(o *Observation) { o.Store.View.Status.Optime = 3 << 20 }}, AcquireLeader{}, "promoted self"},
		{"named for a failover, asks whether a primary is still alive", []change{orphan, request("", "a")}, AskPeers{Names: []string{"b", "c"}}, "asking"},
		{"a primary is being stopped and can't be queried", []change{orphan, answers("b", 0, unreachable, mayWrite), answers("c", 1000)}, Wait{}, "not the healthiest"},
		{"named for a failover while a primary is being stopped", []change{orphan, request("", "a"), answers("b", 0, unreachable, mayWrite), answers("c", 1000)}, Wait{}, "not the healthiest"},
		{"named for a failover, and a primary that has lost its key goes on", []change{orphan, request("", "a"), answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "not the healthiest"},
		{"far ahead on a branch that the cluster has left", []change{orphan, deadBranch}, Wait{}, "i am not the healthiest node"},
		{"who is far ahead on such a branch does not count", []change{orphan, answers("b", 0, unreachable), answers("c", 9<<20, func(p *Peer) { p.Timeline = 1 })}, AcquireLeader{}, "promoted self"},
		{"who can't lead for its timeline blocks nobody", []change{orphan, answers("b", 0, unreachable), answers("c", 9<<20, func(p *Peer) { p.Timeline = 1 }), func(o *Observation) { o.Settings.CheckTimeline = true }}, AcquireLeader{}, "promoted self"},
		{"a lost branch that no history names", []change{orphan, lostBranch}, Wait{}, "i am not the healthiest node"},
		{"who was asked to go is asked whether it has gone", []change{orphan, request("b", ""), answers("c", 1000)}, AskPeers{Names: []string{"b"}}, "asking the other members"},
		{"who was asked to go still writes, for somebody else has removed the key", []change{orphan, request("b", ""), answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "i am not the healthiest node"},
		{"who was asked to go is ahead by its last checkpoint", []change{orphan, request("b", ""), answers("b", 1120), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"another candidate is asked", []change{orphan, request("b", "c")}, AskPeers{Names: []string{"c"}}, "asking the candidate"},
		{"another candidate is healthy", []change{orphan, request("b", "c"), answers("c", 1000)}, Wait{}, "i am not the healthiest node"},
		{"another candidate is gone", []change{orphan, request("b", "c"), answers("b", 0, unreachable), answers("c", 0, unreachable)}, AcquireLeader{}, "promoted self"},
		{"who was asked to go waits for the others", []change{orphan, request("a", ""), answers("b", 1000), answers("c", 1000)}, Wait{}, "i am not the healthiest node"},
		{"who was asked to go may come back alone", []change{orphan, request("a", ""), answers("b", 0, unreachable), answers("c", 0, unreachable)}, AcquireLeader{}, "promoted self"},
		{"a running primary takes the lock back", []change{unlocked}, AcquireLeader{}, "acquired session lock as a leader"},
		{"a primary of an old timeline does not", []change{unlocked, func(o *Observation) { o.Server.Timeline = 1 }}, Demote{Mode: DemoteNoLock}, "i am not the healthiest node"},
		{"a key that names nobody can't be taken", []change{orphan, func(o *Observation) { o.Store.View.Leader.Present = true }}, Wait{}, "names nobody"},

		// No postmaster.
		{"crashed leader starts again", []change{down("in production")}, StartPrimary{Timeout: 300 * time.Second}, "starting primary after failure"},
		{"crashed leader that can't start gives up", []change{down("in production"), func(o *Observation) { o.Memory.StartFailures = 1 }}, ReleaseLeader{}, "after trying and failing to start postgres"},
		{"a primary that was stopped for a change that was called off", []change{down("shut down"), noStart, answers("b", 1000), answers("c", 1000), request("a", "b"), func(o *Observation) { o.Memory.RefusedRequest = 20 }}, StartPrimary{Timeout: 5 * time.Minute}, "stopped in order"},
		{"a primary that was stopped for a standby cluster that is none any more", []change{down("shut down"), noStart, answers("b", 1000), answers("c", 1000)}, StartPrimary{Timeout: 5 * time.Minute}, "stopped in order"},
		{"crashed leader, failover preferred", []change{down("in production"), noStart, answers("b", 1000), answers("c", 1000)}, ReleaseLeader{}, "fail over after a crash"},
		{"crashed leader, failover preferred, nobody there", []change{down("in production"), noStart, answers("b", 0, unreachable), answers("c", 0, unreachable)}, StartPrimary{Timeout: 300 * time.Second}, "starting primary"},
		{"leader that was a replica", []change{down("in archive recovery"), func(o *Observation) { o.Server.StandbySignal = true }}, StartReplica{}, "starting as readonly because i had the session lock"},
		{"dead in pause", []change{down("in production"), paused}, ReleaseLeader{}, "removed leader lock because postgres is not running"},
		{"stopped for a standby cluster that is none any more, in pause", []change{down("shut down"), paused, func(o *Observation) { o.Memory.DemotedCluster = true }}, StartPrimary{Timeout: 5 * time.Minute}, "starting as the primary again because it was stopped in order"},
		{"old primary, unclean", []change{replica, oldPrimary, down("in production")}, CrashRecovery{}, "single user mode"},
		{"old primary, clean, compares", []change{replica, oldPrimary, down("shut down")}, CheckRewind{Leader: upB}, "comparing"},
		{"old primary waits for the leader's promotion", []change{replica, oldPrimary, down("shut down"), func(o *Observation) { o.Store.View.Members[1].Role = cluster.RolePromoted }}, Wait{}, "waiting for leader b"},
		{"old primary, not diverged", []change{replica, oldPrimary, down("shut down"), judged(RewindNotNeeded)}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"old primary, diverged", []change{replica, oldPrimary, down("shut down"), judged(RewindNeeded)}, Rewind{Leader: upB}, "pg_rewind"},
		{"old primary, rewound", []change{replica, oldPrimary, down("shut down"), judged(RewindDone)}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"an answer about another leader does not count", []change{replica, oldPrimary, down("shut down"), judged(RewindNotNeeded), func(o *Observation) { o.Memory.RewindAgainst = "c" }}, CheckRewind{Leader: upB}, "comparing"},
		{"whole cluster down, old primary", []change{unlocked, down("in production")}, CrashRecovery{}, "single user mode"},
		{"whole cluster down, clean", []change{unlocked, down("shut down")}, StartReplica{}, "starting as a secondary"},
		{"a fresh copy is not compared", []change{replica, oldPrimary, down("in production"), func(o *Observation) { o.Server.BackupLabel = true }}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"a server whose recovery failed starts all the same", []change{replica, oldPrimary, down("in production"), func(o *Observation) { o.Memory.CrashRecoveryTried = true }}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"a server that died in its first start as a replica starts again", []change{replica, down("in production")}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"just handed over, the new leader is waited for", []change{unlocked, down("shut down"), func(o *Observation) { o.Memory.UnlockedSince = o.Now.Add(-time.Second) }}, Wait{}, "waiting for a new leader"},
		{"nobody takes over", []change{unlocked, down("shut down"), func(o *Observation) { o.Memory.UnlockedSince = o.Now.Add(-time.Minute) }}, StartReplica{}, "starting as a secondary"},
		{"failed starts are spaced", []change{replica, down("shut down in recovery"), func(o *Observation) { o.Memory.StartFailures, o.Memory.LastStart = 3, o.Now.Add(-time.Second) }}, Wait{}, "failed to start postgres"},

		// A postmaster that does not answer.
		{"leader starting", []change{starting}, Wait{}, "PostgreSQL is still starting up, 300 seconds until timeout"},
		{"leader starting too long", []change{starting, long, answers("b", 1000), answers("c", 1000)}, Demote{Mode: DemoteImmediate}, "startup timeout"},
		{"leader starting too long, alone", []change{starting, long, answers("b", 0, unreachable), answers("c", 0, unreachable)}, Wait{}, "failover is not possible"},
		{"replica starting", []change{replica, starting}, Wait{}, "Still starting up as a standby."},
		{"on another timeline of the leader's number", []change{replica, starting, lostPromotion}, Follow{}, "Still starting up as a standby."},
		{"for longer than a loop", []change{replica, starting, func(o *Observation) { o.Memory.StartingSince = o.Now.Add(-10 * time.Second) }}, Follow{Upstream: cluster.Upstream{Member: "b", Host: "b", Port: "5432"}}, "Still starting up as a standby."},
		{"for longer than a loop, while the leader has no address", []change{replica, starting, func(o *Observation) {
			o.Memory.StartingSince, o.Store.View.Members = o.Now.Add(-10*time.Second), nil
		}}, Wait{}, "Still starting up as a standby."},
		{"while nobody leads", []change{orphan, starting, func(o *Observation) { o.Memory.StartingSince = o.Now.Add(-10 * time.Second) }}, Wait{}, "Still starting up as a standby."},
		{"busy leader keeps the lock", []change{silent}, Wait{}, "Error communicating with PostgreSQL"},
		{"busy leader that was so for as long as a start may take", []change{silentFor(300 * time.Second), answers("b", 1000), answers("c", 1000)}, Demote{Mode: DemoteImmediate}, "PostgreSQL has not answered for 5m0s"},
		{"busy leader, failover preferred, for a loop and a retry", []change{silentFor(20 * time.Second), noStart, answers("b", 1000), answers("c", 1000)}, Demote{Mode: DemoteImmediate}, "PostgreSQL has not answered for 20s"},
		{"busy leader, failover preferred, for less", []change{silentFor(19 * time.Second), noStart, answers("b", 1000), answers("c", 1000)}, Wait{}, "Error communicating with PostgreSQL"},
		{"busy leader, a start may take less than a loop and a retry", []change{silentFor(19 * time.Second), func(o *Observation) { o.Settings.PrimaryStartTimeout = time.Second }, answers("b", 1000), answers("c", 1000)}, Wait{}, "Error communicating with PostgreSQL"},
		{"busy leader, failover preferred, alone", []change{silentFor(time.Hour), noStart, answers("b", 0, unreachable), answers("c", 0, unreachable)}, Wait{}, "Error communicating with PostgreSQL"},
		{"busy leader, failover preferred, in pause", []change{silentFor(time.Hour), noStart, paused, answers("b", 1000), answers("c", 1000)}, Wait{}, "Error communicating with PostgreSQL"},
		{"frozen postmaster is given time", []change{frozen(time.Second)}, Wait{}, "stopped by a signal"},
		{"frozen postmaster is killed", []change{frozen(10 * time.Second)}, KillServer{}, "killing postgres"},
		{"frozen primary beside another leader is killed at once", []change{ledBy("b"), frozen(0)}, KillServer{}, "I do not have the lock"},
		{"frozen replica is given time", []change{replica, frozen(time.Second)}, Wait{}, "stopped by a signal"},

		// etcd does not answer.
		{"primary waits a retry_timeout", []change{lost(time.Second)}, Wait{}, "DCS is not accessible"},
		{"primary without the lock gives up at once", []change{ledBy("b"), lost(0)}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible and I was a leader"},
		{"primary whose lock is gone gives up at once", []change{ledBy(""), lost(0)}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible and I was a leader"},
		{"so does one that has not proven it, as after a pause", []change{lost(0), func(o *Observation) { o.Store.LockProven = 0 }}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible and I was a leader"},
		{"primary gives up", []change{lost(10 * time.Second)}, Demote{Mode: DemoteOffline}, "demoting self because DCS is not accessible and I was a leader"},
		{"primary gives up before the lock ends", []change{lost(time.Second), func(o *Observation) { o.Store.LockProven = o.Now.Add(7 * time.Second) }}, Demote{Mode: DemoteOffline}, "demoting self"},
		{"a silent primary gives up too", []change{silent, lost(10 * time.Second)}, Demote{Mode: DemoteOffline}, "demoting self"},
		{"nobody is demoted in pause", []change{paused, lost(time.Hour)}, Wait{}, "DCS is not accessible"},
		{"replica without etcd", []change{replica, lost(time.Hour)}, Wait{}, "DCS is not accessible"},

		// No data, or not ours.
		{"first node founds the cluster", []change{noData, newCluster}, Bootstrap{}, "trying to bootstrap a new cluster"},
		{"somebody else founds it", []change{noData, newCluster, func(o *Observation) { o.Store.View.Initialize.Present = true }}, Wait{}, "waiting for leader to bootstrap"},
		{"a founder that died is forgotten", []change{noData, newCluster, func(o *Observation) {
			o.Store.View.Initialize.Present, o.Store.View.Initialize.Revision, o.Store.View.Members = true, 7, nil
			o.Memory.InitializeEmptySince = o.Now.Add(-o.Settings.TTL)
		}}, AbandonInitialize{Revision: 7}, "removing initialize key"},
		{"no bootstrap section", []change{noData, newCluster, func(o *Observation) { o.Self.CanBootstrap = false }}, Wait{}, "waiting for leader to bootstrap"},
		{"a new node clones the leader", []change{replica, noData}, Clone{From: "b"}, "trying to bootstrap from leader 'b'"},
		{"a new node clones who offers it", []change{replica, noData, func(o *Observation) { o.Store.View.Members[2].Tags = cluster.Tags{"clonefrom": true} }}, Clone{From: "c"}, "trying to bootstrap from replica 'c'"},
		{"a leader without data gives up", []change{noData}, ReleaseLeader{}, "data dir empty"},
		{"a directory that is no database is left alone", []change{replica, func(o *Observation) { o.Server.Data, o.Server.DataError = cluster.DataForeign, "it holds x" }}, Wait{}, "data directory is not accessible: it holds x"},
		{"data of another cluster", []change{replica, func(o *Observation) { o.Server.SystemID = "7000000000000000009" }}, Exit{Message: "system ID mismatch, node a belongs to a different cluster: 7000000000000000001 != 7000000000000000009 (the cluster's, and that of the data directory): point postgresql.data_dir to data of this cluster, or to an empty directory for a new copy, or correct scope"}, "system ID mismatch"},
		{"a replica must not name the cluster", []change{orphan, newCluster, func(o *Observation) { o.Memory.Joined, o.Memory.Adopted = false, true }}, Exit{Message: replicaFirst}, "No initialize key in DCS"},
		{"a primary names the cluster", []change{unlocked, newCluster, func(o *Observation) { o.Memory.Joined = false }}, WriteInitialize{SystemID: systemID}, "system identifier"},

		// Jobs, and the end.
		{"from a backup without a leader", []change{noData, unlocked, fromBackup}, Clone{}, "trying to bootstrap (without leader)"},
		{"not from a backup beside a leader", []change{replica, noData, fromBackup}, Clone{From: "b"}, "trying to bootstrap from leader 'b'"},
		{"not from a backup while a cluster is founded", []change{noData, newCluster, fromBackup, func(o *Observation) { o.Store.View.Initialize.Present = true }}, Wait{}, "waiting for leader to bootstrap"},
		{"a job goes on", []change{replica, running(JobClone)}, Wait{}, "bootstrap from leader in progress"},
		{"a promotion without the lock is cancelled", []change{replica, running(JobPromote)}, CancelJob{}, "lost leader before promote"},
		{"a promotion whose proof ran out is cancelled", []change{running(JobPromote), func(o *Observation) { o.Store.LockProven = o.Now }}, CancelJob{}, "lost leader before promote"},
		{"a demotion of a frozen server goes on at first", []change{running(JobDemote), frozenFor(time.Second)}, Wait{}, "demote"},
		{"and is ended when it lasts", []change{running(JobDemote), frozenFor(time.Minute)}, CancelJob{}, "stopped by a signal"},
		{"the end of a primary", []change{stopping}, Demote{Mode: DemoteShutdown}, "handing over"},
		{"the end of a replica", []change{replica, stopping}, Stop{}, "stopping PostgreSQL"},
		{"the end in pause leaves all as it is", []change{paused, stopping}, Done{}, "Leader key is not deleted"},
		{"the end with the key still held", []change{stopping, down("shut down")}, ReleaseLeader{}, "released"},
		{"the end", []change{replica, stopping, down("shut down")}, Done{}, "stopped"},
		{"a long job ends with the agent", []change{replica, stopping, running(JobClone)}, CancelJob{}, "stopping"},
	})
}

const replicaFirst = "No initialize key in DCS and PostgreSQL is running as replica, aborting start. " +
	"Please first start Patroni on the node running as primary"

func at(left time.Duration) change {
	return func(o *Observation) { o.Store.View.Failover.ScheduledAt = o.Wall.Add(left) }
}

func diverged(o *Observation) {
	o.Server.Timeline, o.Server.ReceiverStatus = 1, ""
	judged(RewindNeeded)(o)
}

func judged(s RewindState) change {
	return func(o *Observation) {
		o.Memory.Rewind, o.Memory.RewindAgainst, o.Memory.RewindAgainstTimeline = s, "b", 2
	}
}

func noSenders(o *Observation) { o.Server.Senders = nil }

// deadBranch puts the member far along timeline 1, which the cluster left at 500.
func deadBranch(o *Observation) {
	o.Server.Timeline, o.Server.ReceiveLSN = 1, 9<<20
	o.Store.View.Status.Optime = 3 << 20
}

// lostBranch puts the member far along timeline 3, which the cluster, now on 4, never had.
func lostBranch(o *Observation) {
	o.Store.View.History.Entries = []cluster.HistoryEntry{{Timeline: 1, LSN: 500}, {Timeline: 2, LSN: 900}, {Timeline: 4, LSN: 1000}}
	o.Server.Timeline, o.Server.ReceiveLSN = 3, 9<<20
	o.Store.View.Status.Optime = 3 << 20
}

// farBehind: the last leader wrote more than maximum_lag_on_failover after what this member has.
func farBehind(o *Observation) { o.Store.View.Status.Optime = 9 << 20 }

func noStart(o *Observation) { o.Settings.PrimaryStartTimeout = 0 }

func oldPrimary(o *Observation) { o.Server.StandbySignal = false }

func starting(o *Observation) {
	o.Server.Answered, o.Server.State = false, cluster.StateStarting
	o.Memory.StartingSince = o.Now
}

func long(o *Observation) { o.Memory.StartingSince = o.Now.Add(-time.Hour) }

func silent(o *Observation) { o.Server.Answered, o.Server.SilentFor = false, 5*time.Second }

func silentFor(d time.Duration) change {
	return func(o *Observation) { o.Server.Answered, o.Server.SilentFor = false, d }
}

func frozen(d time.Duration) change {
	return func(o *Observation) {
		o.Server.Process = cluster.ProcessFrozen
		o.Memory.FrozenSince = o.Now.Add(-d)
	}
}

// ledBy is a primary that has seen the lock go to another member, or to nobody.
func ledBy(name string) change {
	return func(o *Observation) {
		o.Store.View.Leader.Present, o.Store.View.Leader.Name, o.Store.LockProven = name != "", name, 0
	}
}

func lost(d time.Duration) change {
	return func(o *Observation) { o.Store.FailingSince = o.Now.Add(-d) }
}

func noData(o *Observation) {
	o.Server = cluster.Server{Data: cluster.DataEmpty, State: cluster.StateStopped}
	o.Memory.WasPrimary = false
}

func newCluster(o *Observation) {
	o.Store.View.Initialize = cluster.Initialize{}
	o.Store.View.Leader = cluster.Leader{}
}

func running(k JobKind) change {
	return func(o *Observation) { o.Job = &Job{Kind: k, Since: o.Now} }
}

func stopping(o *Observation) { o.Stopping = true }

// frozenFor: the postmaster was stopped by a signal so long ago.
func frozenFor(d time.Duration) change {
	return func(o *Observation) {
		o.Server.Process, o.Server.Answered = cluster.ProcessFrozen, false
		o.Memory.FrozenSince = o.Now.Add(-d)
	}
}
