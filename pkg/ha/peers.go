package ha

import (
	"fmt"
	"sort"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// peerFresh is how old an answer of another member may be to count. It only has to outlive the question
// itself, which the agent bounds to two seconds (as Patroni does), and the turn in which it is judged.
const peerFresh = 3 * time.Second

// ask gives the fresh answers of the members, or a decision to ask if one is missing.
func ask(o *Observation, members []cluster.Member, rule, why string) ([]Peer, *Decision) {
	var names []string
	answers := make([]Peer, 0, len(members))
	for _, m := range members {
		p, ok := o.Peers[m.Name]
		if !ok || o.Now.Sub(p.Asked) > peerFresh || outdated(o, p) {
			names = append(names, m.Name)
			continue
		}
		answers = append(answers, p)
	}
	if len(names) > 0 {
		sort.Strings(names)
		return nil, act(AskPeers{Names: names}, rule, "%s", why)
	}
	return answers, nil
}

// outdated reports whether an answer is from another reign: it may lack what was written in it.
func outdated(o *Observation, p Peer) bool {
	return p.Asked < max(o.Memory.UnlockedSince, o.Memory.NamedSince) || syncActive(o) && p.SyncRevision != o.Store.View.Sync.Revision
}

// limitation says why a member can't become the leader whatever its position, or nothing.
// Source: Patroni 4.1, ha.py, _MemberStatus.failover_limitation.
func limitation(p Peer) string {
	switch {
	case !p.Reachable:
		return "not reachable"
	case p.Tags.NoFailover():
		return "not allowed to promote"
	case p.WatchdogFailed:
		return "not watchdog capable"
	}
	return ""
}

// successors gives the members that could take the lock from us now, by name; if their answers are needed
// first, a decision to ask. A named candidate restricts the set to that member, without turns that round. In
// synchronous mode only its standbys count, unless a user has ordered otherwise by a manual failover.
// Source: Patroni 4.1, ha.py, is_failover_possible.
func successors(o *Observation, candidate string, without bool) ([]string, *Decision) {
	var asked []cluster.Member
	restricted := syncActive(o) && !ordered(o, candidate)
	for _, m := range o.Store.View.Members {
		named := candidate == "" || (m.Name == candidate) != without
		if restricted && !o.Store.View.Sync.HasStandby(m.Name) {
			continue
		}
		if m.Name != o.Self.Name && m.APIURL != "" && !m.Tags.NoFailover() && named {
			asked = append(asked, m)
		}
	}
	answers, question := ask(o, asked, "successors-ask", "asking members whether they can take over")
	if question != nil {
		return nil, question
	}
	var names []string
	for _, p := range answers {
		if unfit(o, p) == "" {
			names = append(names, p.Name)
		}
	}
	if restricted && candidate == "" && len(names) <= o.Store.View.Sync.Quorum {
		return nil, nil // none of them would find the quorum
	}
	return names, nil
}

// unfit says why a member can't take the lock from us, or nothing.
func unfit(o *Observation, p Peer) string {
	switch {
	case limitation(p) != "":
		return is(p.Name, limitation(p))
	case !p.InRecovery:
		return is(p.Name, "not in recovery")
	case tooFarBehind(o, there(p)):
		return fmt.Sprintf("Member %s exceeds maximum replication lag: %d bytes behind, maximum_lag_on_failover is %d",
			p.Name, known(o, there(p)).Behind(o.Store.View.Status.Optime), o.Settings.MaximumLagOnFailover)
	case unlisted(o, p.Name):
		return is(p.Name, "not in /failsafe")
	case mistrusts(o, p) && !ordered(o, p.Name):
		return is(p.Name, "a copy that may lack what it has acknowledged before")
	case oldTimeline(o, p.Timeline):
		return fmt.Sprintf("Timeline %d of member %s is behind the cluster timeline %d", p.Timeline, p.Name, o.Store.View.History.Timeline())
	}
	return ""
}

// is words what keeps a member from the lock.
func is(member, what string) string { return fmt.Sprintf("Member %s is %s", member, what) }

// turnedDown adds to a refusal why each member that was meant can't take over.
func (d *Decision) turnedDown(o *Observation, rule, candidate string) *Decision {
	restricted := syncActive(o) && !ordered(o, candidate)
	for _, m := range o.Store.View.Members {
		p, asked := o.Peers[m.Name]
		switch {
		case m.Name == o.Self.Name, candidate != "" && m.Name != candidate:
		case m.Tags.NoFailover():
			d.because(rule, "%s", is(m.Name, "not allowed to promote"))
		case restricted && !o.Store.View.Sync.HasStandby(m.Name):
			d.because(rule, "%s", is(m.Name, "not a synchronous standby"))
		case asked && unfit(o, p) != "":
			d.because(rule, "%s", unfit(o, p))
		}
	}
	if need := o.Store.View.Sync.Quorum; restricted && candidate == "" && need > 0 {
		d.because(rule, "Quorum requirement %d can not be reached: more synchronous standbys than that have to be able to take over", need)
	}
	return d
}

// place is how far a member has come, and on which timeline: its number, and the lines of its history file. Of the first
// timeline there are none; of another that is not known then.
type place struct {
	lsn      cluster.LSN
	timeline cluster.Timeline
	history  []cluster.HistoryEntry
}

func here(o *Observation) place {
	return place{o.Server.Position(), o.Server.Timeline, o.Server.History}
}

func there(p Peer) place { return place{p.Position, p.Timeline, p.History} }

// tooFarBehind compares a place with the last position that the leader published. The promise of asynchronous mode is
// exactly this bound.
func tooFarBehind(o *Observation, p place) bool {
	return known(o, p).Behind(o.Store.View.Status.Optime) > o.Settings.MaximumLagOnFailover
}

// known gives how much of a position counts. A standby cluster keeps no history of its own.
func known(o *Observation, p place) cluster.LSN {
	if o.standbyCluster() {
		return p.lsn
	}
	return o.Store.View.History.Counts(p.lsn, p.timeline, p.history)
}

// strayed reports whether a place is known to be on a branch that the cluster has left.
func strayed(o *Observation, p place) bool {
	_, apart := o.Store.View.History.Parted(p.timeline, p.history)
	return apart && !o.standbyCluster()
}

// oldTimeline: with check_timeline, a member that is not on the cluster's timeline, or can't say on which,
// is no candidate.
func oldTimeline(o *Observation, t cluster.Timeline) bool {
	if !o.Settings.CheckTimeline || o.standbyCluster() {
		return false
	}
	return t == 0 || t < o.Store.View.History.Timeline()
}
