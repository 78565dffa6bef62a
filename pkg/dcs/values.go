package dcs

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// EncodeStatus gives the value of /status; empty parts are left out, as Patroni does.
func EncodeStatus(s cluster.Status) []byte {
	var o object
	o.number("optime", uint64(s.Optime))
	if len(s.Slots) > 0 {
		var slots object
		for _, name := range slices.Sorted(maps.Keys(s.Slots)) {
			slots.number(name, uint64(s.Slots[name]))
		}
		o.raw("slots", slots.bytes())
	}
	if len(s.RetainSlots) > 0 {
		o.raw("retain_slots", appendStrings(nil, slices.Sorted(slices.Values(s.RetainSlots))))
	}
	return o.bytes()
}

// DecodeStatus reads /status: an object, or a bare position as old members wrote it. Anything else is a
// status that knows nothing.
func DecodeStatus(value []byte) cluster.Status {
	s := cluster.Status{Present: true}
	f, ok := readFields(value)
	if !ok {
		s.Optime = cluster.LSN(readUnsigned(value))
		return s
	}
	s.Optime = cluster.LSN(f.unsigned("optime"))
	if slots, ok := readFields(unwrap(f["slots"])); ok && len(slots) > 0 {
		s.Slots = make(map[string]cluster.LSN, len(slots))
		for name, lsn := range slots {
			s.Slots[name] = cluster.LSN(readUnsigned(lsn))
		}
	}
	var retain []string
	if json.Unmarshal(unwrap(f["retain_slots"]), &retain) == nil {
		s.RetainSlots = retain
	}
	return s
}

// unwrap gives the JSON that some versions stored inside a string.
func unwrap(raw json.RawMessage) json.RawMessage {
	var inner string
	if json.Unmarshal(raw, &inner) == nil {
		return json.RawMessage(inner)
	}
	return raw
}

// EncodeFailover gives the value of /failover; a request for nothing is {}.
func EncodeFailover(r cluster.FailoverRequest) []byte {
	var o object
	if !r.Pending() {
		return o.bytes()
	}
	o.textIf("leader", r.Leader)
	o.textIf("member", r.Candidate)
	if !r.ScheduledAt.IsZero() {
		o.text("scheduled_at", cluster.FormatISO(r.ScheduledAt))
	}
	return o.bytes()
}

// DecodeFailover reads /failover: an object, or leader:candidate as very old tools wrote it. A request
// whose schedule can't be read is no request at all, for without its schedule it would be due at once.
func DecodeFailover(value []byte) cluster.FailoverRequest {
	f, ok := readFields(value)
	if !ok {
		leader, candidate, legacy := strings.Cut(string(value), ":")
		if !legacy || !utf8.Valid(value) || strings.ContainsAny(string(value), "{}[]\" \t\r\n") {
			return cluster.FailoverRequest{}
		}
		return cluster.FailoverRequest{Leader: leader, Candidate: candidate}
	}
	r := cluster.FailoverRequest{Leader: f.text("leader"), Candidate: f.text("member")}
	if f.truthy("scheduled_at") {
		at, err := ParseTime(f.text("scheduled_at"))
		if err != nil {
			return cluster.FailoverRequest{}
		}
		r.ScheduledAt = at
	}
	return r
}

// timeLayouts are the forms of ISO 8601 with an offset that are met in the keys. Fractions of a second are
// read by package time wherever they stand.
var timeLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05-07", "2006-01-02T15:04Z07:00",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05-0700", "2006-01-02 15:04:05-07", "2006-01-02 15:04Z07:00",
}

// ParseTime reads a moment in ISO 8601 as it stands in the keys. The offset is mandatory; the zone of the
// result is that offset.
func ParseTime(text string) (time.Time, error) {
	var first error
	for _, layout := range timeLayouts {
		at, err := time.Parse(layout, strings.TrimSpace(text))
		if err == nil {
			return at, nil
		}
		if first == nil {
			first = err
		}
	}
	return time.Time{}, first
}

// EncodeSync gives the value of /sync; all three fields are always there.
func EncodeSync(s cluster.SyncState) []byte {
	var o object
	if s.Leader == "" {
		o.raw("leader", []byte("null"))
	} else {
		o.text("leader", s.Leader)
	}
	o.number("quorum", uint64(max(0, s.Quorum)))
	if len(s.Standbys) == 0 {
		o.raw("sync_standby", []byte("null"))
	} else {
		o.text("sync_standby", strings.Join(slices.Sorted(slices.Values(s.Standbys)), ","))
	}
	return o.bytes()
}

// DecodeSync reads /sync. A value without a leader, or with a quorum that is no number, is not active.
func DecodeSync(value []byte) cluster.SyncState {
	f, ok := readFields(value)
	if !ok || f.text("leader") == "" {
		return cluster.SyncState{}
	}
	quorum, ok := readQuorum(f["quorum"])
	if !ok {
		return cluster.SyncState{}
	}
	s := cluster.SyncState{Leader: f.text("leader"), Quorum: quorum}
	for name := range strings.SplitSeq(f.text("sync_standby"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			s.Standbys = append(s.Standbys, name)
		}
	}
	return s
}

// readQuorum takes an absent number for zero, as members older than quorum commit leave it out.
func readQuorum(raw json.RawMessage) (int, bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, true
	}
	n, err := strconv.ParseUint(strings.Trim(string(raw), `" `), 10, 16)
	return int(n), err == nil
}

// EncodeFailsafe gives the value of /failsafe.
func EncodeFailsafe(members map[string]string) []byte {
	var o object
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o.text(name, members[name])
	}
	return o.bytes()
}

// DecodeFailsafe reads /failsafe; nil if it is not an object of texts.
func DecodeFailsafe(value []byte) map[string]string {
	var members map[string]string
	if json.Unmarshal(value, &members) != nil {
		return nil
	}
	return members
}
