package sim

import (
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Known weaknesses of Patroni, by which a mixed cluster can break promises that hathi alone keeps; docs/safety.md
// explains each. A run keeps out of their way unless Options.Weak names one.
const (
	// weakFence: nothing fences a primary whose agent, or whose postmaster, is frozen or killed.
	weakFence = "nothing fences"
	// weakReload: a standby is listed although the checkpointer has not read the names, so that commits do not wait yet.
	weakReload = "names are believed before they count"
	// weakBranch: positions are compared without their timelines, unless check_timeline is on; so it is in quorum mode.
	weakBranch = "WAL of a branch that the cluster has left counts"
	// weakNamesake: a timeline is known by its number alone, also with check_timeline. Another one may have the same, if
	// its promotion was not heard of by the member that was promoted next.
	weakNamesake = "another timeline of the same number counts"
	// weakRequest: a request that is pending when the leader dies switches the lag check off.
	weakRequest = "a request makes any lag good"
	// weakCopy: with an unchanged lease a renewal of the lock believes a copy of the key that may be stale.
	weakCopy = "a stale copy proves the lock"
	// weakRenew: a renewal of the lock on another lease takes the key again if it is gone, whoever has led meanwhile.
	weakRenew = "a renewal takes the lock again"
	// weakTakeOver: after a promotion in quorum mode a voter counts as soon as it streams, whatever it lacks.
	weakTakeOver = "a voter counts before it has caught up"
	// weakCandidate: in quorum mode the candidate of a switchover whose leader has died takes over without a vote.
	weakCandidate = "a candidate needs no votes"
	// weakRemoval: in quorum mode a voter is removed before the others have what only it had.
	weakRemoval = "a voter leaves with what only it has"
	// weakHandOver: a planned handover releases the lock whether or not anybody has the shutdown checkpoint.
	weakHandOver = "a handover waits for nobody"
	// weakAccept: in failsafe mode a member that is being promoted lets another one go on without etcd.
	weakAccept = "a member that is being promoted accepts"
	// weakUnlisted: a request that is pending lets a member stand for the lock that /failsafe does not list.
	weakUnlisted = "a request makes up for not being listed"
	// weakOvertaken: the lock is taken by what /sync was when the race began; a whole reign may have been since.
	weakOvertaken = "a reign in between is not seen"
	// weakReplay: a standby of Patroni that has just started shows less than it has, and gives its vote by that.
	weakReplay = "a position is believed while WAL is replayed"
)

// weak reports whether a run lets a weakness show.
func (w *world) weak(what string) bool { return w.weakness == what }

// excused reports whether a member may take the lock further behind than maximum_lag_on_failover says.
func (c *checker) excused(n *node) bool {
	if !n.patroni {
		return false
	}
	other := n.server.pos.branch != c.published.branch && uint64(c.published.lsn-min(c.published.lsn, n.server.pos.lsn)) <= c.allowedLag()
	return other && !c.w.weak(weakBranch) || c.pending() && !c.w.weak(weakRequest)
}

// namedOnly reports whether a member leads because a switchover names it, and nobody has counted votes.
func (c *checker) namedOnly(n *node) bool {
	r := dcs.DecodeFailover([]byte(c.w.etcd.text(dcs.KeyFailover)))
	return n.patroni && c.mode.Mode == cluster.SyncQuorum && r.Candidate == n.name && !c.w.weak(weakCandidate)
}

// unnamedLead reports whether the last leader, one of Patroni in quorum mode, was gone before /sync named it: the key still
// names the one before, which may lack what was acknowledged since. An order to that one is an order all the same.
func (c *checker) unnamedLead() bool {
	return c.lead != nil && c.lead.patroni && c.mode.Mode == cluster.SyncQuorum && c.sync.Leader != c.lead.name
}

// unnamed reports whether the holder of the lock leads without being named in /sync: Patroni in quorum mode, from its
// promotion to its first look at /sync after that.
func (c *checker) unnamed() bool {
	holder := c.w.node(c.w.etcd.text(dcs.KeyLeader))
	return holder != nil && holder.patroni && c.mode.Mode == cluster.SyncQuorum && c.sync.Leader != holder.name
}

// namesake reports whether the server is on another timeline than the one of that number in /history, which Patroni
// does not ask.
func (a *patroni) namesake() bool {
	own, known := a.server.History, a.view.History.Entries
	if len(own) == 0 || len(own) != len(known) || a.w.weak(weakNamesake) {
		return false
	}
	return own[len(own)-1].LSN != known[len(known)-1].LSN
}

// overtaken reports whether /sync has changed since the member looked at it, which Patroni does not compare when it takes
// the lock.
func (a *patroni) overtaken() bool {
	kv := a.w.etcd.get(dcs.KeySync)
	return kv != nil && kv.ModRevision != a.view.Sync.Revision && !a.w.weak(weakOvertaken)
}

// succeeded reports whether another member has led since this one, which Patroni does not ask when it renews the lock.
func (a *patroni) succeeded() bool { return a.w.check.lead != a.n && !a.w.weak(weakRenew) }

// pending reports whether somebody waits for a change of the leader.
func (c *checker) pending() bool {
	return dcs.DecodeFailover([]byte(c.w.etcd.text(dcs.KeyFailover))).Pending()
}
