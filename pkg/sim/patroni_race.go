package sim

import (
	"context"
	"slices"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// The model of Patroni: nobody holds the lock (9).

// race is 9.1.
func (a *patroni) race() (string, error) {
	if !a.eligible() || a.overtaken() {
		return a.notEligible()
	}
	won, err := a.acquire()
	if err != nil {
		return "", err
	}
	if !won {
		a.reload()
		return a.follow("demoted self after trying and failing to obtain lock", "following new leader after trying and failing to obtain lock")
	}
	if a.view.Failover.Pending() {
		a.put(dcs.KeyFailover, a.leftOver(a.view.Failover))
	}
	a.reload()
	return a.bePrimary("acquired session lock as a leader", "promoted self to leader by acquiring session lock")
}

// leftOver is what a request becomes when its candidate has the lock: in pause it still names the candidate.
func (a *patroni) leftOver(r cluster.FailoverRequest) []byte {
	if a.settings.Pause && r.Leader != "" && r.Candidate != "" {
		return dcs.EncodeFailover(cluster.FailoverRequest{Candidate: r.Candidate, ScheduledAt: r.ScheduledAt})
	}
	return []byte("{}")
}

// notEligible is 9.6.
func (a *patroni) notEligible() (string, error) {
	if a.view.Failover.Candidate != "" || a.n.tags.NoFailover() && !a.settings.Pause {
		a.trigger()
		a.sleep(2 * patroniSecond)
		a.reload()
	}
	return a.follow("demoting self because i am not the healthiest node", "following a different leader because i am not the healthiest node")
}

// eligible is 9.2.
func (a *patroni) eligible() bool {
	v, me := a.view, a.n.name
	request := v.Failover.Pending()
	if a.settings.Pause && !a.n.tags.NoFailover() && request && v.Failover.ScheduledAt.IsZero() {
		if answer, decided := a.requested(); decided {
			return answer
		}
	}
	switch {
	case !a.server.Answered:
		return false
	case a.primary() && a.settings.Pause:
		return v.Initialize.SystemID() == "" || v.Initialize.SystemID() == a.server.SystemID
	case a.primary():
		return a.server.Timeline >= v.History.Timeline()
	case a.settings.Pause, a.n.tags.NoFailover():
		return false
	case request && a.barred() && !v.Failover.Orders(me) && !a.w.weak(weakUnlisted):
		return false
	case request:
		if v.Failover.Leader != "" && a.syncActive() && !v.Sync.Has(me) {
			return false
		}
		answer, _ := a.requested()
		return answer
	case a.barred():
		return false
	case a.syncActive() && !a.quorumActive() && !v.Sync.Has(me):
		return false
	}
	set := append(slices.Clone(a.healthy.Members), v.Members...)
	for name, url := range v.Failsafe {
		if a.settings.FailsafeMode {
			set = append(set, cluster.Member{Name: name, APIURL: url})
		}
	}
	if a.syncActive() {
		set = slices.DeleteFunc(set, func(m cluster.Member) bool { return !v.Sync.Has(m.Name) })
	}
	return a.healthiest(set, true)
}

// barred: /failsafe lists others, so that a primary without etcd would not ask this member.
func (a *patroni) barred() bool {
	return a.settings.FailsafeMode && len(a.view.Failsafe) > 0 && a.view.Failsafe[a.n.name] == ""
}

func (a *patroni) syncActive() bool {
	return a.settings.SynchronousMode != cluster.SyncOff && a.view.Sync.Leader != ""
}

func (a *patroni) quorumActive() bool {
	return a.settings.SynchronousMode == cluster.SyncQuorum && a.view.Sync.Leader != ""
}

// ask asks members of a set, each once, for their state.
func (a *patroni) ask(set []cluster.Member) []cluster.PeerStatus {
	var asked []cluster.Member
	for _, m := range set {
		known := slices.ContainsFunc(asked, func(o cluster.Member) bool { return o.Name == m.Name })
		if m.Name != a.n.name && m.APIURL != "" && !known && a.w.node(m.Name) != nil {
			asked = append(asked, m)
		}
	}
	slices.SortFunc(asked, func(x, y cluster.Member) int { return a.w.node(x.Name).number - a.w.node(y.Name).number })
	if len(asked) == 0 {
		return nil
	}
	return (&peers{n: a.n}).Ask(context.Background(), asked)
}

// fit: a member that answered and may be promoted.
func (a *patroni) fit(p cluster.PeerStatus) bool { return p.Reachable && !p.Tags.NoFailover() }

// healthiest is 9.4.
func (a *patroni) healthiest(set []cluster.Member, lag bool) bool {
	v, me := a.view, a.n.name
	mine := a.server.Position()
	if lag && mine.Behind(v.Status.Optime) > a.settings.MaximumLagOnFailover {
		return false
	}
	if a.settings.CheckTimeline && (a.server.Timeline == 0 || a.server.Timeline < v.History.Timeline() || a.namesake()) {
		return false
	}
	voter := func(name string) bool { return a.quorumActive() && v.Sync.Has(name) }
	former := a.healthy.Leader.Name
	if a.syncActive() {
		former = v.Sync.Leader
	}
	set = slices.DeleteFunc(slices.Clone(set), func(m cluster.Member) bool { return m.Tags.NoFailover() && !voter(m.Name) })
	votes, ahead := 0, 0
	if a.quorumActive() && !voter(me) {
		votes = -1
	}
	for _, p := range a.ask(set) {
		if !a.fit(p) {
			continue
		}
		switch {
		case !p.InRecovery:
			return false
		case p.Position > mine:
			ahead++
			if !(a.syncActive() && v.Sync.LedBy(p.Name)) {
				return false
			}
		case p.Position > 0:
			if p.Position == mine && p.Tags.FailoverPriority() > a.n.tags.FailoverPriority() && p.Name != former && (!a.quorumActive() || voter(p.Name)) {
				return false
			}
			if voter(p.Name) {
				votes++
			}
		}
	}
	a.w.tracef(a.n, "patroni", "at %s: %d votes, %d ahead, sync %+v", mine, votes, ahead, v.Sync)
	if !a.quorumActive() {
		return true
	}
	return votes >= v.Sync.Quorum || ahead == 0 && v.Sync.LedBy(me)
}

// requested is 9.5; false if it leaves the answer to others.
func (a *patroni) requested() (answer, decided bool) {
	v, me := a.view, a.n.name
	r := v.Failover
	m, there := v.Member(r.Candidate)
	switch {
	case r.Candidate == me:
		return true, true
	case r.Candidate != "" && a.settings.Pause:
		if !there && a.primary() {
			a.clearFailover()
			return false, false
		}
		return false, true
	case r.Candidate != "" && a.settings.SynchronousMode == cluster.SyncOn && a.syncActive() && !v.Sync.Has(me):
		return false, true
	}
	if there {
		if all := a.ask([]cluster.Member{m}); len(all) == 1 && a.fit(all[0]) && a.recent(all[0], 0) {
			return false, true
		}
	}
	switch {
	case r.Candidate == "" && a.settings.Pause:
		return false, true
	case r.Leader == me:
		return !a.possible(patroniRequest{candidate: r.Candidate, without: true, leader: r.Leader}, 0), true
	}
	set := slices.DeleteFunc(slices.Clone(v.Members), func(m cluster.Member) bool {
		return m.Name == r.Leader || a.syncActive() && !v.Sync.HasStandby(m.Name)
	})
	return a.healthiest(set, false), true
}

// patroniRequest says who is meant by a request, as far as 14.2 asks.
type patroniRequest struct {
	candidate string
	without   bool // all but the candidate
	leader    string
}

// manual is the pending request.
func (a *patroni) manual() patroniRequest {
	return patroniRequest{candidate: a.view.Failover.Candidate, leader: a.view.Failover.Leader}
}

// recent is the rest of 14.2 about one member.
func (a *patroni) recent(p cluster.PeerStatus, lsn cluster.LSN) bool {
	if lsn != 0 && p.Position < lsn || lsn == 0 && p.Position.Behind(a.view.Status.Optime) > a.settings.MaximumLagOnFailover {
		return false
	}
	return !a.settings.CheckTimeline || p.Timeline != 0 && p.Timeline >= a.view.History.Timeline()
}

// possible is 14.2: somebody could take over.
func (a *patroni) possible(r patroniRequest, lsn cluster.LSN) bool {
	v := a.view
	byHand := r.candidate != "" && r.leader == "" && !r.without
	set := slices.DeleteFunc(slices.Clone(v.Members), func(m cluster.Member) bool {
		named := r.candidate == "" || (m.Name == r.candidate) != r.without
		return !named || m.Tags.NoFailover() || a.syncActive() && !byHand && !v.Sync.HasStandby(m.Name)
	})
	count := 0
	for _, p := range a.ask(set) {
		if a.fit(p) && a.recent(p, lsn) {
			count++
		}
	}
	if a.quorumActive() && r.candidate == "" {
		return count > v.Sync.Quorum
	}
	return count > 0
}
