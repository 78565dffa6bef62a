package dcs

import (
	"bytes"
	"encoding/json"
	"net"
	"net/url"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// EncodeMember gives the value of a member's key, in Patroni's order of fields. The name and the lease are
// not part of it. Source: Patroni 4.1, ha.py, touch_member.
func EncodeMember(m cluster.Member) []byte {
	var o object
	o.text("conn_url", m.ConnURL)
	o.text("api_url", m.APIURL)
	o.text("state", string(m.State))
	o.text("role", string(m.Role))
	o.text("version", m.Version)
	o.textIf("hathi", m.HathiVersion)
	o.textIf("hathi_progress", m.Progress)
	o.textIf("proxy_url", m.ProxyURL)
	if m.CheckpointPending {
		o.raw("checkpoint_after_promote", []byte("false"))
	}
	if len(m.Tags) > 0 {
		o.raw("tags", appendAny(nil, map[string]any(m.Tags)))
	}
	o.trueIf("pending_restart", m.PendingRestart)
	if m.PendingRestart {
		o.raw("pending_restart_reason", encodeReasons(m.PendingRestartReason))
	}
	o.numberIf("xlog_location", uint64(m.XLogLocation))
	o.numberIf("replay_lsn", uint64(m.ReplayLSN))
	o.numberIf("receive_lsn", uint64(m.ReceiveLSN))
	o.textIf("replication_state", m.ReplicationState)
	o.numberIf("timeline", uint64(m.Timeline))
	o.numberIf("hathi_fork", uint64(m.Fork))
	if m.ScheduledRestart != nil {
		o.raw("scheduled_restart", encodeScheduledRestart(*m.ScheduledRestart))
	}
	o.trueIf("pause", m.Pause)
	return o.bytes()
}

func encodeReasons(reasons []cluster.PendingRestart) []byte {
	var o object
	for _, r := range reasons {
		var change object
		change.text("old_value", r.OldValue)
		change.text("new_value", r.NewValue)
		o.raw(r.Parameter, change.bytes())
	}
	return o.bytes()
}

func encodeScheduledRestart(r cluster.ScheduledRestart) []byte {
	var o object
	o.text("schedule", r.Schedule)
	o.textIf("role", r.Role)
	o.textIf("postgres_version", r.PostgresVersion)
	o.trueIf("restart_pending", r.RestartPending)
	o.numberIf("timeout", uint64(max(0, r.TimeoutSeconds)))
	if r.PostmasterStartRaw == "" {
		o.raw("postmaster_start_time", []byte("null"))
	} else {
		o.text("postmaster_start_time", r.PostmasterStartRaw)
	}
	return o.bytes()
}

// DecodeMember reads the value of a member's key. It never fails: what can't be read is absent, and a
// value that can't be read at all gives a member with only a name. Source: Patroni 4.1, dcs/__init__.py,
// Member.from_node.
func DecodeMember(name string, value []byte) cluster.Member {
	m := cluster.Member{Name: name}
	f, ok := readFields(value)
	if !ok {
		if strings.HasPrefix(string(value), "postgres") {
			m.ConnURL, m.APIURL = splitOldURL(string(value))
		}
		return m
	}
	m.ConnURL = f.text("conn_url")
	if m.ConnURL == "" {
		m.ConnURL = connURLFromArguments(f["conn_kwargs"])
	}
	m.APIURL = f.text("api_url")
	m.ProxyURL = f.text("proxy_url")
	m.State = cluster.State(f.text("state"))
	m.Role = readRole(f.text("role"))
	m.Version = f.text("version")
	m.HathiVersion = f.text("hathi")
	m.Progress = f.text("hathi_progress")
	checkpointDone, told := f.value("checkpoint_after_promote").(bool)
	m.CheckpointPending = told && !checkpointDone
	if tags, ok := f.value("tags").(map[string]any); ok && len(tags) > 0 {
		m.Tags = tags
	}
	m.PendingRestart = f.truthy("pending_restart")
	m.PendingRestartReason = decodeReasons(f["pending_restart_reason"])
	m.XLogLocation = cluster.LSN(f.unsigned("xlog_location"))
	m.ReplayLSN = cluster.LSN(f.unsigned("replay_lsn"))
	m.ReceiveLSN = cluster.LSN(f.unsigned("receive_lsn"))
	m.ReplicationState = f.text("replication_state")
	m.Timeline = timeline(f.unsigned("timeline"))
	m.Fork = cluster.LSN(f.unsigned("hathi_fork"))
	m.ScheduledRestart = decodeScheduledRestart(f["scheduled_restart"])
	m.Pause = f.truthy("pause")
	return m
}

// timeline takes what does not fit for unknown.
func timeline(n uint64) cluster.Timeline {
	if n > 1<<32-1 {
		return 0
	}
	return cluster.Timeline(n)
}

// readRole accepts the word that old members still write for a primary.
func readRole(text string) cluster.Role {
	if text == "master" {
		return cluster.RolePrimary
	}
	return cluster.Role(text)
}

// splitOldURL reads the value of very old members: a connection URL that carries the other in it.
func splitOldURL(value string) (conn, api string) {
	u, err := url.Parse(value)
	if err != nil {
		return value, ""
	}
	query := u.Query()
	api = query.Get("application_name")
	query.Del("application_name")
	u.RawQuery = query.Encode()
	return u.String(), api
}

func connURLFromArguments(raw json.RawMessage) string {
	f, ok := readFields(raw)
	if !ok || f.text("host") == "" {
		return ""
	}
	port := strings.Trim(string(f["port"]), `" `)
	if readUnsigned(f["port"]) == 0 {
		port = "5432"
	}
	return "postgres://" + net.JoinHostPort(f.text("host"), port) + "/postgres"
}

// decodeReasons keeps the stored order, which the commands show.
func decodeReasons(raw json.RawMessage) []cluster.PendingRestart {
	f, ok := readFields(raw)
	if !ok {
		return nil
	}
	var reasons []cluster.PendingRestart
	for _, name := range orderedKeys(raw) {
		change, _ := readFields(f[name])
		reasons = append(reasons, cluster.PendingRestart{
			Parameter: name, OldValue: change.text("old_value"), NewValue: change.text("new_value"),
		})
	}
	return reasons
}

// orderedKeys gives the keys of a JSON object as they stand, each once.
func orderedKeys(raw json.RawMessage) []string {
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		return nil
	}
	var keys []string
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return keys
		}
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return keys
		}
		if !seen[name] {
			keys, seen[name] = append(keys, name), true
		}
	}
	return keys
}

func decodeScheduledRestart(raw json.RawMessage) *cluster.ScheduledRestart {
	f, ok := readFields(raw)
	if !ok || f.text("schedule") == "" {
		return nil
	}
	_, pending := f["restart_pending"]
	return &cluster.ScheduledRestart{
		Schedule:           f.text("schedule"),
		Role:               f.text("role"),
		PostgresVersion:    f.text("postgres_version"),
		RestartPending:     pending,
		TimeoutSeconds:     int(min(f.unsigned("timeout"), 1<<31-1)),
		PostmasterStartRaw: f.text("postmaster_start_time"),
	}
}
