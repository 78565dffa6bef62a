package api

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// document is the status document, in the order of the contract (rest-api.md 5.1).
func (p picture) document(version string) object {
	var o object
	o.add("state", string(p.state()))
	if p.answers() {
		p.addAnswers(&o)
	} else {
		o.add("role", string(p.role()))
	}
	addTrue(&o, "pause", p.Settings.Pause)
	addTrue(&o, "cluster_unlocked", p.unlocked())
	addTrue(&o, "failsafe_mode_is_active", p.failsafe())
	o.add("dcs_last_seen", epoch(p.DCSLastSeen))
	if len(p.Tags) > 0 {
		o.add("tags", p.Tags)
	}
	if p.Server.SystemID != "" && p.State != cluster.StateInitdb && p.State != cluster.StateCreatingReplica {
		o.add("database_system_identifier", p.Server.SystemID)
	}
	addPendingRestart(&o, p.Server.PendingRestart)
	o.add("patroni", object{{"version", cluster.PatroniVersion}, {"scope", p.Scope}, {"name", p.Name}})
	if p.ScheduledRestart != nil {
		o.add("scheduled_restart", restartFields(*p.ScheduledRestart))
	}
	addTrue(&o, "watchdog_failed", p.WatchdogFailed)
	own := object{{"version", version}}
	if p.answers() {
		addTrue(&own, "replaying", p.Server.Replaying)
		addTrue(&own, "copied", p.Server.Copied && p.Server.InRecovery)
		if p.hidesPosition() || p.counting().Position() != p.Server.Position() {
			own.add("xlog", positions(&p.Server))
		}
	}
	addTrue(&own, "may_write", p.mayWrite())
	if lines := historyLines(&p.Server); p.answers() && len(lines) > 0 {
		own.add("history", lines)
	}
	if progress := p.Server.Progress.String(); progress != "" {
		own.add("progress", progress)
	}
	o.add("hathi", own)
	return o
}

// toldLines is how many lines of its history file a member tells, the newest: enough to find where two of them have parted.
const toldLines = 50

// historyLines gives lines of the history file as /history has them, timeline and position, without the rest.
func historyLines(s *cluster.Server) [][2]uint64 {
	var lines [][2]uint64
	for _, e := range s.History[max(0, len(s.History)-toldLines):] {
		lines = append(lines, [2]uint64{uint64(e.Timeline), uint64(e.LSN)})
	}
	return lines
}

// addAnswers adds what only a server that answers can tell.
func (p picture) addAnswers(o *object) {
	s := &p.Server
	if !s.PostmasterStart.IsZero() {
		o.add("postmaster_start_time", formatTime(s.PostmasterStart))
	}
	o.add("role", string(p.role()))
	if s.Version != 0 {
		o.add("server_version", s.Version)
	}
	if !p.hidesPosition() {
		o.add("xlog", positions(p.counting()))
	}
	addTrue(o, "sync_standby", p.syncStandby())
	addTrue(o, "quorum_standby", p.quorumStandby())
	var timeline any
	if s.Timeline != 0 {
		timeline = s.Timeline
	}
	o.add("timeline", timeline)
	if state := s.ReplicationState(); state != "" {
		o.add("replication_state", state)
	}
	if len(s.Senders) > 0 {
		o.add("replication", senders(s.Senders))
	}
}

// hidesPosition reports whether members of Patroni must not count this one's position.
func (p picture) hidesPosition() bool {
	return p.Server.Withheld(p.View, p.Settings.SynchronousMode, p.Name)
}

// counting is the server as members of Patroni are to see it; a standby cluster keeps no history of its own.
func (p picture) counting() *cluster.Server {
	if p.Settings.StandbyCluster != nil {
		return &p.Server
	}
	s := p.Server.Counting(p.View)
	return &s
}

func positions(s *cluster.Server) object {
	if !s.InRecovery {
		return object{{"location", s.FlushLSN}}
	}
	received := s.ReceiveLSN
	if received == 0 { // never streamed: what was replayed was received somehow
		received = s.ReplayLSN
	}
	var replayed any
	if !s.ReplayTimestamp.IsZero() {
		replayed = formatTime(s.ReplayTimestamp)
	}
	return object{
		{"received_location", received},
		{"replayed_location", s.ReplayLSN},
		{"replayed_timestamp", replayed},
		{"paused", s.ReplayPaused},
	}
}

func senders(rows []cluster.Sender) []any {
	list := make([]any, 0, len(rows))
	for _, r := range rows {
		var address any
		if r.ClientAddr != "" {
			address = r.ClientAddr
		}
		list = append(list, object{
			{"usename", r.User},
			{"application_name", r.ApplicationName},
			{"client_addr", address},
			{"state", r.State},
			{"sync_state", r.SyncState},
			{"sync_priority", r.SyncPriority},
		})
	}
	return list
}

// addTrue adds a flag; those that are not set are absent.
func addTrue(o *object, name string, set bool) {
	if set {
		o.add(name, true)
	}
}

func addPendingRestart(o *object, pending []cluster.PendingRestart) {
	if len(pending) == 0 {
		return
	}
	var reasons object
	for _, r := range pending {
		reasons.add(r.Parameter, object{{"old_value", r.OldValue}, {"new_value", r.NewValue}})
	}
	o.add("pending_restart", true)
	o.add("pending_restart_reason", reasons)
}

// restartFields are a scheduled restart as the request asked for it.
func restartFields(r cluster.ScheduledRestart) object {
	o := object{{"schedule", r.Schedule}}
	if r.Role != "" {
		o.add("role", r.Role)
	}
	if r.PostgresVersion != "" {
		o.add("postgres_version", r.PostgresVersion)
	}
	if r.TimeoutSeconds != 0 {
		o.add("timeout", r.TimeoutSeconds)
	}
	addTrue(&o, "restart_pending", r.RestartPending)
	return o
}

// formatTime writes a time as Python's str does: a blank in the middle, microseconds if there are any.
func formatTime(t time.Time) string {
	if t.Nanosecond()/1000 == 0 {
		return t.Format("2006-01-02 15:04:05-07:00")
	}
	return t.Format("2006-01-02 15:04:05.000000-07:00")
}

// epoch gives whole seconds since 1970, zero for no time.
func epoch(t time.Time) json.Number {
	if t.IsZero() {
		return "0"
	}
	return json.Number(strconv.FormatInt(t.Unix(), 10))
}
