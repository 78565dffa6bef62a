package cluster

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Role is what a member says it is. It is the member's own claim about PostgreSQL, never proof of who
// holds the leader key: leader and primary are two facts.
type Role string

// The roles that are published. Source: Patroni 4.1, member key.
const (
	RolePrimary       Role = "primary"
	RoleReplica       Role = "replica"
	RoleStandbyLeader Role = "standby_leader"
	RoleDemoted       Role = "demoted"  // was primary, is stopped
	RolePromoted      Role = "promoted" // promotion asked for, end of recovery not yet confirmed
	RoleUninitialized Role = "uninitialized"
)

// State is the state of a member's PostgreSQL, in the words that Patroni publishes.
type State string

// The states, in the order of their metric index.
const (
	StateInitdb                State = "initializing new cluster"
	StateInitdbFailed          State = "initdb failed"
	StateCustomBootstrap       State = "running custom bootstrap script"
	StateCustomBootstrapFailed State = "custom bootstrap failed"
	StateCreatingReplica       State = "creating replica"
	StateRunning               State = "running"
	StateStarting              State = "starting"
	StateBootstrapStarting     State = "starting after custom bootstrap"
	StateStartFailed           State = "start failed"
	StateRestarting            State = "restarting"
	StateRestartFailed         State = "restart failed"
	StateStopping              State = "stopping"
	StateStopped               State = "stopped"
	StateStopFailed            State = "stop failed"
	StateCrashed               State = "crashed"
	StateUnknown               State = "unknown" // index -1; never published in a member key
)

var stateIndex = []State{
	StateInitdb, StateInitdbFailed, StateCustomBootstrap, StateCustomBootstrapFailed, StateCreatingReplica,
	StateRunning, StateStarting, StateBootstrapStarting, StateStartFailed, StateRestarting, StateRestartFailed,
	StateStopping, StateStopped, StateStopFailed, StateCrashed,
}

// Index gives the number under which the state appears in metrics, -1 if it has none. The numbers never
// change. Source: Patroni 4.1, metric patroni_postgres_state.
func (s State) Index() int {
	for i, known := range stateIndex {
		if s == known {
			return i
		}
	}
	return -1
}

// Member is one node as its own key describes it. A key that can't be read gives a Member with only a
// name. Optional numbers are pointers or have a documented zero meaning "absent".
type Member struct {
	Name    string
	ConnURL string // postgres://host:port/database, no credentials
	APIURL  string // ends in /patroni; peers request it as it stands
	// ProxyURL is empty unless postgresql.proxy_address is set.
	ProxyURL string
	State    State
	Role     Role
	// Version is the Patroni version the member claims to be compatible with.
	Version string
	// HathiVersion is empty for a member that runs Patroni.
	HathiVersion string
	// Progress is that of the long action behind State, for people; empty: there is none.
	Progress string
	// CheckpointPending is published as checkpoint_after_promote:false: the promotion's checkpoint is not
	// yet done and pg_rewind against this member has to wait. Source: Patroni 4.1, rewind.py.
	CheckpointPending bool
	Tags              Tags
	PendingRestart    bool
	// PendingRestartReason is in the order in which it was stored.
	PendingRestartReason []PendingRestart
	XLogLocation         LSN // zero: absent
	ReplayLSN            LSN // zero: absent
	ReceiveLSN           LSN // zero: absent
	ReplicationState     string
	Timeline             Timeline // zero: absent
	Fork                 LSN      // where that timeline left the one before; zero: absent. Patroni does not tell
	ScheduledRestart     *ScheduledRestart
	Pause                bool

	// Lease is the etcd lease on the key, zero if it has none. Not part of the value.
	Lease int64
}

// PendingRestart is one setting whose new value waits for a restart of PostgreSQL.
type PendingRestart struct {
	Parameter, OldValue, NewValue string
}

// ScheduledRestart is a restart that was asked for a later moment.
type ScheduledRestart struct {
	Schedule           string // ISO 8601 with offset, as it was given
	Role               string
	PostgresVersion    string
	RestartPending     bool
	TimeoutSeconds     int    // zero: not given
	PostmasterStartRaw string // as published; empty: unknown
}

// Tags are a member's tags. Patroni gives each of the known ones its own idea of truth; the accessors
// keep to it. Source: Patroni 4.1, tags.py.
type Tags map[string]any

// NoFailover reports whether the member must never be promoted automatically: the tag nofailover if it
// is there, else a failover_priority of zero or less.
func (t Tags) NoFailover() bool {
	if v, ok := t["nofailover"]; ok && v != nil {
		return truthy(v)
	}
	n, ok := integer(t["failover_priority"])
	return ok && n <= 0
}

// FailoverPriority breaks ties between members at the same log position; higher wins, the default is 1.
func (t Tags) FailoverPriority() int { return t.priority("nofailover", "failover_priority") }

// NoSync reports whether the member must not become a synchronous standby.
func (t Tags) NoSync() bool {
	if v, ok := t["nosync"]; ok && v != nil {
		return truthy(v)
	}
	n, ok := integer(t["sync_priority"])
	return ok && n <= 0
}

// SyncPriority orders candidates for synchronous standby; higher is preferred, the default is 1.
func (t Tags) SyncPriority() int { return t.priority("nosync", "sync_priority") }

// ReplicateFrom names the member to stream from; empty means the leader.
func (t Tags) ReplicateFrom() string {
	s, _ := t["replicatefrom"].(string)
	return s
}

// CloneFrom reports whether the member offers itself as the source of base backups.
func (t Tags) CloneFrom() bool { return truthy(t["clonefrom"]) }

// NoLoadBalance reports whether the replica health check must fail on this member.
func (t Tags) NoLoadBalance() bool { return truthy(t["noloadbalance"]) }

// NoStream reports whether the member must not stream but restore from the archive.
func (t Tags) NoStream() bool {
	b, ok := ParseBool(t["nostream"])
	return ok && b
}

func (t Tags) priority(no, name string) int {
	if v, ok := t[no]; ok && v != nil && truthy(v) {
		return 0
	}
	if n, ok := integer(t[name]); ok {
		return n
	}
	return 1
}

// truthy is Python's idea of truth, which Patroni applies to most tags: the string "false" is true.
func truthy(v any) bool {
	switch x := v.(type) {
	case nil:
		return false
	case bool:
		return x
	case string:
		return x != ""
	case int:
		return x != 0
	case int64:
		return x != 0
	case float64:
		return x != 0
	case []any:
		return len(x) != 0
	case map[string]any:
		return len(x) != 0
	}
	return true
}

func integer(v any) (int, bool) {
	switch x := v.(type) {
	case int:
		return x, true
	case int64:
		return int(x), true
	case float64:
		return int(x), true
	case bool:
		if x {
			return 1, true
		}
		return 0, true
	case string:
		n, err := strconv.Atoi(strings.TrimSpace(x))
		return n, err == nil
	case interface{ Int64() (int64, error) }: // json.Number
		n, err := x.Int64()
		return int(n), err == nil
	}
	return 0, false
}

// ParseBool reads a boolean word as Patroni does: on, true, yes, 1 and off, false, no, 0 in any case. The
// second result is false for anything else, nil included.
func ParseBool(v any) (value, ok bool) {
	var text string
	switch x := v.(type) {
	case bool:
		return x, true
	case string:
		text = x
	case int:
		text = strconv.Itoa(x)
	case int64:
		text = strconv.FormatInt(x, 10)
	case interface{ String() string }:
		text = x.String()
	default:
		return false, false
	}
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "on", "true", "yes", "1":
		return true, true
	case "off", "false", "no", "0":
		return false, true
	}
	return false, false
}

// SlotName gives the name of the replication slot that a member streams through. It must be the same on
// every node, Patroni's included. Source: Patroni 4.1, postgresql/misc.py, slot_name_from_member_name.
func SlotName(member string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(member) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case r == '-' || r == '.':
			b.WriteByte('_')
		default:
			b.WriteByte('u')
			digits := strconv.Itoa(int(r))
			b.WriteString(strings.Repeat("0", max(0, 4-len(digits))))
			b.WriteString(digits)
		}
	}
	name := b.String()
	return name[:min(len(name), 63)]
}

// HistoryEntry is one change of timeline.
type HistoryEntry struct {
	Timeline  Timeline // the timeline that ended
	LSN       LSN      // where it ended
	Reason    string
	Timestamp string // ISO 8601; empty if it was not recorded
	NewLeader string // empty if it was not recorded
}

// FormatISO gives a time as Patroni writes it: ISO 8601 with offset, microseconds only if there are any.
func FormatISO(t time.Time) string {
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02T15:04:05-07:00")
	}
	return t.Format("2006-01-02T15:04:05.000000-07:00")
}

// Address gives host and port of the member's PostgreSQL from its connection URL, without brackets
// around IPv6; an empty host if the URL can't be read. The port defaults to 5432.
func (m Member) Address() (host, port string) {
	u, err := url.Parse(m.ConnURL)
	if err != nil || u.Hostname() == "" {
		return "", ""
	}
	if port = u.Port(); port == "" {
		port = "5432"
	}
	return u.Hostname(), port
}

// WithoutPositions gives the member without its log positions and its progress, which move all the time: what is
// left tells whether there is news.
func (m Member) WithoutPositions() Member {
	m.XLogLocation, m.ReplayLSN, m.ReceiveLSN = 0, 0, 0
	m.Progress = ""
	return m
}
