package explain

import (
	"encoding/json"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Report is what hathi explain shows. Its JSON form is stable: fields may be added, none changes its meaning.
// A field that is absent is not known or does not apply.
type Report struct {
	Cluster string `json:"cluster"`
	// Leader holds the leader key; empty: nobody. Without etcd it is what the members last saw.
	Leader string `json:"leader"`
	Paused bool   `json:"paused"`
	// Etcd says why etcd could not be read from here; empty: it was.
	Etcd       string     `json:"etcd_error,omitempty"`
	Members    []Member   `json:"members"`
	Failover   Failover   `json:"failover"`
	Switchover Switchover `json:"switchover"`
	// Notes are things that a reader should know of the answers above.
	Notes []string `json:"notes"`
}

// Member is what one member does now, and what would become of it.
type Member struct {
	Name string `json:"name"`
	// Hathi and Patroni are the version of what it runs; both empty if it did not answer.
	Hathi    string           `json:"hathi,omitempty"`
	Patroni  string           `json:"patroni,omitempty"`
	Role     string           `json:"role,omitempty"`
	State    string           `json:"state,omitempty"`
	Timeline cluster.Timeline `json:"timeline,omitempty"`
	LSN      string           `json:"lsn,omitempty"`
	// Error is why it did not explain itself.
	Error string `json:"error,omitempty"`
	// Now is its last decision.
	Now *Decision `json:"now,omitempty"`
	// Job is the long action under way.
	Job string `json:"job,omitempty"`
	// IfLeaderDied is what it would do without a leader, Switchover whether the leader would hand over to it.
	IfLeaderDied *Standing `json:"if_leader_died,omitempty"`
	Switchover   *Verdict  `json:"switchover,omitempty"`
}

// Decision is one decision of a member.
type Decision struct {
	Action    string          `json:"action"`
	Arguments json.RawMessage `json:"arguments,omitempty"`
	Reasons   []Reason        `json:"reasons"`
	AgeMS     int64           `json:"age_ms"`
}

// Standing is a member's place in the race for the leader key.
type Standing struct {
	TakesOver bool     `json:"takes_over"`
	Action    string   `json:"action"`
	Reasons   []Reason `json:"reasons"`
	Checks    []Check  `json:"checks,omitempty"`
	// BehindBytes is how far it is behind the leader; absent if the leader's position is not known.
	BehindBytes *uint64 `json:"behind_bytes,omitempty"`
}

// Check is what one rule of the race says of a member.
type Check struct {
	Rule string `json:"rule"`
	Pass bool   `json:"pass"`
	Text string `json:"text"`
}

// Failover is who would lead if the leader died this second; without a leader, who is about to.
type Failover struct {
	// Winners are those that would take the leader key; of several the first to create it wins.
	Winners []string `json:"winners"`
	// Unknown are those that run Patroni and may take the key, too.
	Unknown []string `json:"unknown,omitempty"`
	// LostBytes is how much WAL the winner who has least lacks of the leader's; absent if that is not known. It is
	// a bound only if LostIsBound: else the leader may have written more since it last published its position.
	LostBytes   *uint64 `json:"lost_bytes,omitempty"`
	LostIsBound bool    `json:"lost_is_bound"`
	// Synchronous: no commit that waited for its synchronous standbys can be lost.
	Synchronous bool `json:"synchronous"`
}

// Switchover is what a request to change the leader would meet now.
type Switchover struct {
	Verdict
	// Candidates are those that could be named.
	Candidates []string `json:"candidates"`
	// Pending is the request that is already there.
	Pending string `json:"pending,omitempty"`
}

// Verdict says whether something would be done.
type Verdict struct {
	Possible bool     `json:"possible"`
	Reasons  []Reason `json:"reasons"`
}

// Answer is what came back when a member was asked to explain itself.
type Answer struct {
	Member    cluster.Member // as its key describes it; the name is always there
	Statement *Statement     // nil: it made none
	// Status and Patroni are what it said at GET /patroni instead.
	Status  *cluster.PeerStatus
	Patroni string // its version
	Error   string // why there is no statement
}

// Input is what a report is made from.
type Input struct {
	Cluster string
	// View is etcd's; nil if it could not be read, and then Etcd says why.
	View    *cluster.View
	Etcd    string
	Version string // of the hathi that makes the report
	Answers []Answer
}

// status is what other members would be told by this one if they asked.
func (a Answer) status() cluster.PeerStatus {
	switch {
	case a.Statement != nil:
		o := a.Statement.Observation
		return cluster.PeerStatus{
			Name: a.Member.Name, Reachable: o.Server.Answered, InRecovery: o.Server.InRecovery,
			Position: o.Server.Position(), Replaying: o.Server.Replaying, Copied: o.Server.Copied && o.Server.InRecovery, Timeline: o.Server.Timeline, History: o.Server.History, Tags: o.Self.Tags, WatchdogFailed: o.Self.WatchdogFailed,
			MayWrite: !o.Server.IsPrimary() && o.MayWrite(),
		}
	case a.Status != nil:
		s := *a.Status
		s.Name = a.Member.Name
		return s
	}
	return cluster.PeerStatus{Name: a.Member.Name, Error: a.Error}
}

// explained gives the observation of a member that can be asked for decisions.
func (a Answer) explained() (ha.Observation, bool) {
	if a.Statement == nil || a.Statement.Observation.Store.View == nil {
		return ha.Observation{}, false
	}
	return a.Statement.Observation, true
}
