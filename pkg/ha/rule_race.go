package ha

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// raceRetry is when a member that stood back looks again: the one it stood back for may fail, or this one catch
// up by replaying, and nothing tells of that. Everything else that matters to the race is an event.
const raceRetry = time.Second

// ruleRace: nobody holds the leader key.
// Source: Patroni 4.1, ha.py, process_unhealthy_cluster and is_healthiest_node.
func ruleRace(o *Observation) *Decision {
	d := race(o)
	if _, resting := d.Action.(Wait); !resting {
		return d
	}
	if strange := raceStrange(o); strange != nil {
		return strange
	}
	if o.Memory.RestartRequested {
		return ruleRestart(o) // it is asked of this member, whoever leads
	}
	return d
}

// raceStrange disconnects a server on another timeline of the cluster's number: the member that it followed may have come
// to the cluster's since, and PostgreSQL would stream from one to the other as soon as it finds it again.
func raceStrange(o *Observation) *Decision {
	if !namesake(o) || o.Server.PrimaryConninfo.Host == "" {
		return nil
	}
	return act(Follow{}, "replica-strange", "following nobody, as timeline %d of %s is another one than the cluster's", o.Server.Timeline, o.Self.Name)
}

// race decides for a member whose server answers.
func race(o *Observation) *Decision {
	if o.Store.View.Leader.Present {
		// The key is there with nothing in it: nobody owns it and nobody can take it.
		return wait("race-empty-key", "the leader key exists but names nobody; remove it")
	}
	if o.paused() {
		return racePaused(o)
	}
	if o.Server.IsPrimary() {
		return racePrimary(o)
	}
	if o.Self.WatchdogFailed {
		return wait("race-watchdog", "following a different leader because i am not the healthiest node").
			because("race-watchdog", "Watchdog device is not usable")
	}
	if until, refused := promotionRefused(o); refused {
		return wait("race-pre-promote", "following a different leader because i am not the healthiest node").
			because("race-pre-promote", "backoff: skip leader race after pre_promote script failure and releasing the lock voluntarily, or after a promotion that did not end").until(until)
	}
	if o.Self.Tags.NoFailover() {
		return wait("race-nofailover", "following a different leader because I am not allowed to promote")
	}
	if o.Store.View.Failover.Pending() {
		if d := raceRequest(o); d != nil {
			return d
		}
	}
	return raceHealthiest(o, raceSet(o))
}

// racePaused: in pause only a running primary takes the lock, or a replica that was named.
func racePaused(o *Observation) *Decision {
	req := o.Store.View.Failover
	rest := wait("race-paused", "no action. I am (%s)", o.Self.Name)
	switch {
	case o.Server.IsPrimary() && identityFits(o):
		return act(AcquireLeader{}, "race-paused-primary", "acquired session lock as a leader")
	case o.Server.IsPrimary():
		return wait("race-paused", "continue to run as primary without lock").
			because("race-paused", "%s", misfit(o))
	case !req.Pending():
		return rest
	}
	if why := notInPause(o, req); why != "" {
		return rest.because("race-paused", "%s: %s", req.Action(), why)
	}
	if req.Leader != "" { // else it is an order
		if d := fallsShort(o); d != nil {
			return d
		}
	}
	if d := syncStand(o); d != nil {
		return d
	}
	if d := primaryAlive(o, raceSet(o)); d != nil {
		return d
	}
	return act(AcquireLeader{}, "race-paused-candidate", "promoted self to leader by acquiring session lock")
}

// notInPause says why a request does not make this replica the leader while the cluster is paused and nobody leads; nothing
// if it may.
func notInPause(o *Observation, req cluster.FailoverRequest) string {
	_, refused := promotionRefused(o)
	switch {
	case req.Candidate == "":
		return "possible only to a specific candidate in a paused state"
	case req.Candidate != o.Self.Name:
		return fmt.Sprintf("to %s, i am %s", req.Candidate, o.Self.Name)
	case !req.ScheduledAt.IsZero():
		return "scheduled, which counts for nothing in a paused state"
	case o.Self.Tags.NoFailover():
		return "I am not allowed to promote"
	case refused:
		return "the pre-promote script has failed, or the promotion did not end"
	case !identityFits(o): // it would have to give the lock back at once
		return misfit(o)
	}
	return ""
}

// primaryAlive: in pause, or until it hears that the key was removed by hand, a primary may go on without the lock, and
// nothing would stop it when another is promoted by an order. Patroni promotes. One that does not answer is taken for
// dead: that is what the order is for.
func primaryAlive(o *Observation, members []cluster.Member) *Decision {
	answers, question := ask(o, withAPI(members), "race-ask", "asking the other members whether a primary is still alive")
	if question != nil {
		return question
	}
	for _, p := range answers {
		if livesAsPrimary(p) {
			return standBack(o, "race-primary-alive", "Primary (%s) is still alive", p.Name)
		}
	}
	return nil
}

// livesAsPrimary reports whether a member says that it is a primary, or is becoming or was one that has not stopped yet.
func livesAsPrimary(p Peer) bool { return p.MayWrite || p.Reachable && !p.InRecovery }

func identityFits(o *Observation) bool {
	known := o.Store.View.Initialize.SystemID()
	return known == "" || known == o.Server.SystemID
}

// misfit says how the identity does not fit.
func misfit(o *Observation) string {
	if o.Server.SystemID == "" {
		return "the data do not tell of which cluster they are"
	}
	return fmt.Sprintf("the data are of another cluster: %s != %s", o.Store.View.Initialize.SystemID(), o.Server.SystemID)
}

// racePrimary: a running primary takes the lock back, unless the cluster has gone on without it. It is not
// compared with others: nobody can be ahead of a primary on the newest timeline.
func racePrimary(o *Observation) *Decision {
	known := o.Store.View.History.Timeline()
	if o.Server.Timeline < known {
		return act(Demote{Mode: DemoteNoLock}, "race-old-primary", "%s", map[bool]string{
			false: "demoting self because i am not the healthiest node", true: "demoting self because I am not allowed to become primary",
		}[o.Self.Tags.NoFailover()]).
			because("race-old-primary", "My timeline %d is behind last known cluster timeline %d", o.Server.Timeline, known)
	}
	if syncActive(o) && !o.Store.View.Sync.LedBy(o.Self.Name) {
		// Somebody else was found fit to lead, and may have been promoted.
		return act(Demote{Mode: DemoteNoLock}, "race-sync-primary", "demoting self because i am not the healthiest node").
			because("race-sync-primary", "the synchronous replication key names %s as the leader", o.Store.View.Sync.Leader)
	}
	return act(AcquireLeader{}, "race-primary", "acquired session lock as a leader")
}

// raceRequest: somebody asked for a certain leader, or for a leader to go. Nothing means that the request
// does not decide and the usual race does.
// Source: Patroni 4.1, ha.py, manual_failover_process_no_leader.
func raceRequest(o *Observation) *Decision {
	req, view := o.Store.View.Failover, o.Store.View
	// Who was named for a planned change takes the lock at once, unless the old leader did not get to hand over
	// and this member lacks what it had: Patroni looks at nothing here. A manual failover is an order.
	if req.Candidate == o.Self.Name && (req.Leader == "" || fallsShort(o) == nil) && !void(o) {
		if d := syncStand(o); d != nil {
			if _, waits := d.Action.(Wait); waits && overdue(o) {
				return voided(req) // it lacks a commit, and members that run Patroni wait for it all the same
			}
			return d
		}
		// Who goes as planned has stopped before it gives the key up; but a person may have removed it before that.
		asked := raceSet(o)
		if req.Leader != "" {
			asked = slices.DeleteFunc(asked, func(m cluster.Member) bool { return m.Name != req.Leader })
		}
		if d := primaryAlive(o, asked); d != nil {
			return d
		}
		return act(AcquireLeader{}, "race-candidate", "promoted self to leader by acquiring session lock")
	}
	if void(o) {
		return voided(req)
	}
	if m, ok := view.Member(req.Candidate); ok && m.Name != o.Self.Name {
		answers, question := ask(o, []cluster.Member{m}, "race-ask-candidate", "asking the candidate "+m.Name)
		if question != nil {
			return question
		}
		if canTakeOver(o, answers[0]) {
			return wait("race-other-candidate", "following a different leader because i am not the healthiest node").
				because("race-other-candidate", "%s: to %s, i am %s", req.Action(), m.Name, o.Self.Name).
				until(o.Now.Add(raceRetry))
		}
	}
	if req.Leader == o.Self.Name {
		names, question := successors(o, req.Candidate, true)
		switch {
		case question != nil:
			return question
		case len(names) > 0:
			return wait("race-was-asked-to-go", "following a different leader because i am not the healthiest node").
				because("race-was-asked-to-go", "%s: from %s, which others can take over from: %s", req.Action(), o.Self.Name, strings.Join(names, ", ")).
				until(o.Now.Add(raceRetry))
		}
	}
	return nil
}

// void reports whether a switchover can't come about any more: its leader has gone without handing over, and its
// candidate is not in /sync and has not found the votes of others by now, or is not in /failsafe. Members that run
// Patroni wait for such a candidate, and as one they wait for others although with a quorum they could lead; so it might
// be for ever.
func void(o *Observation) bool {
	candidate := o.Store.View.Failover.Candidate
	return overdue(o) && (unlisted(o, candidate) || syncActive(o) && !o.Store.View.Sync.Has(candidate))
}

// overdue reports whether a switchover to a certain member should have come about by now.
func overdue(o *Observation) bool {
	req, since := o.Store.View.Failover, o.Memory.UnlockedSince
	return req.Leader != "" && req.Candidate != "" && req.ScheduledAt.IsZero() && since != 0 && o.Now.Sub(since) > o.Settings.LoopWait
}

// voided takes a request away that can't come about.
func voided(req cluster.FailoverRequest) *Decision {
	return act(ClearFailover{Revision: req.Revision}, "race-void-request", "%s: %s may not take over, and %s has gone",
		req.Action(), req.Candidate, req.Leader)
}

// canTakeOver reports whether the member that was named can be expected to take the lock. If it never will,
// others must not wait for it.
func canTakeOver(o *Observation, p Peer) bool {
	return limitation(p) == "" && !tooFarBehind(o, there(p)) && !oldTimeline(o, p.Timeline) && syncCandidate(o, p) && !unlisted(o, p.Name)
}

// raceSet is everybody whose answer counts: the members of the view, the former leader among them as long
// as it has a key.
func raceSet(o *Observation) []cluster.Member {
	others := make([]cluster.Member, 0, len(o.Store.View.Members))
	for _, m := range o.Store.View.Members {
		if m.Name != o.Self.Name {
			others = append(others, m)
		}
	}
	return others
}

// raceHealthiest takes the lock if nobody who can be reached is better placed. Several members may pass;
// then the key, which only one can create, decides.
func raceHealthiest(o *Observation, others []cluster.Member) *Decision {
	if known(o, here(o)) == 0 {
		return standBack(o, "race-no-position", "my own WAL position is unknown")
	}
	if d := fallsShort(o); d != nil {
		return d
	}
	if d := syncStand(o); d != nil {
		return d
	}
	rivals := withAPI(inSync(o, others))
	asked := rivals
	if len(asked) == 0 {
		asked = withAPI(others) // to ask also brings the newest view, and this one may be old
	}
	answers, question := ask(o, asked, "race-ask", "asking the other members for their WAL positions")
	if question != nil {
		return question
	}
	if len(rivals) == 0 {
		// Who may not lead must not keep this member from it, unless it can still write.
		answers = slices.DeleteFunc(slices.Clone(answers), func(p Peer) bool { return !livesAsPrimary(p) })
	}
	for _, p := range answers {
		if rule, text := outranked(o, p); rule != "" {
			return standBack(o, rule, "%s", text)
		}
	}
	d := act(AcquireLeader{}, "race-won", "promoted self to leader by acquiring session lock")
	return heard(o, answers, d)
}

// heard tells which answers of the others counted for this member.
func heard(o *Observation, answers []Peer, d *Decision) *Decision {
	if syncActive(o) && o.Store.View.Sync.Quorum > 0 {
		for _, name := range votes(o, answers) {
			d.also("Got quorum vote from %s", name)
		}
	}
	for _, p := range answers {
		mine, theirs := o.Self.Tags.FailoverPriority(), p.Tags.FailoverPriority()
		if p.Name == o.Memory.FormerLeader && limitation(p) == "" && theirs > mine && known(o, there(p)) == known(o, here(o)) {
			d.also("Ignoring former leader %s having priority %d higher than this nodes %d priority", p.Name, theirs, mine)
		}
	}
	return d
}

// fallsShort keeps a member from the lock that lacks too much of what the last leader had; nothing if it may go for it.
func fallsShort(o *Observation) *Decision {
	switch {
	case tooFarBehind(o, here(o)):
		return standBack(o, "race-lag", "My wal position exceeds maximum replication lag")
	case oldTimeline(o, o.Server.Timeline) && o.Server.Timeline == 0:
		return standBack(o, "race-timeline", "Can not figure out my timeline")
	case oldTimeline(o, o.Server.Timeline):
		return standBack(o, "race-timeline", "My timeline %d is behind last known cluster timeline %d",
			o.Server.Timeline, o.Store.View.History.Timeline())
	}
	return nil
}

// outranked says by which rule, and in which words, another member is better placed than this one; nothing if
// it is not.
func outranked(o *Observation, p Peer) (rule, text string) {
	mine, theirs := known(o, here(o)), known(o, there(p))
	switch {
	case livesAsPrimary(p): // also one that may not lead: its agent stops it, but that has not happened yet
		return "race-primary-alive", fmt.Sprintf("Primary (%s) is still alive", p.Name)
	case limitation(p) != "", oldTimeline(o, p.Timeline):
		return "", "" // it can't become the leader, so it must not keep others from it
	case p.Name == o.Store.View.Failover.Leader:
		return "", "" // it was asked to go; before it has gone its answer counts, see above
	case unlisted(o, p.Name), mistrusts(o, p), syncActive(o) && !o.Store.View.Sync.Has(p.Name):
		return "", "" // nor can these, however far they have come
	case ahead(o, p):
		return "race-behind", fmt.Sprintf("Wal position of %s is ahead of my wal position", p.Name)
	case theirs == mine && p.Tags.FailoverPriority() > o.Self.Tags.FailoverPriority() && p.Name != o.Memory.FormerLeader:
		return "race-priority", fmt.Sprintf("%s has equally tolerable WAL position and priority %d, while this node has priority %d",
			p.Name, p.Tags.FailoverPriority(), o.Self.Tags.FailoverPriority())
	}
	return "", ""
}

// standBack leaves the lock to others for now.
func standBack(o *Observation, rule, format string, args ...any) *Decision {
	return wait(rule, "following a different leader because i am not the healthiest node").
		because(rule, format, args...).until(o.Now.Add(raceRetry))
}

// ahead reports whether another member has come further than this one.
func ahead(o *Observation, p Peer) bool { return further(o, there(p), here(o)) }

// further reports whether one place is further than another. With synchronous replication a newer timeline is always
// further: whoever was promoted had every commit before it was. But not if it is on a branch that the cluster has left, by
// a manual failover: that counts only as far as it is a part of /history. As long as that may be about to change, each is
// taken to be further than the other, and none of the two leads.
func further(o *Observation, a, b place) bool {
	ahead, newer := known(o, a) > known(o, b), a.timeline > b.timeline
	switch {
	case !syncActive(o) || a.timeline == b.timeline:
		return ahead
	case strayed(o, a) || strayed(o, b):
		return ahead || newer && !told(o)
	}
	return newer
}

// told reports whether /history is known to be that of the leader in /sync. One that has died before it wrote its line
// may have led to commits on a branch that /history does not tell of, and seems to be lost:
//
//  1. it began before the end of the cluster's newest timeline, which it may if nothing there was acknowledged;
//  2. a standby that was streaming from it goes on to do so, and commits are acknowledged by the two;
//  3. the leader dies.
func told(o *Observation) bool {
	lines := o.Store.View.History.Entries
	return len(lines) > 0 && o.Store.View.Sync.LedBy(lines[len(lines)-1].NewLeader)
}

// withAPI leaves out members that can't be asked or whose answer can't count.
func withAPI(members []cluster.Member) []cluster.Member {
	var out []cluster.Member
	for _, m := range members {
		if m.APIURL != "" {
			out = append(out, m)
		}
	}
	return out
}
