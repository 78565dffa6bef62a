package ctl

import (
	"math"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Role is a member's part in the cluster as commands show it: who holds the leader key comes from that
// key, never from what a member says of itself.
type Role string

// The roles, in the words of machine-readable output before capitalisation.
const (
	RoleLeader        Role = "leader"
	RoleStandbyLeader Role = "standby_leader"
	RoleSyncStandby   Role = "sync_standby"
	RoleQuorumStandby Role = "quorum_standby"
	RoleReplica       Role = "replica"
)

// Title gives the role as tables show it, such as "Sync Standby".
func (r Role) Title() string {
	words := strings.Split(string(r), "_")
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return strings.Join(words, " ")
}

// Position is how far a replica has come; the zero LSN means unknown, and then the lag means nothing.
type Position struct {
	LSN   cluster.LSN
	LagMB uint64 // mebibytes behind the leader's published position, rounded half to even
}

// Member is one row of the member table.
type Member struct {
	Name, Host string // Host carries the port where the output needs it; empty if unknown
	Role       Role
	State      string
	Progress   string           // of the long action behind State, for people; empty: there is none
	Timeline   cluster.Timeline // zero: unknown
	// Leads is set for the holder of the leader key, which has no positions.
	Leads            bool
	Receive, Replay  Position
	PendingRestart   bool
	PendingReasons   []cluster.PendingRestart
	ScheduledRestart string
	Tags             cluster.Tags
}

// Cluster is one cluster as the commands show it.
type Cluster struct {
	Name string
	// Group is the Citus group, nil without Citus.
	Group *int
	// Init is the system identifier, or "uninitialized" or "initializing".
	Init    string
	Leader  string   // empty: none; need not be among Members
	Members []Member // sorted by name
	Paused  bool
	// Scheduled is a switchover that waits for its time; its ScheduledAt is zero if there is none.
	Scheduled cluster.FailoverRequest
}

// Describe works out what commands show of a cluster. Source: Patroni 4.1, utils.py, cluster_as_json and
// patronictl, get_cluster_members.
func Describe(name string, v *cluster.View) Cluster {
	c := Cluster{Name: name, Init: "uninitialized", Leader: v.Leader.Name}
	if v.Initialize.Present {
		c.Init = v.Initialize.Value
		if c.Init == "" {
			c.Init = "initializing"
		}
	}
	s := readSettings(v.Config)
	c.Paused = s.paused
	if v.Failover.Pending() && !v.Failover.ScheduledAt.IsZero() {
		c.Scheduled = v.Failover
	}
	withPorts := needPorts(v.Members)
	for _, m := range v.Members {
		c.Members = append(c.Members, describeMember(m, v, s, withPorts))
	}
	return c
}

func describeMember(m cluster.Member, v *cluster.View, s settings, withPort bool) Member {
	r := Member{
		Name: m.Name, Host: host(m, withPort), Role: role(m.Name, v, s), State: string(m.State), Progress: m.Progress,
		Timeline: m.Timeline, Leads: m.Name == v.Leader.Name,
		PendingRestart: m.PendingRestart, PendingReasons: m.PendingRestartReason, Tags: m.Tags,
	}
	if m.ReplicationState != "" && r.Role != RoleLeader {
		r.State = m.ReplicationState
	}
	if m.ScheduledRestart != nil {
		r.ScheduledRestart = m.ScheduledRestart.Schedule
		if pg := m.ScheduledRestart.PostgresVersion; pg != "" {
			r.ScheduledRestart += " if version < " + pg
		}
	}
	if r.Leads {
		return r
	}
	receive, replay := m.ReceiveLSN, m.ReplayLSN
	if receive == 0 && replay == 0 { // a member of an older version publishes one position only
		if r.State == "streaming" {
			receive = m.XLogLocation
		} else {
			replay = m.XLogLocation
		}
	}
	r.Receive, r.Replay = position(receive, v.Status.Optime), position(replay, v.Status.Optime)
	return r
}

func role(name string, v *cluster.View, s settings) Role {
	switch {
	case name == v.Leader.Name && s.standby:
		return RoleStandbyLeader
	case name == v.Leader.Name:
		return RoleLeader
	case s.sync == cluster.SyncOff || v.Sync.Leader == "" || !v.Sync.HasStandby(name):
		return RoleReplica
	case s.sync == cluster.SyncQuorum:
		return RoleQuorumStandby
	}
	return RoleSyncStandby
}

func position(at, leader cluster.LSN) Position {
	return Position{LSN: at, LagMB: uint64(math.RoundToEven(float64(at.Behind(leader)) / (1 << 20)))}
}

func host(m cluster.Member, withPort bool) string {
	h, port := m.Address()
	if h == "" || !withPort {
		return strings.ToLower(h)
	}
	return strings.ToLower(h) + ":" + port
}

// needPorts reports whether hosts alone would not tell the members apart, or hide an unusual port.
func needPorts(members []cluster.Member) bool {
	seen := map[string]bool{}
	for _, m := range members {
		h, port := m.Address()
		if h == "" {
			continue
		}
		if port != "5432" || seen[strings.ToLower(h)] {
			return true
		}
		seen[strings.ToLower(h)] = true
	}
	return false
}
