package ha

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// upRemote is the server that the standby cluster of the tests follows.
var upRemote = cluster.Upstream{Host: "far", Port: "5433"}

func standbyCluster(o *Observation) {
	o.Settings.StandbyCluster = &cluster.StandbyCluster{Host: "far", Port: "5433", PrimarySlotName: "us"}
	for i := range o.Store.View.Members {
		o.Store.View.Members[i].Role = cluster.RoleReplica
	}
}

// standbyLeads makes the observer the standby leader, at rest.
func standbyLeads(o *Observation) {
	replica(o)
	standbyCluster(o)
	o.Store.View.Leader.Name = "a"
	o.Store.LockProven = o.Now.Add(25 * time.Second)
	o.Server.PrimaryConninfo = cluster.Upstream{Host: "far", Port: "5433", Slot: "us"}
}

func notStreaming(o *Observation) { o.Server.ReceiverStatus = "" }

// goneBack: the leader was rewound to the timeline of the remote server.
func goneBack(o *Observation) { o.Store.View.Members[1].Timeline = 1 }

// leftBranch: this server was rewound to a timeline before that of /history.
func leftBranch(o *Observation) { o.Server.Timeline, o.Server.History = 1, nil }

func branchBegan(o *Observation) cluster.LSN {
	lines := o.Store.View.History.Entries
	return lines[len(lines)-1].LSN
}

// againstRemote: it was the remote server that was asked, which was on that timeline.
func againstRemote(t cluster.Timeline) change {
	return func(o *Observation) { o.Memory.RewindAgainst, o.Memory.RewindAgainstTimeline = "", t }
}

func askedAlready(o *Observation) { o.Memory.RewindRetryAt = o.Now.Add(time.Second) }

func TestStandbyCluster(t *testing.T) {
	leading := cluster.Upstream{Host: "far", Port: "5433", Slot: "us"}
	cases := []struct {
		name string
		see  []change
		want Action
		line string
	}{
		{"leader at rest", []change{standbyLeads}, Wait{}, "no action. I am (a), the standby leader with the lock"},
		{"leader in pause keeps the lock", []change{standbyLeads, paused}, Wait{}, "PAUSE: no action. I am (a), the standby leader"},
		{"leader without the watchdog that a primary needs", []change{standbyLeads, noWatchdog}, Wait{}, "standby leader with the lock"},
		{"leader follows the remote server", []change{standbyLeads, func(o *Observation) { o.Server.PrimaryConninfo = upB }}, Follow{Upstream: leading}, "promoted self to a standby leader"},
		{"leader of a cluster fed by an archive follows nobody", []change{standbyLeads, func(o *Observation) { o.Settings.StandbyCluster.Host = "" }}, Follow{}, "promoted self to a standby leader"},
		{"the port has a default", []change{standbyLeads, func(o *Observation) { o.Settings.StandbyCluster.Port = "" }}, Follow{Upstream: cluster.Upstream{Host: "far", Port: "5432", Slot: "us"}}, "promoted self"},
		{"leader that does not stream compares", []change{standbyLeads, notStreaming}, CheckRewind{Leader: leading}, "comparing history with remote server far:5433"},
		{"but not all the time", []change{standbyLeads, notStreaming, func(o *Observation) { o.Memory.RewindRetryAt = o.Now.Add(time.Second) }}, Wait{}, "standby leader with the lock"},
		{"leader that has diverged", []change{standbyLeads, notStreaming, func(o *Observation) { o.Memory.Rewind = RewindNeeded }}, Rewind{Leader: leading}, "running pg_rewind from remote server"},
		{"an answer about a member says nothing of the remote server", []change{standbyLeads, notStreaming, judged(RewindNeeded)}, CheckRewind{Leader: leading}, "comparing"},
		{"diverged, and nothing can be done", []change{standbyLeads, notStreaming, func(o *Observation) { o.Memory.Rewind, o.Settings.UsePgRewind = RewindNeeded, false }}, Wait{}, "can't be rewound; reinitialize it"},
		{"a key of synchronous mode promises nothing here", []change{standbyLeads, func(o *Observation) {
			o.Store.View.Sync = cluster.SyncState{Leader: "b", Standbys: []string{"c"}, Revision: 30}
		}}, DeleteSync{Revision: 30}, "Disabled synchronous replication"},
		{"a history of a branch that was left", []change{standbyLeads, func(o *Observation) { o.Server.Timeline, o.Server.History = 1, nil }}, WriteHistory{History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{}}}, "branch that was left"},
		{"which the remote server confirms before it sends WAL", []change{standbyLeads, notStreaming, askedAlready, leftBranch, judged(RewindNotNeeded), againstRemote(1)}, WriteHistory{History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{}}}, "branch that was left"},
		{"but not if it has gone on since", []change{standbyLeads, notStreaming, askedAlready, leftBranch, judged(RewindNotNeeded), againstRemote(2)}, Wait{}, "the standby leader with the lock"},
		{"nor while another timeline of the same number could begin there", []change{standbyLeads, notStreaming, askedAlready, leftBranch, judged(RewindNotNeeded), againstRemote(1), func(o *Observation) {
			o.Server.ReceiveLSN, o.Server.ReplayLSN = branchBegan(o), branchBegan(o)
		}}, Wait{}, "the standby leader with the lock"},
		{"switchover gives the lock up", []change{standbyLeads, request("a", "b"), answers("b", 1000)}, ReleaseLeader{}, "switchover: demoting myself"},
		{"switchover to nobody", []change{standbyLeads, request("a", "b"), answers("b", 1000, unreachable)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"switchover in pause is not looked at", []change{standbyLeads, paused, request("a", "b")}, Wait{}, "standby leader with the lock"},
		{"lock not yet proven", []change{standbyLeads, func(o *Observation) { o.Store.LockProven = 0 }}, ProveLock{}, "proving"},
		{"the section is gone", []change{standbyLeads, func(o *Observation) { o.Settings.StandbyCluster = nil }}, Promote{}, "promoted self to leader because I had the session lock"},

		{"primary with the lock", []change{standbyCluster}, Demote{Mode: DemoteCluster}, "cannot be a real primary in standby cluster"},
		{"primary with the lock, in pause", []change{standbyCluster, paused}, Wait{}, "continue to run as primary without lock"},
		{"primary without the lock", []change{replica, standbyCluster, func(o *Observation) { o.Server.InRecovery = false }}, Demote{Mode: DemoteNoLock}, "cannot be a real primary in a standby cluster"},
		{"primary, nobody leads", []change{unlocked, standbyCluster}, Demote{Mode: DemoteNoLock}, "cannot be a real primary in a standby cluster"},
		{"a promotion under way is cancelled", []change{standbyLeads, running(JobPromote)}, CancelJob{}, "standby cluster"},

		{"replica at rest", []change{replica, standbyCluster}, Wait{}, "no action. I am (a), a secondary, and following a standby leader (b)"},
		{"replica follows the leader", []change{replica, standbyCluster, func(o *Observation) { o.Server.PrimaryConninfo = leading }}, Follow{Upstream: upB}, "following b"},
		{"replica that does not stream compares with the remote server", []change{replica, standbyCluster, notStreaming}, CheckRewind{Leader: upRemote}, "comparing history with remote server"},
		{"replica of a leader that has gone back to an older timeline follows nobody, before it asks", []change{replica, standbyCluster, notStreaming, goneBack}, Follow{}, "following nobody until it is known that b is on the same timeline 2"},
		{"also when it has asked already, and hears it meanwhile", []change{replica, standbyCluster, notStreaming, goneBack, running(JobCheckRewind)}, CancelJob{}, "before this server follows nobody"},
		{"who follows nobody may wait for the answer", []change{replica, standbyCluster, disconnected, goneBack, running(JobCheckRewind)}, Wait{}, "checking for divergence in progress"},
		{"then it asks", []change{replica, standbyCluster, disconnected, goneBack}, CheckRewind{Leader: upRemote}, "comparing history with remote server"},
		{"and stays alone", []change{replica, standbyCluster, disconnected, goneBack, askedAlready}, Wait{}, "following a standby leader (b)"},
		{"a key that is late does not disconnect who streams", []change{replica, standbyCluster, goneBack}, Wait{}, "following a standby leader (b)"},
		{"a stopped one starts without an upstream", []change{replica, standbyCluster, down("shut down in recovery"), notStreaming, goneBack}, StartReplica{}, "starting as a secondary"},
		{"nor is a leader followed that is on another timeline of the same number", []change{replica, standbyCluster, lostPromotion, disconnected, askedAlready}, Wait{}, "following a standby leader (b)"},
		{"where only an archive is followed, nobody would mend what /history tells", []change{replica, standbyCluster, lostPromotion, disconnected, func(o *Observation) { o.Settings.StandbyCluster.Host = "" }}, Follow{Upstream: upB}, "following b"},

		{"race asks everybody", []change{orphan, standbyCluster}, AskPeers{Names: []string{"b", "c"}}, "asking"},
		{"race won", []change{orphan, standbyCluster, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"race lost", []change{orphan, standbyCluster, answers("b", 0, unreachable), answers("c", 1001)}, Wait{}, "i am not the healthiest node"},
		{"an old timeline is no obstacle", []change{orphan, standbyCluster, answers("b", 0, unreachable), answers("c", 1000), func(o *Observation) { o.Settings.CheckTimeline, o.Server.Timeline = true, 1 }}, AcquireLeader{}, "promoted self"},
		{"nor is what an old history says of positions", []change{orphan, standbyCluster, answers("b", 0, unreachable), answers("c", 5<<20), func(o *Observation) {
			o.Server.Timeline, o.Server.ReceiveLSN, o.Store.View.Status.Optime = 1, 5<<20, 5<<20
		}}, AcquireLeader{}, "promoted self"},
		{"nobody leads for long", []change{orphan, standbyCluster, answers("b", 0, unreachable), answers("c", 1001), func(o *Observation) {
			o.Memory.UnlockedSince = o.Now.Add(-o.Settings.LoopWait)
		}}, Follow{Upstream: upRemote}, "trying to follow a remote member because standby cluster is unhealthy"},

		{"stopped leader starts", []change{standbyLeads, down("shut down in recovery")}, StartReplica{Upstream: leading}, "starting as a standby leader because i had the session lock"},
		{"stopped leader that was a primary starts", []change{standbyCluster, down("shut down")}, StartReplica{Upstream: leading}, "starting as a standby leader"},
		{"crashed primary recovers first", []change{standbyCluster, down("in production")}, CrashRecovery{}, "single user mode"},
		{"leader that can't start gives up", []change{standbyLeads, down("shut down in recovery"), func(o *Observation) { o.Memory.StartFailures = 1 }}, ReleaseLeader{}, "after trying and failing to start"},
		{"stopped replica starts", []change{replica, standbyCluster, down("shut down")}, StartReplica{Upstream: upB}, "starting as a secondary"},
		{"stopped, nobody leads", []change{orphan, standbyCluster, down("shut down")}, StartReplica{Upstream: upRemote}, "trying to follow a remote member"},

		{"first node copies the remote server", []change{noData, newCluster, standbyCluster}, Bootstrap{Standby: true, From: upRemote}, "trying to bootstrap a new standby leader"},
		{"first node copies a backup", []change{noData, newCluster, standbyCluster, fromBackup, func(o *Observation) { o.Settings.StandbyCluster = &cluster.StandbyCluster{RestoreCommand: "x"} }}, Bootstrap{Standby: true}, "trying to bootstrap a new standby leader"},
		{"nothing to copy", []change{noData, newCluster, standbyCluster, func(o *Observation) { o.Settings.StandbyCluster = &cluster.StandbyCluster{RestoreCommand: "x"} }}, Wait{}, "waiting for standby_leader"},
		{"nowhere to copy from", []change{noData, newCluster, standbyCluster, func(o *Observation) { o.Settings.StandbyCluster.Host = "" }}, Wait{}, "waiting for standby_leader to bootstrap"},
		{"a replica may name a standby cluster", []change{orphan, newCluster, standbyCluster, func(o *Observation) { o.Memory.Joined, o.Memory.Adopted = false, true }}, WriteInitialize{SystemID: systemID}, "system identifier"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := see(c.see...)
			d := Decide(o)
			if !reflect.DeepEqual(d.Action, c.want) || !strings.Contains(d.Line(o.Settings.Pause), c.line) {
				t.Errorf("%T%+v %q, want %T%+v %q", d.Action, d.Action, d.Line(o.Settings.Pause), c.want, c.want, c.line)
			}
		})
	}
}
