package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func restartAsked(o *Observation) { o.Memory.RestartRequested = true }

func handedOver(o *Observation) { o.Memory.HandedOver, o.Memory.Rewind = true, RewindCheck }

func refusedChange(o *Observation) { o.Memory.RefusedRequest = 20 }

// won: the leader key was created after the request.
func won(o *Observation) { o.Store.View.Leader.Revision, o.Store.View.Leader.Created = 21, 21 }

// leasedAnew: the leader key was put on another lease since the request, as an agent does that was restarted, or whose ttl
// was changed.
func leasedAnew(o *Observation) { o.Store.View.Leader.Revision = 21 }

// firstView: the agent has just begun.
func firstView(o *Observation) { o.Store.View = nil }

// foreign: the data directory is of another cluster.
func foreign(o *Observation) { o.Server.SystemID = "7000000000000000009" }

func scheduledFor(leader string, left time.Duration) change {
	return func(o *Observation) {
		request(leader, "b")(o)
		at(left)(o)
	}
}

// TestPause: what a paused cluster still does. Source: ha.md 7.1, 8, 14, 19.
func TestPause(t *testing.T) {
	decides(t, []decideCase{
		{"stays down", []change{replica, down("shut down in recovery"), paused}, Wait{}, "PAUSE: postgres is not running"},
		{"stays down after a crash, though it was rewound once", []change{replica, down("shut down in recovery"), paused, judged(RewindNotNeeded)}, Wait{}, "postgres is not running"},
		{"after a handover it is compared", []change{replica, oldPrimary, down("shut down"), paused, handedOver}, CheckRewind{Leader: upB}, "comparing"},
		{"and rewound", []change{replica, oldPrimary, down("shut down"), paused, handedOver, judged(RewindNeeded)}, Rewind{Leader: upB}, "pg_rewind"},
		{"and started", []change{replica, oldPrimary, down("shut down"), paused, handedOver, judged(RewindNotNeeded)}, StartReplica{Upstream: upB}, "PAUSE: starting as a secondary"},
		{"after a handover to nobody yet it waits", []change{unlocked, down("shut down"), paused, handedOver}, Wait{}, "postgres is not running"},
		{"a switchover that was called off", []change{down("shut down"), paused, request("a", "b"), refusedChange}, StartPrimary{Timeout: 5 * time.Minute}, "stopped in order"},
		{"a restart starts a replica", []change{replica, down("shut down in recovery"), paused, restartAsked}, Restart{}, "restart requested"},
		{"a restart starts a primary", []change{unlocked, down("shut down"), paused, restartAsked}, Restart{}, "restart requested"},
		{"a restart makes no second primary", []change{replica, oldPrimary, down("shut down"), paused, restartAsked}, Wait{}, "postgres is not running"},
		{"a restart of a running replica", []change{replica, paused, restartAsked}, Restart{}, "restart requested"},
		{"a restart without a leader", []change{orphan, paused, restartAsked}, Restart{}, "restart requested"},
		{"reinitialize", []change{replica, paused, func(o *Observation) { o.Memory.ReinitializeRequested = true }}, Reinitialize{From: "b"}, "reinitializing"},
		{"a start that takes too long", []change{starting, long, paused, answers("b", 1000), answers("c", 1000)}, Wait{}, "PostgreSQL is still starting up"},
		{"a primary beside another leader that does not answer", []change{replica, starting, paused, func(o *Observation) { o.Memory.WasPrimary = true }}, Wait{}, "Still starting up"},
		{"a switchover to a candidate", []change{paused, request("a", "b"), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "PAUSE: switchover: demoting myself"},
		{"a manual failover to a candidate", []change{paused, request("", "b"), answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "PAUSE: manual failover: demoting myself"},
		{"a failover to a candidate that may not lead", []change{paused, request("", "b"), answers("b", 1000, tagged(cluster.Tags{"nofailover": true}))}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"a scheduled one stays as it is", []change{paused, scheduledFor("a", -time.Hour)}, Wait{}, "PAUSE: no action"},
		{"nobody is named, nobody leads", []change{orphan, paused, request("b", "")}, Wait{}, "PAUSE: no action. I am (a)"},
		{"data of another cluster is left alone", []change{replica, paused, func(o *Observation) { o.Server.SystemID = "7000000000000000009" }}, Wait{}, "PAUSE: no action"},
		{"who was named takes the lock", []change{orphan, paused, request("b", "a"), answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "PAUSE: promoted self"},
		{"a primary that knows nothing yet while etcd is away", []change{paused, lost(time.Hour), firstView}, Wait{}, "PAUSE: waiting on etcd"},
		{"but not if it lacks too much of a leader that did not hand over", []change{orphan, paused, request("b", "a"), farBehind, answers("b", 0, unreachable), answers("c", 9<<20)}, Wait{}, "i am not the healthiest node"},
		{"nor on an old timeline", []change{orphan, paused, request("b", "a"), func(o *Observation) { o.Settings.CheckTimeline, o.Server.Timeline = true, 1 }, answers("b", 0, unreachable), answers("c", 1000)}, Wait{}, "i am not the healthiest node"},
		{"unless it is ordered", []change{orphan, paused, request("", "a"), farBehind, answers("b", 0, unreachable), answers("c", 9<<20)}, AcquireLeader{}, "promoted self"},
		{"nor with data of another cluster, ordered or not", []change{orphan, paused, request("", "a"), foreign, answers("b", 0, unreachable), answers("c", 1000)}, Wait{}, "PAUSE: no action. I am (a)"},
		{"a leader with data of another cluster", []change{paused, func(o *Observation) { o.Server.SystemID = "7000000000000000009" }}, ReleaseLeader{}, "due to the system ID mismatch"},
	})
}

// TestRequests: requests of users besides. Source: ha.md 9.1, 14.
func TestRequests(t *testing.T) {
	decides(t, []decideCase{
		{"it is cleared by who has won", []change{request("b", "a"), won}, ClearFailover{Revision: 20}, "Cleaning up failover key after acquiring leader lock..."},
		{"so is one for later", []change{scheduledFor("b", time.Hour), won}, ClearFailover{Revision: 20}, "Cleaning up failover key after acquiring leader lock..."},
		{"one for later outlives the lease", []change{scheduledFor("a", time.Hour), leasedAnew}, Wait{}, "no action"},
		{"and is done in time", []change{scheduledFor("a", -time.Second), leasedAnew, answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "switchover: demoting myself"},
		{"one for now outlives the lease", []change{request("a", "b"), leasedAnew, answers("b", 1000)}, Demote{Mode: DemoteGraceful}, "switchover: demoting myself"},
		{"one for later that names another leader waits for its time", []change{scheduledFor("x", time.Hour)}, Wait{}, "no action"},
		{"and is refused then", []change{scheduledFor("x", -time.Second)}, ClearFailover{Revision: 20}, "leader name does not match: x != a"},
		{"an order while the server does not answer", []change{silent, request("", "b")}, AskPeers{Names: []string{"b"}}, "whether they can take over"},
		{"it is followed at once", []change{silent, request("", "b"), answers("b", 1000)}, Demote{Mode: DemoteImmediate}, "manual failover: demoting myself"},
		{"in pause, too", []change{silent, paused, request("", "b"), answers("b", 1000)}, Demote{Mode: DemoteImmediate}, "manual failover: demoting myself"},
		{"and while it starts", []change{starting, request("", "b"), answers("b", 1000)}, Demote{Mode: DemoteImmediate}, "manual failover: demoting myself"},
		{"and while it is started", []change{down("in production"), running(JobStartPrimary), request("", "b"), answers("b", 1000)}, CancelJob{}, "manual failover: demoting myself"},
		{"a start that was told to end goes on to", []change{down("in production"), running(JobStartPrimary), func(o *Observation) { o.Job.Cancelled = true }, request("", "b"), answers("b", 1000)}, Wait{}, "starting primary after failure"},
		{"an order that nobody can follow is turned down", []change{silent, request("", "b"), answers("b", 0, unreachable)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"an order from the reign before is not for this one", []change{silent, request("", "b"), won, answers("b", 1000)}, Wait{}, "Error communicating"},
		{"who promised something in failsafe mode is waited for", []change{silent, request("", "b"), answers("b", 1000), func(o *Observation) { o.Memory.Failsafe.Bound = o.Now.Add(time.Second) }}, Wait{}, "free of what they promised"},
		{"a switchover waits until the server answers, for it is to lose nothing", []change{silent, request("a", "b"), answers("b", 1000)}, Wait{}, "Error communicating"},
		{"a restart while nobody leads", []change{orphan, restartAsked, func(o *Observation) { o.Self.Tags = cluster.Tags{"nofailover": true} }}, Restart{}, "restart requested"},
		{"the lock comes before a restart", []change{orphan, restartAsked, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"a primary that starts beside another leader is stopped", []change{replica, starting, func(o *Observation) { o.Memory.WasPrimary = true }}, Demote{Mode: DemoteNoLock}, "stopped PostgreSQL while starting up because leader key was lost"},
		{"so is one that does not answer", []change{replica, silent, func(o *Observation) { o.Memory.WasPrimary = true }}, Demote{Mode: DemoteNoLock}, "demoting self because I do not have the lock and I was a leader"},
	})
}

// TestTags: what the tags of members change. Source: ha.md 5.2, 9, 11.1, 24; keyspace.md 4.2.
func TestTags(t *testing.T) {
	tagged := func(name string, value any) change {
		return func(o *Observation) { o.Self.Tags = cluster.Tags{name: value} }
	}
	other := func(i int, name string, value any) change {
		return func(o *Observation) { o.Store.View.Members[i].Tags = cluster.Tags{name: value} }
	}
	decides(t, []decideCase{
		{"nostream follows nobody", []change{replica, down("shut down in recovery"), tagged("nostream", true), judged(RewindNotNeeded)}, StartReplica{}, "starting as a secondary"},
		{"nostream that streams is told to end it", []change{replica, tagged("nostream", true)}, Follow{}, "following nobody"},
		{"nostream is left alone once it follows nobody", []change{replica, tagged("nostream", true), func(o *Observation) { o.Server.PrimaryConninfo, o.Server.ReceiverStatus = cluster.Upstream{}, "" }}, Wait{}, "no action"},
		{"replicatefrom a member that is not there", []change{replica, tagged("replicatefrom", "gone")}, Wait{}, "no action"},
		{"replicatefrom itself", []change{replica, tagged("replicatefrom", "a")}, Wait{}, "no action"},
		{"noloadbalance decides nothing", []change{replica, tagged("noloadbalance", true)}, Wait{}, "no action. I am (a), a secondary"},
		{"nofailover founds no cluster", []change{noData, newCluster, tagged("nofailover", true)}, Wait{}, "waiting for leader to bootstrap"},
		{"nofailover of a running primary", []change{unlocked, tagged("nofailover", true)}, AcquireLeader{}, "acquired session lock as a leader"},
		{"clonefrom of a member that does not run", []change{replica, noData, other(2, "clonefrom", true), func(o *Observation) { o.Store.View.Members[2].State = cluster.StateStopped }}, Clone{From: "b"}, "from leader 'b'"},
		{"clonefrom of the leader", []change{replica, noData, other(1, "clonefrom", true)}, Clone{From: "b"}, "from leader 'b'"},
		{"reinitialize from who offers it", []change{replica, other(2, "clonefrom", true), func(o *Observation) { o.Memory.ReinitializeRequested = true }}, Reinitialize{From: "c"}, "reinitializing"},
		{"reinitialize from the leader alone", []change{replica, other(2, "clonefrom", true), func(o *Observation) {
			o.Memory.ReinitializeRequested, o.Memory.ReinitializeFromLeader = true, true
		}}, Reinitialize{From: "b"}, "reinitializing"},
	})
}

// TestCheckTimeline: with check_timeline only members on the cluster's timeline take part. Source: ha.md 9.4.2, 14.2.
func TestCheckTimeline(t *testing.T) {
	check := func(o *Observation) { o.Settings.CheckTimeline = true }
	old := func(p *Peer) { p.Timeline = 1 }
	unknown := func(p *Peer) { p.Timeline = 0 }
	decides(t, []decideCase{
		{"on an old timeline", []change{orphan, check, func(o *Observation) { o.Server.Timeline = 1 }}, Wait{}, "i am not the healthiest node"},
		{"on the cluster's", []change{orphan, check, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"a candidate on an old timeline", []change{check, request("a", "b"), answers("b", 1000, old)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"a candidate that does not know its timeline", []change{check, request("a", "b"), answers("b", 1000, unknown)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"without it the timeline of a candidate does not matter", []change{request("a", "b"), answers("b", 1000, old)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"a standby cluster has no timeline of its own", []change{orphan, standbyCluster, check, func(o *Observation) { o.Server.Timeline = 1 }, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self to a standby leader by acquiring session lock"},
	})
}

// TestTitles: jobs are called what Patroni calls them. Source: ha.md 4.
func TestTitles(t *testing.T) {
	titled := func(kind JobKind, title string) change {
		return func(o *Observation) { o.Job = &Job{Kind: kind, Title: title, Since: o.Now} }
	}
	decides(t, []decideCase{
		{"a handover", []change{replica, titled(JobDemote, "switchover: demote")}, Wait{}, "switchover: demote in progress"},
		{"a handover that still holds the lock", []change{titled(JobDemote, "switchover: demote")}, Wait{}, "updated leader lock during switchover: demote"},
		{"a bootstrap", []change{noData, unlocked, founder, titled(JobBootstrap, "")}, Wait{}, "bootstrap in progress"},
	})
	d := Decide(see(unlocked, titled(JobKill, "")))
	if last := d.Reasons[len(d.Reasons)-1].Text; last != "not healthy enough for leader race" {
		t.Errorf("says %q", last)
	}
}
