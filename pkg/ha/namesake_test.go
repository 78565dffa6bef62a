package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// lostPromotion: this server is on a timeline 2 that nobody has heard of, the cluster is on another one.
func lostPromotion(o *Observation) {
	own := oldHistory
	own.LSN = 700
	o.Server.History = []cluster.HistoryEntry{own}
}

func disconnected(o *Observation) {
	o.Server.PrimaryConninfo, o.Server.ReceiverStatus = cluster.Upstream{}, ""
}

// notPromoted: the leader has just taken the key, on timeline 1.
func notPromoted(o *Observation) {
	o.Store.View.Members[1].Role, o.Store.View.Members[1].Timeline = cluster.RoleReplica, 1
}

// shortHistory: max_timelines_history has cut /history down to the line after this member's timeline.
func shortHistory(o *Observation) {
	o.Server.Timeline, o.Server.History = 2, o.Server.History[:1]
	o.Store.View.History.Entries = o.Store.View.History.Entries[1:]
	o.Store.View.Members[1].Timeline = 3
}

// soFar: /history does not tell of timeline 2 yet, on which leader and member are.
func soFar(o *Observation) { o.Store.View.History.Entries = nil }

// otherStored: /history still tells of another timeline 2.
func otherStored(o *Observation) {
	o.Store.View.History.Entries = []cluster.HistoryEntry{{Timeline: 1, LSN: 400}}
}

func idle(o *Observation) { o.Server.ReceiverStatus = "" }

// moved: the cluster has gone on to timeline 3, and this member with it.
func moved(o *Observation) {
	next := cluster.HistoryEntry{Timeline: 2, LSN: 900}
	o.Server.Timeline, o.Server.History = 3, []cluster.HistoryEntry{oldHistory, next}
	o.Store.View.History.Entries = o.Server.History
}

// upstreamTells has the member stream from c by its tag, which tells where its timeline began, unless it runs Patroni.
func upstreamTells(timeline cluster.Timeline, fork cluster.LSN) change {
	return func(o *Observation) {
		o.Self.Tags = cluster.Tags{"replicatefrom": "c"}
		o.Store.View.Members[2].Timeline, o.Store.View.Members[2].Fork = timeline, fork
	}
}

// leaderOn has the leader's key tell where its timeline 2 began.
func leaderOn(fork cluster.LSN) change {
	return func(o *Observation) { o.Store.View.Members[1].Fork = fork }
}

func forked(at cluster.LSN) func(*Peer) {
	return func(p *Peer) { p.History = []cluster.HistoryEntry{{Timeline: 1, LSN: at}} }
}

// TestNamesake: two timelines of one number. PostgreSQL itself sees no difference.
func TestNamesake(t *testing.T) {
	byHand := func(o *Observation) { o.Settings.UsePgRewind = false }
	removable := func(o *Observation) { o.Settings.RemoveDataDirOnRewindFailure = true }
	decides(t, []decideCase{
		{"a replica that streams is disconnected at once", []change{replica, lostPromotion}, Follow{}, "following nobody until"},
		{"then it is compared", []change{replica, lostPromotion, disconnected}, CheckRewind{Leader: upB}, "comparing"},
		{"and stays alone while the leader can't be asked", []change{replica, lostPromotion, disconnected, func(o *Observation) { o.Memory.RewindRetryAt = o.Now.Add(1) }}, Wait{}, "no action"},
		{"or is not ready", []change{replica, lostPromotion, disconnected, notPromoted}, Wait{}, "no action"},
		{"a stopped one starts without an upstream until then", []change{replica, down("shut down in recovery"), lostPromotion, notPromoted}, StartReplica{}, "starting as a secondary"},
		{"nor does it with etcd away", []change{replica, down("shut down in recovery"), lostPromotion, func(o *Observation) { o.Store.FailingSince = o.Now.Add(-time.Minute) }}, StartReplica{}, "DCS is not accessible"},
		{"an ancestor counts as well", []change{replica, moved, lostPromotion, func(o *Observation) { o.Server.Timeline = 2 }}, Follow{}, "following nobody until"},
		{"so does a number that is gone from /history", []change{replica, moved, shortHistory, idle}, Follow{}, "following nobody until"},
		{"and another one of the number on which the leader still is that is to be promoted", []change{replica, leaderOn(700)}, Follow{}, "following nobody until"},
		{"upon which it waits for the promotion", []change{replica, disconnected, leaderOn(700), func(o *Observation) { o.Store.View.Members[1].Role = cluster.RoleReplica }}, Wait{}, "no action"},
		{"and is compared after that", []change{replica, disconnected, leaderOn(700)}, CheckRewind{Leader: upB}, "comparing"},
		{"so is one of a higher number that /history does not tell of", []change{replica, leaderOn(500), func(o *Observation) { o.Store.View.Members[1].Timeline = 3 }}, Follow{}, "following nobody until"},
		{"but not the same", []change{replica, leaderOn(500)}, Wait{}, "no action"},
		{"and one that the leader has come to but not written into /history", []change{replica, soFar, idle}, Follow{}, "following nobody until"},
		{"upon which it is compared", []change{replica, soFar, disconnected}, CheckRewind{Leader: upB}, "comparing"},
		{"but who streams goes on", []change{replica, soFar}, Wait{}, "no action"},
		{"but not while it streams", []change{replica, moved, shortHistory}, Wait{}, "no action"},
		{"nor does it follow a member of its tag that tells of another timeline of the number", []change{replica, upstreamTells(2, 700)}, Wait{}, "no action"},
		{"or of a higher one", []change{replica, upstreamTells(3, 700)}, Wait{}, "no action"},
		{"which may be the cluster's next in a standby cluster", []change{replica, standbyCluster, upstreamTells(3, 700)}, Follow{Upstream: upC}, "following c"},
		{"but one on the same", []change{replica, upstreamTells(2, 500)}, Follow{Upstream: upC}, "following c"},
		{"on an older one", []change{replica, upstreamTells(1, 0)}, Follow{Upstream: upC}, "following c"},
		{"or one that runs Patroni", []change{replica, upstreamTells(2, 0)}, Follow{Upstream: upC}, "following c"},
		{"a leader that may yet come to this number is not followed", []change{replica, disconnected, notPromoted}, Wait{}, "no action"},
		{"nor one that was followed before", []change{replica, notPromoted, func(o *Observation) { o.Server.ReceiverStatus = "" }}, Follow{}, "following nobody until"},
		{"a key that is late does not disconnect who streams", []change{replica, notPromoted}, Wait{}, "no action"},
		{"one that is the same is left alone", []change{replica, lostPromotion, judged(RewindNotNeeded)}, Wait{}, "no action"},
		{"it is rewound, which tells that it can't be", []change{replica, lostPromotion, judged(RewindNeeded)}, Rewind{Leader: upB}, "pg_rewind"},
		{"then it is cloned", []change{replica, lostPromotion, judged(RewindFailed), removable}, Reinitialize{From: "b", Diverged: true}, "reinitializing"},
		{"or follows nobody", []change{replica, lostPromotion, judged(RewindFailed)}, Follow{}, "reinitialize it"},
		{"without pg_rewind, too", []change{replica, lostPromotion, judged(RewindNeeded), byHand}, Follow{}, "reinitialize it"},
		{"and stays so", []change{replica, lostPromotion, judged(RewindNeeded), byHand, disconnected}, Wait{}, "reinitialize it"},
		{"a stopped one starts without an upstream", []change{replica, oldPrimary, down("shut down"), lostPromotion, judged(RewindFailed)}, StartReplica{}, "starting as a secondary"},
		{"a member of Patroni with more leads, to which it shows only what counts", []change{orphan, lostPromotion, disconnected, answers("b", 0, unreachable), answers("c", 501)}, Wait{}, "not the healthiest"},
		{"before it steps back it is disconnected from whom it followed", []change{orphan, lostPromotion, answers("b", 0, unreachable), answers("c", 501)}, Follow{}, "another one than the cluster's"},
		{"and not with as much", []change{orphan, lostPromotion, answers("b", 0, unreachable), answers("c", 500)}, AcquireLeader{}, "promoted self"},
		{"what it wrote on its own timeline does not count", []change{orphan, lostPromotion, disconnected, answers("b", 0, unreachable), answers("c", 600, forked(500))}, Wait{}, "not the healthiest"},
		{"nor for its lag", []change{orphan, lostPromotion, disconnected, answers("b", 0, unreachable), answers("c", 0, unreachable), func(o *Observation) { o.Settings.MaximumLagOnFailover = 499 }}, Wait{}, "not the healthiest"},
		{"nor does that of another", []change{orphan, answers("b", 0, unreachable), answers("c", 2000, forked(700))}, AcquireLeader{}, "promoted self"},
		{"which on the same timeline is ahead", []change{orphan, answers("b", 0, unreachable), answers("c", 2000, forked(500))}, Wait{}, "not the healthiest"},
		{"a lost timeline under an old number counts as far as both went together", []change{orphan, moved, answers("b", 0, unreachable), answers("c", 2000, forked(700))}, AcquireLeader{}, "promoted self"},
		{"a new leader first tells where its timeline began", []change{otherStored, request("a", "b")}, WriteHistory{History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{oldHistory}}}, "writing the timeline history"},
		{"which is not written for ever where a reason is no UTF-8", []change{func(o *Observation) {
			o.Server.History, o.Store.View.History.Entries = []cluster.HistoryEntry{{Timeline: 1, LSN: 500, Reason: "at \xe9"}}, []cluster.HistoryEntry{{Timeline: 1, LSN: 500, Reason: "at \ufffd"}}
		}}, Wait{}, "the leader with the lock"},
		{"in a standby cluster /history is replaced", []change{replica, standbyLeads, standbyCluster, lostPromotion}, WriteHistory{History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{{Timeline: 1, LSN: 700, Reason: oldHistory.Reason, Timestamp: oldHistory.Timestamp, NewLeader: "a"}}}}, "replacing the timeline history"},
	})
}

// TestStrayed: the cluster was on timeline 3, and went back to another timeline 2 by a manual failover to a member that
// had heard of neither.
func TestStrayed(t *testing.T) {
	lines := []cluster.HistoryEntry{{Timeline: 1, LSN: 400}, {Timeline: 2, LSN: 450}}
	third := func(p *Peer) { p.Timeline, p.History = 3, lines }
	onward := func(p *Peer) { p.Timeline, p.History = 3, []cluster.HistoryEntry{oldHistory, {Timeline: 2, LSN: 700}} }
	skipped := func(p *Peer) { p.Timeline, p.History = 3, []cluster.HistoryEntry{oldHistory} }
	stray := func(o *Observation) {
		orphan(o)
		o.Server.Timeline, o.Server.History, o.Server.ReceiveLSN, o.Server.ReplayLSN = 3, lines, 3000, 3000
	}
	quiet := answers("b", 0, unreachable, voted)
	// voter: b has led to this member and c. /history was written by a before, or by b.
	voter := func(o *Observation) { byQuorum("", 1, "a", "c")(o); syncLed("b")(o) }
	written := func(o *Observation) {
		line := oldHistory
		line.NewLeader = "b"
		o.Store.View.History.Entries = []cluster.HistoryEntry{line}
	}
	decides(t, []decideCase{
		{"what is on the higher number does not count", []change{stray, quiet, answers("c", 600, forked(500))}, Wait{}, "not the healthiest node"},
		{"nor for its lag", []change{stray, quiet, answers("c", 0, unreachable), func(o *Observation) { o.Settings.MaximumLagOnFailover = 599 }}, Wait{}, "not the healthiest node"},
		{"which it has from where the two parted", []change{stray, quiet, answers("c", 0, unreachable), func(o *Observation) { o.Settings.MaximumLagOnFailover = 600 }}, AcquireLeader{}, "promoted self"},
		{"nor that of another", []change{orphan, quiet, answers("c", 3000, third)}, AcquireLeader{}, "promoted self"},
		{"nor for a switchover", []change{stray, request("b", "a"), quiet, answers("c", 600, forked(500)), func(o *Observation) { o.Settings.MaximumLagOnFailover = 599 }}, Wait{}, "not the healthiest node"},
		{"a promotion that /history does not tell of yet counts", []change{orphan, quiet, answers("c", 3000, onward)}, Wait{}, "not the healthiest node"},
		{"also one that left a number out, of which Patroni tells nothing", []change{orphan, quiet, answers("c", 3000, skipped)}, Wait{}, "not the healthiest node"},
		{"a member of Patroni has more, to which it shows only what counts", []change{stray, quiet, answers("c", 401)}, Wait{}, "not the healthiest node"},
		{"with a quorum it gives its vote to who is on the lower number", []change{orphan, voter, written, quiet, answers("c", 3000, third, voted)}, AcquireLeader{}, "promoted self"},
		{"and gets none", []change{stray, voter, written, quiet, answers("c", 600, forked(500), voted)}, Wait{}, "not the healthiest node"},
		{"but not before the last leader has written /history, which may have led there", []change{orphan, voter, quiet, answers("c", 3000, third, voted)}, Wait{}, "not the healthiest node"},
		{"upon which it does not lead either", []change{stray, voter, quiet, answers("c", 600, forked(500), voted)}, Wait{}, "not the healthiest node"},
	})
}

// TestUnheard: PostgreSQL would give the next timeline the number that it knows to be free, which /history may know not
// to be.
func TestUnheard(t *testing.T) {
	// elected holds the lock, on timeline 1, of which the cluster's timeline 2 began at 500.
	elected := func(lsn cluster.LSN) change {
		return func(o *Observation) {
			o.Server.InRecovery, o.Server.FlushLSN, o.Server.ReceiveLSN, o.Server.ReplayLSN = true, 0, lsn, lsn
			o.Server.StandbySignal, o.Server.Senders, o.Server.Timeline, o.Server.History = true, nil, 1, nil
			o.Memory.WasPrimary = false
		}
	}
	next := cluster.HistoryEntry{Timeline: 2, LSN: 900}
	third := func(o *Observation) { o.Store.View.History.Entries = []cluster.HistoryEntry{oldHistory, next} }
	decides(t, []decideCase{
		{"it began where this server ends", []change{elected(500)}, Promote{Unheard: []cluster.HistoryEntry{oldHistory}}, "promoted self"},
		{"and was not the last", []change{elected(500), third}, Promote{Unheard: []cluster.HistoryEntry{oldHistory, next}}, "promoted self"},
		{"this server has less", []change{elected(499)}, Promote{}, "promoted self"},
		{"it has more", []change{elected(501)}, Promote{}, "promoted self"},
		{"it has received the beginning of a record more", []change{elected(500), func(o *Observation) { o.Server.ReceiveLSN = 501 }}, Promote{Unheard: []cluster.HistoryEntry{oldHistory}}, "promoted self"},
		{"it has not replayed as much yet", []change{elected(499), func(o *Observation) { o.Server.ReceiveLSN = 500 }}, Wait{}, "waiting for the end of the WAL"},
		{"it is still replaying its own", []change{elected(400), func(o *Observation) { o.Server.Replaying = true }}, Wait{}, "waiting for the end of the WAL"},
		{"that is paused", []change{elected(400), func(o *Observation) { o.Server.Replaying, o.Server.ReplayPaused = true, true }}, Promote{}, "promoted self"},
		{"on the second timeline", []change{elected(900), third, func(o *Observation) {
			o.Server.Timeline, o.Server.History = 2, []cluster.HistoryEntry{oldHistory}
		}}, Promote{Unheard: []cluster.HistoryEntry{next}}, "promoted self"},
		{"which /history tells no more of", []change{elected(900), third, func(o *Observation) {
			o.Server.Timeline, o.Server.History = 2, []cluster.HistoryEntry{oldHistory}
			o.Store.View.History.Entries = []cluster.HistoryEntry{next}
		}}, Promote{Unheard: []cluster.HistoryEntry{next}}, "promoted self"},
		{"on another second timeline", []change{elected(900), third, func(o *Observation) {
			o.Server.Timeline = 2
			lostPromotion(o)
		}}, Promote{}, "promoted self"},
	})
}
