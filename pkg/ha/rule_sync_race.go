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
	fit, question := syncFit(o)
	switch {
	case question != nil:
		return question
	case !fit.Pass:
		return standBack(o, fit.Rule, "%s", fit.Text)
	}
	return nil
}

// syncFit passes if this member is known to have every acknowledged commit, and says else why it is not. If
// the answers of others are needed first, it gives a decision to ask, too.
//
// The quorum of the key is respected in both modes: it stays until the key has been brought to the mode.
// Source: Patroni 4.1, ha.py, is_healthiest_node and _is_healthiest_node.
func syncFit(o *Observation) (fit Check, question *Decision) {
	key := o.Store.View.Sync
	switch {
	case o.Settings.SynchronousMode != cluster.SyncOff && namesFail(o):
		return mayLack("race-sync", "synchronous_standby_names can't be set on this member"), nil
	case !syncActive(o) || ordered(o, o.Self.Name):
		return hasAll(), nil
	case mistrusted(o):
		return mayLack("race-copied", "my data were copied and may lack what i have acknowledged before"), nil
	}
	if key.LedBy(o.Self.Name) {
		return hasAll(), nil // it was named before its promotion, so nobody has acknowledged anything without it
	}
	need := key.Quorum
	if !key.HasStandby(o.Self.Name) {
		if o.Settings.SynchronousMode == cluster.SyncOn {
			return mayLack("race-sync", "i am not a synchronous standby"), nil
		}
		need++
	}
	if need == 0 {
		return hasAll(), nil
	}
	answers, question := ask(o, withAPI(inSync(o, raceSet(o))), "race-ask", "asking the other members for their WAL positions")
	if question != nil {
		return mayLack("race-sync", "the others were not asked"), question
	}
	if got := len(votes(o, answers)); got < need {
		return mayLack("race-sync", quorumMissed(need, got)), nil
	}
	return hasAll(), nil
}

// hasAll is the check of a member that has every acknowledged commit, mayLack that of one which may not.
func hasAll() Check {
	return Check{Rule: "race-sync", Pass: true, Text: "has every acknowledged commit"}
}

func mayLack(rule, why string) Check { return Check{Rule: rule, Text: why} }

// votes names those of the answers that count towards the quorum.
func votes(o *Observation, answers []Peer) (names []string) {
	for _, p := range answers {
		// Who is still replaying its own WAL may have any commit in the rest of it, who was copied had any before.
		if p.Reachable && p.InRecovery && !p.Replaying && !mistrusts(o, p) && p.Timeline != 0 && o.Server.Timeline != 0 && !ahead(o, p) {
			names = append(names, p.Name)
		}
	}
	return names
}
