package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// copied: this member's data are marked as a copy since a minute.
func copied(o *Observation) {
	o.Server.Copied = true
	o.Memory.Copy = CopyMemory{Since: o.Now.Add(-time.Minute), Reign: o.Store.View.Leader.Revision}
}

// had: the leader had so much when it was asked after the copy.
func had(lsn cluster.LSN) change {
	return func(o *Observation) { o.Memory.Copy.Had, o.Memory.Copy.Timeline = lsn, 2 }
}

func copiedToo(p *Peer) { p.Copied = true }

// TestCopied: a member that /sync names by what it had before its data were copied neither leads nor votes.
func TestCopied(t *testing.T) {
	failed := func(d time.Duration) change {
		return func(o *Observation) { o.Memory.Copy.FailedAt = o.Now.Add(-d) }
	}
	ask := AskPeers{Names: []string{"b"}}
	listed := []change{orphan, on("", "a"), syncLed("b"), copied, answers("b", 0, unreachable, voted), answers("c", 0, unreachable, voted)}
	with := func(more ...change) []change { return append(listed[:len(listed):len(listed)], more...) }
	decides(t, []decideCase{
		// Nobody leads.
		{"a listed standby does not lead", listed, Wait{}, "i am not the healthiest node"},
		{"without the mark it does", with(func(o *Observation) { o.Server.Copied = false }), AcquireLeader{}, "promoted self"},
		{"nor does the former leader", with(func(o *Observation) { o.Store.View.Sync = cluster.SyncState{Leader: "a", Revision: 30} }), Wait{}, "i am not the healthiest node"},
		{"nor the candidate of a switchover", with(request("b", "a")), Wait{}, "i am not the healthiest node"},
		{"an order to this member overrides that", with(request("", "a")), AcquireLeader{}, "promoted self"},
		{"nor a voter with votes", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), copied, answers("b", 0, unreachable, voted), answers("c", 1000, voted)}, Wait{}, "i am not the healthiest node"},
		{"who is no voter has the votes of others", []change{orphan, byQuorum("", 0, "c"), syncLed("b"), copied, answers("b", 0, unreachable, voted), answers("c", 1000, voted)}, AcquireLeader{}, "promoted self"},
		{"without synchronous replication it leads", []change{orphan, copied, answers("b", 0, unreachable), answers("c", 1000)}, AcquireLeader{}, "promoted self"},
		{"it has what the leader had", with(had(1000)), TrustCopy{}, "taking the mark away"},
		{"on another timeline that counts for nothing", with(had(1000), func(o *Observation) { o.Memory.Copy.Timeline = 3 }), Wait{}, "i am not the healthiest node"},
		{"nor on another one of that number", with(had(1000), func(o *Observation) {
			o.Server.History = []cluster.HistoryEntry{{Timeline: 1, LSN: 400}}
			disconnected(o)
		}), Wait{}, "i am not the healthiest node"},
		{"what it has only received may not be on its disk", with(had(1000), func(o *Observation) { o.Server.ReplayLSN = 999 }), Wait{}, "i am not the healthiest node"},
		{"its vote does not count", []change{orphan, byQuorum("", 1, "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 900, voted, copiedToo)}, Wait{}, "i am not the healthiest node"},
		{"nor does it keep others from the lock", []change{orphan, on("", "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 2000, voted, copiedToo)}, AcquireLeader{}, "promoted self"},
		{"unless it may still write", []change{orphan, on("", "a", "c"), syncLed("b"), answers("b", 0, unreachable, voted), answers("c", 2000, voted, copiedToo, mayWrite)}, Wait{}, "i am not the healthiest node"},
		{"nobody waits for it as the candidate", []change{orphan, on("", "a", "c"), syncLed("b"), request("b", "c"), answers("b", 0, unreachable, voted), answers("c", 1000, voted, copiedToo)}, AcquireLeader{}, "promoted self"},
		{"who has the lock gives it up", []change{replica, on("", "a"), syncLed("b"), leads, copied}, ReleaseLeader{}, "may have commits that this one lacks"},

		// Somebody leads.
		{"the leader is asked", []change{replica, on("", "a"), syncLed("b"), copied}, ask, "asking leader 'b'"},
		{"whether it is listed or not", []change{replica, copied}, ask, "asking leader 'b'"},
		{"but not in a standby cluster", []change{replica, standbyCluster, copied}, Wait{}, "following a standby leader"},
		{"one that does not answer is left alone", []change{replica, copied, answers("b", 0, unreachable, ago(9*time.Second))}, Wait{}, "no action"},
		{"for a loop_wait", []change{replica, copied, answers("b", 0, unreachable, ago(10*time.Second))}, ask, "asking leader 'b'"},
		{"one that is no primary yet for a second", []change{replica, copied, answers("b", 1000, ago(time.Second))}, ask, "asking leader 'b'"},
		{"an answer from before the mark was seen is none", []change{replica, copied, answers("b", 1000, primary, ago(time.Second)), func(o *Observation) { o.Memory.Copy.Since = o.Now }}, ask, "asking leader 'b'"},
		{"it has not caught up", []change{replica, copied, had(1001)}, Wait{}, "no action"},
		{"it has", []change{replica, copied, had(1000)}, TrustCopy{}, "taking the mark away"},
		{"a mark that can't be removed is left for a while", []change{replica, copied, had(1000), failed(9 * time.Second)}, Wait{}, "no action"},
		{"then it is tried again", []change{replica, copied, had(1000), failed(10 * time.Second)}, TrustCopy{}, "taking the mark away"},
		{"data that can't be looked at are left alone", []change{replica, copied, had(1000), unreadable}, Wait{}, "data directory is not accessible"},
		{"who leads by an order has the cluster's data", []change{copied}, TrustCopy{}, "taking the mark away"},
		{"and leads on while the mark can't be removed", []change{copied, failed(time.Second)}, Wait{}, "the leader with the lock"},
		{"no switchover goes to a copy", []change{on("b", "b"), request("a", "b"), answers("b", 1000, voted, copiedToo)}, ClearFailover{Revision: 20}, "no healthy members found"},
		{"but an order does", []change{on("b", "b"), request("", "b"), answers("b", 1000, voted, copiedToo)}, Demote{Mode: DemoteGraceful}, "demoting myself"},
	})
}

// ago puts the question into the past.
func ago(d time.Duration) func(*Peer) { return func(p *Peer) { p.Asked = p.Asked.Add(-d) } }

// TestCopyMemory: only what the present leader says as a primary, after the mark was seen, counts.
func TestCopyMemory(t *testing.T) {
	for name, c := range map[string]struct {
		see  []change
		want CopyMemory
	}{
		"seen first":               {nil, CopyMemory{Since: start, Reign: 4}},
		"asked after that":         {[]change{copied, answers("b", 900, primary)}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4, Had: 900, Timeline: 2}},
		"asked before":             {[]change{copied, answers("b", 900, primary, ago(2*time.Minute))}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4}},
		"no primary":               {[]change{copied, answers("b", 900)}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4}},
		"not reachable":            {[]change{copied, answers("b", 900, primary, unreachable)}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4}},
		"another member":           {[]change{copied, answers("c", 900, primary)}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4}},
		"etcd does not answer":     {[]change{copied, answers("b", 900, primary), func(o *Observation) { o.Store.FailingSince = o.Now }}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4}},
		"another leader since":     {[]change{copied, had(900), func(o *Observation) { o.Store.View.Leader.Revision = 5 }, answers("b", 950, primary, ago(time.Second))}, CopyMemory{Since: start, Reign: 5}},
		"nobody leads any more":    {[]change{copied, had(900), unlocked}, CopyMemory{Since: start.Add(-time.Minute), Reign: 4, Had: 900, Timeline: 2}},
		"the mark is gone":         {[]change{copied, had(900), func(o *Observation) { o.Server.Copied = false }}, CopyMemory{}},
		"etcd was not read as yet": {[]change{func(o *Observation) { o.Store.View = nil }}, CopyMemory{Since: start}},
	} {
		o := see(append([]change{replica, func(o *Observation) { o.Server.Copied = true }}, c.see...)...)
		got := o.Memory.Copy
		got.Note(&o)
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}
