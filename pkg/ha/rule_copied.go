package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// A copy of the data may lack what this member has acknowledged before under the same name: a backup is of some time
// ago, and a replica is behind. /sync may list the member still, if the leader has gone before it could take it off.
// So a copy is marked before it can be used, and as long as /sync names the member, it neither leads nor counts as a
// vote, until it has what a leader had that was asked after the copy. What was acknowledged before lies before that; what
// is acknowledged later waits for this server itself.

// CopyMemory is what a member remembers of a copy that is marked.
type CopyMemory struct {
	// Since is when the mark was first seen, or the leader of Reign after that; zero: the data are not marked.
	Since clock.Instant
	// Reign is the revision of the leader key by which that leader was seen.
	Reign int64
	// Had is how far that leader had come when it was asked, on that timeline; zero: not known.
	Had      cluster.LSN
	Timeline cluster.Timeline
	// FailedAt is when the mark could last not be removed; zero if that never was in this reign.
	FailedAt clock.Instant
}

// Note updates the memory from what was just seen. A new leader is asked again: what one before it had may be on a branch that
// the cluster has lost.
func (m *CopyMemory) Note(o *Observation) {
	if !o.Server.Copied {
		*m = CopyMemory{}
		return
	}
	if m.Since == 0 {
		m.Since = o.Now
	}
	v := o.Store.View
	if v == nil || o.Store.FailingSince != 0 || !v.Locked() {
		return
	}
	if m.Reign != v.Leader.Revision {
		*m = CopyMemory{Since: o.Now, Reign: v.Leader.Revision}
	}
	if p := o.Peers[v.Leader.Name]; p.Asked >= m.Since && p.Reachable && !p.InRecovery && p.Timeline != 0 {
		m.Had, m.Timeline = p.Position, p.Timeline
	}
}

// ruleCopied takes the mark from a copy that has caught up, or leads, and asks the leader how far that is.
func ruleCopied(o *Observation) *Decision {
	m := o.Memory.Copy
	if !o.Server.Copied || o.Server.Data != cluster.DataPresent || m.FailedAt != 0 && o.Now.Sub(m.FailedAt) < o.Settings.LoopWait {
		return nil
	}
	switch {
	case o.mine() && o.Server.IsPrimary(): // by an order, or /sync has not named it: the cluster's data are these now
		return act(TrustCopy{}, "copied-leads", "the data were copied before this member led: taking the mark away")
	case copyCaughtUp(o):
		return act(TrustCopy{}, "copied-trusted", "the data were copied, and have all now that the leader had at %s: taking the mark away", m.Had)
	}
	return askLeader(o)
}

// askLeader asks the leader how far it has come. One that can't be reached is not asked without a pause.
func askLeader(o *Observation) *Decision {
	leader, there := o.Store.View.Member(o.Store.View.Leader.Name)
	if !there || leader.APIURL == "" || o.mine() || o.standbyCluster() || o.Memory.Copy.Had != 0 || !o.Server.InRecovery {
		return nil
	}
	if p, asked := o.Peers[leader.Name]; asked && p.Asked >= o.Memory.Copy.Since && o.Now.Sub(p.Asked) < copyPatience(o, p) {
		return nil
	}
	return act(AskPeers{Names: []string{leader.Name}}, "copied-ask", "asking leader '%s' how far it has come, as the data were copied", leader.Name)
}

// copyPatience is how long an answer is left alone that was of no use: one that has just been elected is a primary soon.
func copyPatience(o *Observation, p Peer) time.Duration {
	if p.Reachable {
		return raceRetry
	}
	return o.Settings.LoopWait
}

// copyCaughtUp reports whether the server has all that a leader had after the copy. What it has replayed is on its disk.
func copyCaughtUp(o *Observation) bool {
	m, s := o.Memory.Copy, &o.Server
	return m.Had != 0 && s.Answered && s.InRecovery && s.Timeline == m.Timeline && s.ReplayLSN >= m.Had && !strayed(o, here(o))
}

// mistrusted reports whether /sync names this member by what it had before its data were copied.
func mistrusted(o *Observation) bool {
	return o.Server.Copied && syncActive(o) && o.Store.View.Sync.Has(o.Self.Name)
}

// mistrusts reports the same of another member.
func mistrusts(o *Observation, p Peer) bool {
	return p.Copied && syncActive(o) && o.Store.View.Sync.Has(p.Name)
}
