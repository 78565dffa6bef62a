package cluster

import (
	"slices"
	"strings"
	"time"
)

// View is one consistent picture of a cluster's keys. It is immutable: whoever holds one may keep it.
type View struct {
	// Revision is the etcd revision of which the view is exact.
	Revision   int64
	Initialize Initialize
	Config     Document
	Leader     Leader
	Members    []Member // sorted by name
	Status     Status
	Failover   FailoverRequest
	Sync       SyncState
	History    History
	// Failsafe is /failsafe, member name to API URL; nil if absent or unreadable.
	Failsafe map[string]string
	// FailsafeRevision is that of /failsafe; zero if it is absent.
	FailsafeRevision int64
}

// Member finds a member by name.
func (v *View) Member(name string) (Member, bool) {
	for _, m := range v.Members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}

// Locked reports whether somebody holds the leader key.
func (v *View) Locked() bool { return v.Leader.Name != "" }

// Initialize is the /initialize key.
type Initialize struct {
	Present bool
	// Value is the system identifier, or empty while somebody bootstraps the cluster.
	Value    string
	Revision int64
	// Lease is that of the member of hathi that bootstraps the cluster; zero for one of Patroni, and afterwards.
	Lease int64
}

// SystemID gives the identifier of the cluster, empty if the key holds none that is valid: at least ten
// characters, digits only. Source: Patroni 4.1, postgresql/misc.py.
func (i Initialize) SystemID() string {
	if ValidSystemID(i.Value) {
		return i.Value
	}
	return ""
}

// ValidSystemID reports whether s looks like a PostgreSQL system identifier.
func ValidSystemID(s string) bool {
	return len(s) >= 10 && strings.Trim(s, "0123456789") == ""
}

// Document is a JSON document kept as it was stored, so that the order of its keys survives.
type Document struct {
	Present  bool
	Raw      []byte
	Revision int64
}

// Leader is the /leader key. Present with an empty name is a key that nobody owns and nobody can take.
type Leader struct {
	Present  bool
	Name     string
	Revision int64 // mod_revision; it changes when the key is moved to another lease
	// Created is the create_revision, and tells reigns apart: who wins the lock creates the key, who renews it does not.
	Created int64
	Lease   int64
}

// Status is the /status key.
type Status struct {
	Present     bool
	Optime      LSN // the leader's last known position
	Slots       map[string]LSN
	RetainSlots []string
	Revision    int64 // mod_revision; zero: unknown
}

// FailoverRequest is the /failover key: a switchover (Leader set) or a manual failover.
type FailoverRequest struct {
	Leader      string
	Candidate   string
	ScheduledAt time.Time // zero: now
	Revision    int64     // zero: the key is absent
}

// Pending reports whether somebody asks for something; a schedule alone is no request.
func (f FailoverRequest) Pending() bool { return f.Leader != "" || f.Candidate != "" }

// Orders reports whether a user has ordered that very member to take over, by a manual failover.
func (f FailoverRequest) Orders(name string) bool {
	return name != "" && f.Leader == "" && f.Candidate == name
}

// Action gives the word that log lines and answers use for the request.
func (f FailoverRequest) Action() string {
	switch {
	case f.Leader != "":
		return "switchover"
	case f.Candidate != "":
		return "manual failover"
	}
	return "failover"
}

// SyncState is the /sync key.
type SyncState struct {
	Leader   string // empty: not active
	Standbys []string
	Quorum   int
	Revision int64 // zero: the key is absent
}

// LedBy reports whether a member is the leader of the state.
func (s SyncState) LedBy(name string) bool { return strings.EqualFold(s.Leader, name) }

// Has reports whether a member is the leader or a standby of the state. PostgreSQL compares these names
// without case, and so does every reader of the key.
func (s SyncState) Has(name string) bool {
	return s.LedBy(name) || s.HasStandby(name)
}

// HasStandby reports whether a member is listed as a synchronous standby or voter.
func (s SyncState) HasStandby(name string) bool {
	for _, n := range s.Standbys {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// History is the /history key.
type History struct {
	Present bool
	Entries []HistoryEntry
}

// Lines gives what /history says of a timeline whose history file has these lines. The cluster is taken to be on the
// timeline after the last line. If PostgreSQL has left numbers out, because it knew of timelines that have come to
// nothing, a line for the last of those makes that true.
func (t Timeline) Lines(file []HistoryEntry) []HistoryEntry {
	n := len(file)
	if n == 0 || file[n-1].Timeline+1 >= t {
		return file
	}
	skipped := HistoryEntry{Timeline: t - 1, LSN: file[n-1].LSN, Reason: file[n-1].Reason}
	return append(slices.Clone(file), skipped)
}

// Began gives the line by which one of the history's timelines began.
func (h History) Began(t Timeline) (line HistoryEntry, known bool) {
	for i, e := range h.Entries {
		child := h.Timeline()
		if i+1 < len(h.Entries) {
			child = h.Entries[i+1].Timeline
		}
		if child == t {
			return e, true
		}
	}
	return HistoryEntry{}, false
}

// Timeline gives the timeline the history says the cluster is on; zero if there is none to tell.
func (h History) Timeline() Timeline {
	if !h.Present {
		return 0
	}
	if len(h.Entries) == 0 {
		return 1
	}
	return h.Entries[len(h.Entries)-1].Timeline + 1
}
