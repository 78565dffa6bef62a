package ha

import "github.com/hathi-ha/hathi/pkg/cluster"

// syncActive: the cluster replicates synchronously, and /sync says who has every acknowledged commit.
func syncActive(o *Observation) bool {
	return o.Settings.SynchronousMode != cluster.SyncOff && o.Store.View.Sync.Leader != ""
}

// inSync leaves out members whose WAL does not count in the race: without synchronous duty they may hold
// what was never acknowledged, and lack what was.
func inSync(o *Observation, members []cluster.Member) []cluster.Member {
	if !syncActive(o) {
		return members
	}
	var out []cluster.Member
	for _, m := range members {
		if o.Store.View.Sync.Has(m.Name) {
			out = append(out, m)
		}
	}
	return out
}

// ordered: a user has ordered this very member to take over, by a manual failover. Whether it has every
// commit is then not asked; the command has asked the user.
func ordered(o *Observation, candidate string) bool {
	return o.Store.View.Failover.Orders(candidate)
}

// syncCandidate reports whether a member that was named may take the lock as far as /sync tells.
func syncCandidate(o *Observation, p Peer) bool {
	key := o.Store.View.Sync
	if !syncActive(o) || ordered(o, p.Name) {
		return true
	}
	switch {
	case mistrusts(o, p):
		return false
	case key.Has(p.Name) && key.Quorum == 0:
		return true
	case o.Settings.SynchronousMode == cluster.SyncOn && !key.Has(p.Name):
		return false
	}
	// It needs the votes of others, and gets them if it is not behind; so much can be seen from here.
	return !further(o, here(o), there(p))
}

// syncStand keeps a member from the lock that might lack an acknowledged commit; nothing if it may go for it.
func syncStand(o *Observation) *Decision {
	question, why := syncFit(o)
	switch {
	case question != nil:
		return question
	case why == copyUntrusted:
		return standBack(o, "race-copied", "%s", why)
	case why != "":
		return standBack(o, "race-sync", "%s", why)
	}
	return nil
}

// syncFit says why this member can't be known to have every acknowledged commit; nothing if it is known. If
// the answers of others are needed first, it gives a decision to ask.
//
// The quorum of the key is respected in both modes: it stays until the key has been brought to the mode.
// Source: Patroni 4.1, ha.py, is_healthiest_node and _is_healthiest_node.
func syncFit(o *Observation) (question *Decision, why string) {
	key := o.Store.View.Sync
	switch {
	case o.Settings.SynchronousMode != cluster.SyncOff && namesFail(o):
		return nil, "synchronous_standby_names can't be set on this member"
	case !syncActive(o) || ordered(o, o.Self.Name):
		return nil, ""
	case mistrusted(o):
		return nil, copyUntrusted
	}
	if key.LedBy(o.Self.Name) {
		return nil, "" // it was named before its promotion, so nobody has acknowledged anything without it
	}
	need := key.Quorum
	if !key.HasStandby(o.Self.Name) {
		if o.Settings.SynchronousMode == cluster.SyncOn {
			return nil, "i am not a synchronous standby"
		}
		need++
	}
	if need == 0 {
		return nil, ""
	}
	answers, question := ask(o, withAPI(inSync(o, raceSet(o))), "race-ask", "asking the other members for their WAL positions")
	if question != nil {
		return question, ""
	}
	votes := 0
	for _, p := range answers {
		// Who is still replaying its own WAL may have any commit in the rest of it, who was copied had any before.
		if p.Reachable && p.InRecovery && !p.Replaying && !mistrusts(o, p) && p.Timeline != 0 && o.Server.Timeline != 0 && !ahead(o, p) {
			votes++
		}
	}
	if votes < need {
		return nil, quorumMissed(need, votes)
	}
	return nil, ""
}
