package ha

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

func on(names string, standbys ...string) change {
	return synchronous(cluster.SyncOn, names, 0, standbys...)
}

func byQuorum(names string, q int, standbys ...string) change {
	return synchronous(cluster.SyncQuorum, names, q, standbys...)
}

// voted is an answer that was asked for under the present key.
func voted(p *Peer) { p.SyncRevision = 30 }

// key is what is written to /sync over the revision that was seen.
func key(leader string, q int, standbys ...string) WriteSync {
	return WriteSync{State: cluster.SyncState{Leader: leader, Standbys: standbys, Quorum: q}, Revision: 30}
}

func gone(name string) change {
	return func(o *Observation) {
		var left []cluster.Sender
		for _, s := range o.Server.Senders {
			if s.ApplicationName != name {
				left = append(left, s)
			}
		}
		o.Server.Senders = left
	}
}

func tags(member int, t cluster.Tags) change {
	return func(o *Observation) { o.Store.View.Members[member].Tags = t }
}

func leads(o *Observation) {
	o.Store.View.Leader.Name, o.Store.LockProven = "a", o.Now.Add(20*time.Second)
}

// voidRequest is a switchover from b, which has gone, to a candidate that is not in /sync; nobody has led for a while.
func voidRequest(candidate string, unlocked time.Duration, more ...change) []change {
	return append([]change{orphan, on("d", "d"), syncLed("b"), func(o *Observation) {
		o.Store.View.Failover = cluster.FailoverRequest{Leader: "b", Candidate: candidate, Revision: 7}
		o.Memory.UnlockedSince, o.Memory.RequestSince = o.Now.Add(-unlocked), o.Now.Add(-time.Minute)
	}}, more...)
}

// lacking is a switchover from b to this member, which is a voter and behind all others.
func lacking(unlocked time.Duration) []change {
	return voidRequest("a", unlocked, byQuorum("ANY 1 (a,d)", 1, "a", "d"), syncLed("b"), answers("b", 5000, voted), answers("c", 5000, voted), answers("d", 5000, voted))
}

// inVain: other names could not be set some time ago, and the server may come to go by them all the same.
func inVain(o *Observation) {
	other := "c"
	o.Memory.Sync.Asked, o.Memory.Sync.FailedAt, o.Memory.Sync.Settled = &other, o.Now.Add(-time.Minute), false
}

func TestSynchronous(t *testing.T) {
	blocked := quorum.Blocked().Text()
	cases := []struct {
		name string
		see  []change
		want Action
		line string
	}{
		// A switchover whose leader has died, and whose candidate is not synchronous.
		{"its candidate waits at first", voidRequest("a", time.Second), Wait{}, "not the healthiest node"},
		{"then it takes the request away", voidRequest("a", 11*time.Second), ClearFailover{Revision: 7}, "a may not take over, and b has gone"},
		{"so does any other", voidRequest("c", 11*time.Second), ClearFailover{Revision: 7}, "c may not take over, and b has gone"},
		{"with a quorum, too", voidRequest("c", 11*time.Second, byQuorum("ANY 1 (a,d)", 1, "a", "d"), syncLed("b")), ClearFailover{Revision: 7}, "c may not take over"},
		{"one that is listed and lacks the votes waits at first", lacking(time.Second), Wait{}, "not the healthiest node"},
		{"and takes the request away, too", lacking(11 * time.Second), ClearFailover{Revision: 7}, "a may not take over, and b has gone"},
		{"so is one whose candidate is not in /failsafe", voidRequest("c", 11*time.Second, func(o *Observation) {
			o.Settings.SynchronousMode, o.Settings.FailsafeMode = cluster.SyncOff, true
			o.Store.View.Failsafe = map[string]string{"a": "http://a/patroni", "b": "http://b/patroni"}
		}), ClearFailover{Revision: 7}, "c may not take over"},
		{"the candidate does it itself, too", voidRequest("a", 11*time.Second, func(o *Observation) {
			o.Settings.SynchronousMode, o.Settings.FailsafeMode = cluster.SyncOff, true
			o.Store.View.Failsafe = map[string]string{"b": "http://b/patroni"}
		}), ClearFailover{Revision: 7}, "a may not take over, and b has gone"},
		{"a manual failover is an order", append(voidRequest("a", 11*time.Second), answers("b", 0, unreachable, voted), answers("c", 1000, voted), func(o *Observation) { o.Store.View.Failover.Leader = "" }), AcquireLeader{}, "promoted self"},
		// The primary.
		{"turned on", []change{on(""), func(o *Observation) { o.Store.View.Sync = cluster.SyncState{} }}, WriteSync{State: cluster.SyncState{Leader: "a"}}, "Enabled synchronous replication"},
		{"somebody else's key", []change{on(""), syncLed("b")}, key("a", 0), "Enabled"},
		{"a key of an earlier time, as of a backup of etcd, is not", []change{on("b", "b"), func(o *Observation) { o.Memory.Sync.Written, o.Memory.Sync.Stale = 99, 30 }}, key("a", 0), "of an earlier time"},
		{"a key that may not be ours is written again first", []change{on("b", "b"), func(o *Observation) { o.Memory.Sync.Written = 29 }}, WriteSync{State: cluster.SyncState{Leader: "a", Standbys: []string{"b"}, Revision: 30}, Revision: 30}, "confirming"},
		{"the best candidate is named", []change{on(""), func(o *Observation) { o.Server.Senders[1].FlushLSN = 1001 }}, SetSyncNames{Names: "c"}, "Assigning synchronous standby status to c"},
		{"the higher priority is named", []change{on(""), tags(2, cluster.Tags{"sync_priority": 2})}, SetSyncNames{Names: "c"}, "c"},
		{"nosync is not", []change{on(""), tags(1, cluster.Tags{"nosync": true})}, SetSyncNames{Names: "c"}, "c"},
		{"nofailover only if there is no other", []change{on(""), tags(1, cluster.Tags{"nofailover": true})}, SetSyncNames{Names: "c"}, "c"},
		{"who cascades is not", []change{on(""), tags(1, cluster.Tags{"replicatefrom": "c"})}, SetSyncNames{Names: "c"}, "c"},
		{"who lags too far is not", []change{on(""), func(o *Observation) { o.Settings.MaximumLagOnSyncnode, o.Server.Senders[0].FlushLSN = 100, 899 }}, SetSyncNames{Names: "c"}, "c"},
		{"two of them", []change{on(""), func(o *Observation) { o.Settings.SynchronousNodeCount = 2 }}, SetSyncNames{Names: "2 (b,c)"}, "b, c"},
		{"confirmed, it is listed", []change{on("b")}, key("a", 0, "b"), "Synchronous standby status assigned to b"},
		{"not before it has everything", []change{on("b"), func(o *Observation) { o.Server.Senders[0].FlushLSN = 899 }}, Wait{}, "no action"},
		{"nor before its sender has read the names", []change{on("b"), func(o *Observation) { o.Server.Senders[0].SyncPriority = 0 }}, Wait{}, "no action"},
		{"nor before the names have settled", []change{on("b"), func(o *Observation) { o.Memory.Sync.Mark = 0 }}, Wait{}, "no action"},
		{"at rest", []change{on("b", "b")}, Wait{}, "no action"},
		{"who is synchronous stays so", []change{on("b", "b"), func(o *Observation) { o.Server.Senders[1].FlushLSN = 2000 }}, Wait{}, "no action"},
		{"replaced by a higher priority: both for a while", []change{on("b", "b"), tags(2, cluster.Tags{"sync_priority": 2})}, SetSyncNames{Names: "2 (b,c)"}, "b, c"},
		{"then the old one leaves", []change{on("2 (b,c)", "b", "c"), tags(2, cluster.Tags{"sync_priority": 2})}, key("a", 0, "c"), "from b, c to c"},
		{"a standby has gone: the key first", []change{on("b", "b"), gone("b")}, key("a", 0), "Updating synchronous privilege temporarily from b to"},
		{"then the other takes its place", []change{on("b"), gone("b")}, SetSyncNames{Names: "c"}, "c"},
		{"nobody left", []change{on("b"), gone("b"), gone("c")}, SetSyncNames{}, "commits wait for none"},
		{"nobody left, strict", []change{on("b"), gone("b"), gone("c"), strict}, SetSyncNames{Names: blocked}, "No standbys available"},
		{"strict turned off", []change{on(blocked), gone("b"), gone("c")}, SetSyncNames{}, "commits wait for none"},
		{"just started: standbys may come back", []change{on("b", "b"), gone("b"), gone("c"), func(o *Observation) { o.Memory.Sync.PrimarySince = o.Now.Add(-time.Second) }}, Wait{}, "no action"},
		{"but not one that has stopped", []change{on("b", "b"), gone("b"), gone("c"), func(o *Observation) {
			o.Memory.Sync.PrimarySince = o.Now.Add(-time.Second)
			o.Store.View.Members[1].State = cluster.StateStopped
		}}, key("a", 0), "Updating"},
		{"a setting of somebody else counts for nothing", []change{on("*", "b")}, key("a", 0), "Updating"},
		{"turned off: the key first", []change{on("b", "b"), func(o *Observation) { o.Settings.SynchronousMode = cluster.SyncOff }}, DeleteSync{Revision: 30}, "Disabled synchronous replication"},
		{"then the names", []change{on("b"), func(o *Observation) {
			o.Settings.SynchronousMode = cluster.SyncOff
			o.Store.View.Sync = cluster.SyncState{}
		}}, ReleaseSyncNames{}, "synchronous_standby_names"},
		{"kept in pause", []change{paused, on("b", "b"), gone("b")}, key("a", 0), "PAUSE: Updating"},

		{"names that can't be set do not keep others waiting", []change{on(""), func(o *Observation) { o.Memory.Sync.FailedAt = o.Now.Add(-time.Second) }, request("a", "b"), answers("b", 1000, voted)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"they are tried again", []change{on(""), func(o *Observation) { o.Memory.Sync.FailedAt = o.Now.Add(-time.Minute) }}, SetSyncNames{Names: "b"}, "b"},

		// Quorum commit.
		{"quorum: nobody left, strict", []change{byQuorum("ANY 1 (b,c)", 0), gone("b"), gone("c"), strict}, SetSyncNames{Names: blocked}, "Commits will be delayed"},
		{"quorum: strict turned off", []change{byQuorum(blocked, 0), gone("b"), gone("c")}, SetSyncNames{}, "commits wait for none"},
		{"quorum: strict turned off, and * as Patroni leaves it", []change{byQuorum("ANY 1 (*)", 0), gone("b"), gone("c")}, SetSyncNames{}, "commits wait for none"},
		{"quorum: strict turned off while the voters are still listed", []change{byQuorum("ANY 1 (b,c)", 1, "b", "c"), gone("b"), gone("c")}, key("a", 0), "quorum to 0 of 0"},
		{"quorum: all are named", []change{byQuorum("", 0)}, SetSyncNames{Names: "ANY 1 (b,c)"}, "Setting synchronous replication to 1 of 2 (b, c)"},
		{"quorum: listed when one is confirmed", []change{byQuorum("ANY 1 (b,c)", 0), func(o *Observation) { o.Server.Senders[1].FlushLSN = 899 }}, key("a", 1, "b", "c"), "Setting leader to a, quorum to 1 of 2 (b, c)"},
		{"quorum: at rest", []change{byQuorum("ANY 1 (b,c)", 1, "b", "c")}, Wait{}, "no action"},
		{"from each to any: the key first", []change{byQuorum("2 (b,c)", 0, "b", "c")}, key("a", 1, "b", "c"), "quorum to 1 of 2"},
		{"from any to one: the names first", []change{on("ANY 1 (b,c)", "b", "c"), func(o *Observation) { o.Store.View.Sync.Quorum = 1 }}, SetSyncNames{Names: "b"}, "b"},

		// Promotion.
		{"names itself first", []change{replica, on("", "a"), syncLed("b"), leads, func(o *Observation) { o.Memory.Sync.Judged = 30 }}, key("a", 0), "before promotion"},
		{"then is promoted", []change{replica, on(""), leads}, Promote{}, "promoted self"},
		{"not before nobody can acknowledge", []change{replica, on(""), leads, strict}, SetSyncNames{Names: blocked}, "preparing for a promotion"},
		{"nor before that is in force", []change{replica, on(blocked), leads, strict, func(o *Observation) { o.Memory.Sync.Settled = false }}, Wait{}, "waiting for PostgreSQL"},
		{"others were set in vain, or not, and it is told again", []change{replica, on(blocked), leads, strict, inVain}, SetSyncNames{Names: blocked}, "preparing for a promotion"},
		{"who can't set its names gives the lock up", []change{replica, on("b"), leads, func(o *Observation) { o.Memory.Sync.FailedAt = o.Now.Add(-time.Second) }}, ReleaseLeader{}, "can't be set"},
		{"and does not go for it", []change{orphan, on("b", "a"), syncLed("b"), func(o *Observation) { o.Memory.Sync.FailedAt = o.Now.Add(-time.Second) }}, Wait{}, "i am not the healthiest node"},
		{"the key has changed since the race", []change{replica, on("", "c"), syncLed("b"), leads}, ReleaseLeader{}, "released leader key"},
		{"and still lists this member", []change{replica, on("", "a"), syncLed("b"), leads}, key("a", 0), "before promotion"},
		{"a user has ordered it", []change{replica, on("", "c"), syncLed("b"), leads, request("", "a")}, key("a", 0), "before promotion"},
		{"a quorum goes on under a new leader", []change{replica, byQuorum("ANY 1 (b,c)", 1, "a", "c"), syncLed("b"), leads, func(o *Observation) { o.Memory.Sync.Judged, o.Memory.Sync.Alive = 30, []string{"c"} }}, key("a", 1, "b", "c"), "before promotion"},
		{"then is promoted", []change{replica, byQuorum("ANY 1 (b,c)", 1, "b", "c"), leads, func(o *Observation) { o.Memory.Sync.Alive = []string{"c"} }}, Promote{}, "promoted self"},
		{"a new voter brings one more", []change{replica, byQuorum("ANY 2 (b,c)", 0, "c"), syncLed("b"), leads, func(o *Observation) { o.Memory.Sync.Judged, o.Memory.Sync.Alive = 30, []string{"b", "c"} }}, key("a", 0, "b", "c"), "before promotion"},
		{"nobody to go on with: alone", []change{replica, byQuorum("ANY 1 (b,c)", 1, "a", "c"), syncLed("b"), leads}, SetSyncNames{}, "preparing for a promotion"},
		{"unless strict", []change{replica, byQuorum("ANY 1 (b,c)", 1, "a", "c"), syncLed("b"), leads, strict, func(o *Observation) { o.Memory.Sync.Judged = 30 }}, key("a", 1, "b", "c"), "before promotion"},
		{"names that are not read in time are not relied on", []change{replica, byQuorum("ANY 1 (b,c)", 1, "a", "c"), syncLed("b"), leads, func(o *Observation) {
			o.Memory.Sync.Judged, o.Memory.Sync.Alive, o.Memory.Sync.Settled = 30, []string{"c"}, false
		}}, key("a", 0), "before promotion"},
		{"a replica of a quorum keeps the names that it would need", []change{replica, byQuorum("", 1, "a", "c"), syncLed("b")}, SetSyncNames{Names: "ANY 1 (b,c)"}, "preparing for a promotion"},
		{"names of another reign are cleared", []change{replica, on("c"), leads}, SetSyncNames{}, "preparing for a promotion"},
		{"names of a mode that is off are given back", []change{replica, on("c"), leads, func(o *Observation) { o.Settings.SynchronousMode, o.Store.View.Sync.Revision = cluster.SyncOff, 0 }}, ReleaseSyncNames{}, "synchronous_standby_names"},
		{"a key of a mode that is off goes before the promotion", []change{replica, on("c"), leads, func(o *Observation) { o.Settings.SynchronousMode = cluster.SyncOff }}, DeleteSync{Revision: 30}, "Disabled synchronous replication"},
		{"who was told with these names keeps them", []change{replica, on("c"), leads, func(o *Observation) { o.Server.Promoting = true }}, Promote{}, "promoted self"},
		{"a replica keeps what its promotion would need", []change{replica, on(""), strict}, SetSyncNames{Names: blocked}, "preparing for a promotion"},

		// The race.
		{"a standby wins", []change{orphan, on("", "a"), syncLed("b"), answers("b", 0, unreachable, voted)}, AcquireLeader{}, "promoted self"},
		{"who is not listed asks nobody", []change{orphan, on("", "c"), syncLed("b")}, Wait{}, "i am not the healthiest node"},
		{"who is not listed does not keep others from it", []change{orphan, on("", "a"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 2000)}, AcquireLeader{}, "promoted self"},
		{"alone in the key, it asks others for the newest view and not for their leave", []change{orphan, on(""), answers("b", 2000, voted), answers("c", 2000, voted)}, AcquireLeader{}, "promoted self"},
		{"nor the only standby when the leader was asked to go", []change{orphan, on("", "a"), syncLed("b"), request("b", ""), answers("b", 0, unreachable, voted), answers("c", 2000, voted)}, AcquireLeader{}, "promoted self"},
		{"the leader of the key needs no votes", []change{orphan, byQuorum("", 1, "b", "c"), answers("b", 0, unreachable, voted), answers("c", 0, unreachable, voted)}, AcquireLeader{}, "promoted self"},
		{"alone in the key, it asks the others to see what is new", []change{orphan, on("")}, AskPeers{Names: []string{"b", "c"}}, "asking"},
		{"but does not compare itself with them", []change{orphan, on(""), answers("b", 2000, voted), answers("c", 2000, voted)}, AcquireLeader{}, "promoted self"},
		{"nor when the leader of the key was asked to go", []change{orphan, on("", "a"), syncLed("b"), request("b", "c"), answers("b", 1000, voted), answers("c", 2000, voted)}, AcquireLeader{}, "promoted self"},
		{"a voter needs them", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 0, unreachable, voted)}, Wait{}, "i am not the healthiest node"},
		{"and gets them", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 1000, voted)}, AcquireLeader{}, "promoted self"},
		{"but not from who is ahead", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 1001, voted)}, Wait{}, "i am not the healthiest node"},
		{"nor from a newer timeline", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 10, voted, func(p *Peer) { p.Timeline = 3 })}, Wait{}, "i am not the healthiest node"},
		{"nor from who has not replayed all that it has", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 900, voted, func(p *Peer) { p.Replaying = true })}, Wait{}, "i am not the healthiest node"},
		{"nor from an answer of another reign", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 1000)}, AskPeers{Names: []string{"c"}}, "asking"},
		{"the quorum counts while the mode changes", []change{orphan, on("", "a", "c"), syncLed("b"), func(o *Observation) { o.Store.View.Sync.Quorum = 1 }, answers("b", 0, unreachable, voted), answers("c", 0, unreachable, voted)}, Wait{}, "i am not the healthiest node"},
		{"who is no voter needs one more", []change{orphan, byQuorum("", 0, "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 0, unreachable, voted)}, Wait{}, "i am not the healthiest node"},
		{"a candidate of a switchover needs to be listed", []change{orphan, on("", "c"), syncLed("b"), request("b", "a")}, Wait{}, "i am not the healthiest node"},
		{"a candidate that a user has ordered does not", []change{orphan, on("", "c"), syncLed("b"), request("", "a"), answers("b", 0, unreachable, voted), answers("c", 1000, voted)}, AcquireLeader{}, "promoted self"},
		{"nobody waits for a candidate that may not", []change{orphan, on("", "a"), syncLed("b"), request("b", "c"), answers("b", 0, unreachable, voted), answers("c", 1000, voted)}, AcquireLeader{}, "promoted self"},
		{"a primary that the key does not name", []change{unlocked, on("", "c"), syncLed("b")}, Demote{Mode: DemoteNoLock}, "demoting self"},
		{"a stopped one that holds the lock", []change{on("", "c"), syncLed("b"), down("shut down")}, StartReplica{}, "starting as readonly"},

		// A standby that wants to go.
		{"a standby that stops asks first", []change{replica, stopping, on("", "a"), syncLed("b")}, LeaveSync{}, "Waiting for primary to release us"},
		{"and stops when it was let go", []change{replica, stopping, on("", "c"), syncLed("b")}, Stop{}, "stopping PostgreSQL"},
		{"or after a while", []change{replica, stopping, on("", "a"), syncLed("b"), func(o *Observation) { o.Memory.Sync.LeavingSince = o.Now.Add(-20 * time.Second) }}, Stop{}, "stopping PostgreSQL"},
		{"a restart asks", []change{replica, on("", "a"), syncLed("b"), func(o *Observation) { o.Memory.RestartRequested = true }}, LeaveSync{}, "Waiting for primary"},
		{"a new copy of the data asks", []change{replica, on("", "a"), syncLed("b"), func(o *Observation) { o.Memory.ReinitializeRequested = true }}, LeaveSync{}, "Waiting for primary"},
		{"nobody asks when there is no leader", []change{orphan, stopping, on("", "a"), syncLed("b")}, Stop{}, "stopping PostgreSQL"},

		// Requests.
		{"a switchover to who is not listed", []change{on("b", "b"), request("a", "c"), answers("c", 1000, voted)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"a failover to who is not listed", []change{on("b", "b"), request("", "c"), answers("c", 1000, voted)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
		{"a switchover to anybody asks the listed", []change{on("b", "b"), request("a", "")}, AskPeers{Names: []string{"b"}}, "asking"},
		{"a switchover without a quorum", []change{byQuorum("ANY 1 (b,c)", 1, "b", "c"), request("a", ""), answers("b", 1000, voted), answers("c", 0, unreachable, voted)}, ClearFailover{Revision: 20}, "no healthy members found"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			o := see(c.see...)
			d := Decide(o)
			if !reflect.DeepEqual(normal(d.Action), normal(c.want)) {
				t.Errorf("decided %T%+v because %v\nwant %T%+v", d.Action, d.Action, d.Reasons, c.want, c.want)
			}
			if line := d.Line(o.Settings.Pause); !strings.Contains(line, c.line) {
				t.Errorf("says %q\nwant %q in it", line, c.line)
			}
		})
	}
}

// normal makes no difference between no standbys and an empty list of them.
func normal(a Action) Action {
	if w, ok := a.(WriteSync); ok && len(w.State.Standbys) == 0 {
		w.State.Standbys = nil
		return w
	}
	return a
}

// TestSettled: names are in force everywhere only after a while, and when the checkpointer is at rest; another
// server or other names begin anew.
func TestSettled(t *testing.T) {
	var m SyncMemory
	look := func(after time.Duration, changes ...change) {
		o := see(append([]change{on("b")}, changes...)...)
		o.Now = start.Add(after)
		m.Note(&o)
	}
	busy := func(o *Observation) { o.Server.CheckpointerIdle = false }
	check := func(when string, want cluster.LSN, since clock.Instant) {
		t.Helper()
		if m.Mark != want || m.Since != since {
			t.Errorf("%s: mark %d since %d, want %d since %d", when, m.Mark, m.Since, want, since)
		}
	}
	look(0)
	check("at first", 0, start)
	look(time.Second, busy)
	check("while the checkpointer is busy", 0, start)
	look(2*time.Second, func(o *Observation) { o.Server.FlushLSN = 1500 })
	check("settled", 1500, start)
	look(3 * time.Second)
	check("later", 1500, start)
	look(4*time.Second, func(o *Observation) { o.Server.SynchronousNames = "c" })
	check("other names", 0, start.Add(4*time.Second))
	look(5*time.Second, busy, func(o *Observation) { o.Server.SynchronousNames = "c" })
	check("from names to names the checkpointer is not needed", 1000, start.Add(4*time.Second))
	look(5100*time.Millisecond, func(o *Observation) { o.Server.SynchronousNames = "" })
	look(5200*time.Millisecond, busy)
	look(5900*time.Millisecond, busy)
	check("from none to some it is", 0, start.Add(5200*time.Millisecond))
	look(6*time.Second, func(o *Observation) { o.Server.SynchronousNames, o.Server.PostmasterPID = "c", 101 })
	check("another server", 0, start.Add(6*time.Second))
	if m.PrimarySince != start.Add(6*time.Second) {
		t.Errorf("another server is primary since %d", m.PrimarySince)
	}
}

// TestNamesThatWereSet: until the server is seen with them, what it shows may be in force no longer, and nobody is
// confirmed by it.
func TestNamesThatWereSet(t *testing.T) {
	o, asked := see(on("b")), "c"
	o.Server.SynchronousNames, o.Server.PostmasterPID = "b", 7
	m := SyncMemory{Names: "b", PID: 7, Since: 1, Waits: true, Settled: true, Mark: 100, Asked: &asked}
	m.Note(&o)
	if m.Settled || m.Mark != 0 || m.Asked == nil {
		t.Errorf("the old names count: %+v", m)
	}
	o.Server.SynchronousNames, o.Memory.Sync = "c", m
	m.Note(&o)
	if m.Asked != nil || m.Names != "c" {
		t.Errorf("the new names are not noticed: %+v", m)
	}
}

// TestSyncGoesBack: a revision of /sync that has gone back is that of a backup, until it is written again.
func TestSyncGoesBack(t *testing.T) {
	var m SyncMemory
	for i, c := range []struct{ revision, stale int64 }{
		{30, 0}, {31, 0}, {0, 0}, {31, 0}, {20, 20}, {20, 20}, {25, 0}, {24, 24}, {0, 0}, {7, 0},
	} {
		o := see(func(o *Observation) { o.Store.View.Sync.Revision = c.revision })
		if m.Note(&o); m.Stale != c.stale {
			t.Errorf("%d: at revision %d %d is stale, not %d", i, c.revision, m.Stale, c.stale)
		}
	}
}
