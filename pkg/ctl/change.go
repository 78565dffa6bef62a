package ctl

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Kind is the word for a change of leader in questions, messages and REST paths.
type Kind string

// The kinds of change.
const (
	Switchover Kind = "switchover" // planned, from a working leader
	Failover   Kind = "failover"   // to a named member, with or without a leader
)

// Change is a change of leader while it is being put together. The setters check each part against the
// cluster as it was read and refuse what can't be.
type Change struct {
	Kind    Kind
	Cluster string // as the user named it
	Scope   string // as etcd knows it
	View    *cluster.View
	// Leader is the present leader, empty if there is none (failover only).
	Leader string
	// Candidate nil leaves the choice to the server, as does an empty name; the request tells them apart.
	Candidate   *string
	ScheduledAt time.Time // zero: now
}

// PlanSwitchover starts a switchover.
func PlanSwitchover(name, scope string, v *cluster.View) (*Change, error) {
	if !v.Locked() {
		return nil, refuse("This cluster has no leader")
	}
	return &Change{Kind: Switchover, Cluster: name, Scope: scope, View: v, Leader: v.Leader.Name}, nil
}

// PlanFailover starts a manual failover; the cluster need not have a leader.
func PlanFailover(name, scope string, v *cluster.View) *Change {
	return &Change{Kind: Failover, Cluster: name, Scope: scope, View: v, Leader: v.Leader.Name}
}

// CheckLeader refuses a leader that the user named if it is not the present one.
func (c *Change) CheckLeader(name string) error {
	if name != c.Leader {
		return refuse("Member %s is not the leader of cluster %s", name, c.Cluster)
	}
	return nil
}

// Candidates are the members that may take over, by name.
func (c *Change) Candidates() ([]string, error) {
	var names []string
	for _, m := range c.View.Members {
		if m.Name != c.Leader && !m.Tags.NoFailover() {
			names = append(names, m.Name)
		}
	}
	if len(names) == 0 {
		verb := map[Kind]string{Switchover: "switchover to", Failover: "failover to"}[c.Kind]
		return nil, refuse("No candidates found to %s", verb)
	}
	return names, nil
}

// SetCandidate names the member that shall take over; empty lets the server choose, in a switchover.
func (c *Change) SetCandidate(name string) error {
	if name == "" {
		if c.Kind == Failover {
			return refuse("Failover could be performed only to a specific candidate")
		}
		c.Candidate = &name
		return nil
	}
	names, err := c.Candidates()
	switch {
	case err != nil:
		return err
	case slices.Contains(names, name):
	case name == c.Leader:
		return refuse("Member %s is already the leader of cluster %s", name, c.Cluster)
	default:
		return refuse("Member %s does not exist in cluster %s or is tagged as nofailover", name, c.Cluster)
	}
	c.Candidate = &name
	return nil
}

// SetTime schedules a switchover; the zero time means now.
func (c *Change) SetTime(at time.Time) error {
	if !at.IsZero() && Paused(c.View) {
		return refuse("Can't schedule switchover in the paused state")
	}
	c.ScheduledAt = at
	return nil
}

// Asynchronous reports whether the candidate of a failover may lack transactions that were acknowledged:
// synchronous mode is on and it is not among the synchronous members.
func (c *Change) Asynchronous() bool {
	return readSettings(c.View.Config).sync != cluster.SyncOff && c.View.Sync.Leader != "" && !c.View.Sync.Has(c.candidate())
}

func (c *Change) candidate() string {
	if c.Candidate == nil {
		return ""
	}
	return *c.Candidate
}

// target is the member to send the request to: the leader, without one the candidate.
func (c *Change) target() string {
	name := c.Leader
	if name == "" {
		name = c.candidate()
	}
	m, _ := c.View.Member(name)
	return m.APIURL
}

func (c *Change) body() string {
	var b body
	if c.Candidate == nil {
		b.set("candidate", nil)
	} else {
		b.set("candidate", *c.Candidate)
	}
	if c.Kind == Switchover {
		b.set("leader", c.Leader)
	}
	if !c.ScheduledAt.IsZero() {
		b.set("scheduled_at", cluster.FormatISO(c.ScheduledAt))
	}
	return b.String()
}

// request is what stands in /failover when the change is asked for there.
func (c *Change) request() cluster.FailoverRequest {
	r := cluster.FailoverRequest{Candidate: c.candidate(), ScheduledAt: c.ScheduledAt}
	if c.Kind == Switchover {
		r.Leader = c.Leader
	}
	return r
}
