package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// scene is what a report is made from, with what is known from anywhere filled in.
type scene struct {
	Input
	leader string
}

// Make makes the report.
func Make(in Input) Report {
	s := scene{Input: in}
	if s.View == nil {
		s.View = newest(in.Answers)
	}
	s.leader = s.View.Leader.Name
	slices.SortFunc(s.Answers, func(a, b Answer) int { return strings.Compare(a.Member.Name, b.Member.Name) })

	r := Report{Cluster: in.Cluster, Leader: s.leader, Etcd: in.Etcd, Members: []Member{}, Notes: []string{}}
	for _, a := range s.Answers {
		r.Members = append(r.Members, s.member(a))
		if o, ok := a.explained(); ok && o.Settings.Pause {
			r.Paused = true
		}
	}
	r.Failover = s.failover(r.Members)
	r.Switchover = s.switchover(r.Members)
	r.Notes = append(r.Notes, s.notes()...)
	return r
}

// newest gives the newest view that any member has, an empty one if none has any.
func newest(answers []Answer) *cluster.View {
	view := &cluster.View{}
	for _, a := range answers {
		if o, ok := a.explained(); ok && o.Store.View.Revision >= view.Revision {
			view = o.Store.View
		}
	}
	return view
}

func (s *scene) member(a Answer) Member {
	status := a.status()
	m := Member{
		Name: a.Member.Name, Patroni: a.Patroni, Role: role(a, s.leader), State: string(a.Member.State),
		Timeline: status.Timeline, Error: a.Error,
	}
	if status.Position != 0 {
		m.LSN = status.Position.String()
	}
	if st := a.Statement; st != nil {
		m.Hathi, m.State = st.Hathi, st.State
		m.Now = &Decision{Action: st.Action, Arguments: st.Arguments, Reasons: st.Reasons, AgeMS: st.AgeMS}
		if streams := st.Observation.Server.ReplicationState(); streams != "" {
			m.State = streams
		}
		if st.Observation.Job != nil {
			m.Job = st.Observation.Job.String()
		}
	}
	if o, ok := a.explained(); ok && (s.leader == "" || a.Member.Name != s.leader) {
		m.IfLeaderDied = s.standing(o, status.Position)
	}
	if a.Member.Name != s.leader {
		m.Switchover = s.handOver(a.Member.Name)
	}
	return m
}

// role is who holds the leader key first, then what the member says.
func role(a Answer, leader string) string {
	switch {
	case a.Member.Name == leader:
		return "leader"
	case a.Statement != nil:
		return a.Statement.Role
	case a.Status != nil && a.Status.InRecovery:
		return string(cluster.RoleReplica)
	case a.Status != nil:
		return string(cluster.RolePrimary)
	}
	return string(a.Member.Role)
}

// standing asks a member's own rules what it would do without a leader.
func (s *scene) standing(o ha.Observation, position cluster.LSN) *Standing {
	o = supposing(o, leaderDied(s.leader), asked(s.Answers, s.leader))
	d := ha.Decide(o)
	_, takes := d.Action.(ha.AcquireLeader)
	st := &Standing{TakesOver: takes, Action: actionName(d.Action), Reasons: reasons(d)}
	if o.Server.Answered && o.Server.InRecovery {
		for _, c := range ha.Standing(o) {
			st.Checks = append(st.Checks, Check(c))
		}
	}
	if lead, _ := s.written(); lead != 0 && position != 0 {
		behind := position.Behind(lead)
		st.BehindBytes = &behind
	}
	return st
}

// written gives how far the leader has written, and whether that is its own answer: the published position is
// up to a loop_wait old.
func (s *scene) written() (at cluster.LSN, own bool) {
	for _, a := range s.Answers {
		if st := a.status(); a.Member.Name == s.leader && st.Reachable && !st.InRecovery {
			return st.Position, true
		}
	}
	return s.View.Status.Optime, false
}

func (s *scene) failover(members []Member) Failover {
	f := Failover{Winners: []string{}, Unknown: s.unknown()}
	for _, m := range members {
		if m.IfLeaderDied == nil || !m.IfLeaderDied.TakesOver {
			continue
		}
		f.Winners = append(f.Winners, m.Name)
		if b := m.IfLeaderDied.BehindBytes; b != nil && !s.standbyCluster() && (f.LostBytes == nil || *b > *f.LostBytes) {
			f.LostBytes = b
		}
	}
	_, f.LostIsBound = s.written()
	f.LostIsBound = f.LostIsBound && f.LostBytes != nil && len(f.Unknown) == 0
	f.Synchronous = len(f.Winners) > 0 && s.View.Sync.Leader != "" && s.synchronous()
	return f
}

// standbyCluster: all members that can be asked follow a server outside, where what they lack is not lost.
func (s *scene) standbyCluster() bool {
	for _, a := range s.Answers {
		if o, ok := a.explained(); ok {
			return o.Settings.StandbyCluster != nil
		}
	}
	return false
}

// unknown are the members that run Patroni and could take over; whether they would can't be asked.
func (s *scene) unknown() []string {
	var names []string
	for _, a := range s.Answers {
		st := a.status()
		if a.Patroni != "" && a.Member.Name != s.leader && st.Reachable && !st.Tags.NoFailover() && !st.WatchdogFailed {
			names = append(names, a.Member.Name)
		}
	}
	return names
}

// synchronous: all members that can be asked take the cluster for one with synchronous replication, so each
// winner has passed its rules.
func (s *scene) synchronous() bool {
	for _, a := range s.Answers {
		if o, ok := a.explained(); ok && o.Settings.SynchronousMode == cluster.SyncOff {
			return false
		}
	}
	return true
}

// handOver asks the leader's own rules what a request for a candidate would come to; nil if it can't be asked.
func (s *scene) handOver(candidate string) *Verdict {
	for _, a := range s.Answers {
		o, ok := a.explained()
		if !ok || a.Member.Name != s.leader || s.leader == "" {
			continue
		}
		d := withHistory(supposing(o, asked(s.Answers, ""), requested(candidate)))
		_, release := d.Action.(ha.ReleaseLeader) // in a standby cluster no server has to stop
		demote, is := d.Action.(ha.Demote)
		return &Verdict{Possible: is && demote.Mode == ha.DemoteGraceful || release && o.Settings.StandbyCluster != nil, Reasons: reasons(d)}
	}
	return nil
}

// withHistory decides as when /history is written, which a new leader does before it looks at a request.
func withHistory(o ha.Observation) ha.Decision {
	d := ha.Decide(o)
	write, ok := d.Action.(ha.WriteHistory)
	if !ok {
		return d
	}
	view := *o.Store.View
	view.History = write.History
	o.Store.View = &view
	return ha.Decide(o)
}

func (s *scene) switchover(members []Member) Switchover {
	w := Switchover{Candidates: []string{}, Verdict: Verdict{Reasons: []Reason{}}}
	if v := s.handOver(""); v != nil {
		w.Verdict = *v
	} else {
		w.Reasons = append(w.Reasons, Reason{Rule: unaskedRule, Text: s.unasked()})
	}
	for _, m := range members {
		if m.Switchover != nil && m.Switchover.Possible {
			w.Candidates = append(w.Candidates, m.Name)
		}
	}
	if f := s.View.Failover; f.Pending() {
		w.Pending = pending(f)
	}
	return w
}

// unaskedRule stands for the rules of a leader that can't be asked.
const unaskedRule = "explain"

// unasked says why the leader's rules can't be asked.
func (s *scene) unasked() string {
	if s.leader == "" {
		return "there is no leader; without one only a failover to a named member is possible"
	}
	for _, a := range s.Answers {
		if a.Member.Name == s.leader && a.Patroni != "" {
			return "the leader " + s.leader + " runs Patroni, which can't explain itself"
		}
	}
	return "the leader " + s.leader + " did not answer"
}

func pending(f cluster.FailoverRequest) string {
	text := f.Action()
	if f.Candidate != "" {
		text += " to " + f.Candidate
	}
	if !f.ScheduledAt.IsZero() {
		text += " at " + cluster.FormatISO(f.ScheduledAt)
	}
	return text
}

// notes tells what makes the answers less certain.
func (s *scene) notes() []string {
	var out []string
	away := false
	for _, a := range s.Answers {
		name := a.Member.Name
		o, ok := a.explained()
		if !ok {
			if a.Statement != nil {
				out = append(out, name+" has not read etcd since it started, so it can't say what it would do")
			}
			continue
		}
		if o.Store.FailingSince != 0 {
			away = true
			out = append(out, fmt.Sprintf("%s has had no answer from etcd for %.0f s", name, o.Now.Sub(o.Store.FailingSince).Seconds()))
		}
		if sees := o.Store.View.Leader.Name; sees != s.leader {
			out = append(out, fmt.Sprintf("%s last saw %s as the leader", name, orNobody(sees)))
		}
		if a.Statement.Hathi != s.Version {
			out = append(out, fmt.Sprintf("%s runs hathi %s, this is %s: its rules may differ from those asked here", name, a.Statement.Hathi, s.Version))
		}
	}
	if s.standbyCluster() {
		out = append(out, "this is a standby cluster: who takes the leader key follows the server outside, and nobody is promoted")
	}
	if away {
		out = append(out, "without etcd nobody can take the leader key: who would lead is said for when it answers again")
	}
	return out
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}
