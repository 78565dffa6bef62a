package ha

import (
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// lostPromotion: this server is on a timeline 2 that nobody has heard of, the cluster is on another one.
func lostPromotion(o *Observation) {
	own := oldHistory
	own.LSN = 700
	o.Server.History = []cluster.HistoryEntry{own}
}

// TestNamesake: two timelines of one number. PostgreSQL itself sees no difference.
func TestNamesake(t *testing.T) {
	byHand := func(o *Observation) { o.Settings.UsePgRewind = false }
	removable := func(o *Observation) { o.Settings.RemoveDataDirOnRewindFailure = true }
	decides(t, []decideCase{
		{"a replica that streams is compared", []change{replica, lostPromotion}, CheckRewind{Leader: upB}, "comparing"},
		{"one that is the same is left alone", []change{replica, lostPromotion, judged(RewindNotNeeded)}, Wait{}, "no action"},
		{"it is rewound, which tells that it can't be", []change{replica, lostPromotion, judged(RewindNeeded)}, Rewind{Leader: upB}, "pg_rewind"},
		{"then it is cloned", []change{replica, lostPromotion, judged(RewindFailed), removable}, Reinitialize{From: "b", Diverged: true}, "reinitializing"},
		{"or follows nobody", []change{replica, lostPromotion, judged(RewindFailed)}, Follow{}, "reinitialize it"},
		{"without pg_rewind, too", []change{replica, lostPromotion, judged(RewindNeeded), byHand}, Follow{}, "reinitialize it"},
		{"and stays so", []change{replica, lostPromotion, judged(RewindNeeded), byHand, func(o *Observation) { o.Server.PrimaryConninfo, o.Server.ReceiverStatus = cluster.Upstream{}, "" }}, Wait{}, "reinitialize it"},
		{"a stopped one starts without an upstream", []change{replica, oldPrimary, down("shut down"), lostPromotion, judged(RewindFailed)}, StartReplica{}, "starting as a secondary"},
		{"others can't see it and would wait for it, so it may lead", []change{orphan, lostPromotion, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"in a standby cluster /history is replaced", []change{replica, standbyLeads, standbyCluster, lostPromotion}, WriteHistory{History: cluster.History{Present: true, Entries: []cluster.HistoryEntry{{Timeline: 1, LSN: 700, Reason: oldHistory.Reason, Timestamp: oldHistory.Timestamp, NewLeader: "a"}}}}, "replacing the timeline history"},
	})
}
