package dcs_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

func TestBase(t *testing.T) {
	for _, c := range []struct{ namespace, scope, want string }{
		{"", "batman", "/service/batman/"},
		{"svc", "batman", "/svc/batman/"},
		{"/svc", "batman", "/svc/batman/"},
		{"/svc/", "batman", "/svc/batman/"},
		{"//a///b//", "/batman/", "/a/b/batman/"},
		{"/", "batman", "/batman/"},
	} {
		if got := dcs.Base(c.namespace, c.scope); got != c.want {
			t.Errorf("Base(%q, %q) = %q, want %q", c.namespace, c.scope, got, c.want)
		}
	}
}

var replica = cluster.Member{
	Name: "db2", ConnURL: "postgres://10.1.0.12:5432/postgres", APIURL: "http://10.1.0.12:8008/patroni",
	State: cluster.StateRunning, Role: cluster.RoleReplica, Version: "4.1.4",
	Tags:         cluster.Tags{"clonefrom": true, "zone": "b"},
	XLogLocation: 50617232, ReplayLSN: 50617232, ReceiveLSN: 50617232, ReplicationState: "streaming", Timeline: 2,
}

var promoted = cluster.Member{
	Name: "db1", ConnURL: "postgres://10.1.0.11:5432/postgres", APIURL: "http://10.1.0.11:8008/patroni",
	State: cluster.StateRunning, Role: cluster.RolePrimary, Version: "4.1.4", HathiVersion: "1.0",
	CheckpointPending: true, PendingRestart: true,
	PendingRestartReason: []cluster.PendingRestart{{Parameter: "max_connections", OldValue: "40", NewValue: "45"}},
	XLogLocation:         50617336, Timeline: 3, Fork: 50617000,
	ScheduledRestart: &cluster.ScheduledRestart{
		Schedule: "2027-02-03T04:05:06+00:00", Role: "replica", RestartPending: true, TimeoutSeconds: 30,
		PostmasterStartRaw: "2027-02-01 10:11:12.345678+00:00",
	},
	Pause: true,
}

// The wanted texts are those of a Patroni 4.1.4 cluster (spec: keyspace, 4.2), with our fields in one.
func TestMemberIsWrittenAsPatroniWritesIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		member cluster.Member
		want   string
	}{
		{"running replica", replica, `{"conn_url":"postgres://10.1.0.12:5432/postgres","api_url":"http://10.1.0.12:8008/patroni",` +
			`"state":"running","role":"replica","version":"4.1.4","tags":{"clonefrom":true,"zone":"b"},"xlog_location":50617232,` +
			`"replay_lsn":50617232,"receive_lsn":50617232,"replication_state":"streaming","timeline":2}`},
		{"promoted, restart scheduled, paused", promoted, `{"conn_url":"postgres://10.1.0.11:5432/postgres",` +
			`"api_url":"http://10.1.0.11:8008/patroni","state":"running","role":"primary","version":"4.1.4","hathi":"1.0",` +
			`"checkpoint_after_promote":false,"pending_restart":true,` +
			`"pending_restart_reason":{"max_connections":{"old_value":"40","new_value":"45"}},"xlog_location":50617336,"timeline":3,"hathi_fork":50617000,` +
			`"scheduled_restart":{"schedule":"2027-02-03T04:05:06+00:00","role":"replica","restart_pending":true,"timeout":30,` +
			`"postmaster_start_time":"2027-02-01 10:11:12.345678+00:00"},"pause":true}`},
		{
			"stopped",
			cluster.Member{State: cluster.StateStopped, Role: cluster.RolePrimary, Version: "4.1.4"},
			`{"conn_url":"","api_url":"","state":"stopped","role":"primary","version":"4.1.4"}`,
		},
		{
			"text beyond ASCII",
			cluster.Member{Tags: cluster.Tags{"ort": "Zürich <&> \U0001f418\n\x01\x7f", "n": []any{1.5, nil, int64(7)}}},
			`{"conn_url":"","api_url":"","state":"","role":"","version":"",` +
				`"tags":{"n":[1.5,null,7],"ort":"Z\u00fcrich <&> \ud83d\udc18\n\u0001\u007f"}}`,
		},
	} {
		got := dcs.EncodeMember(c.member)
		if string(got) != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if back := dcs.DecodeMember(c.member.Name, got); !reflect.DeepEqual(back, c.member) {
			t.Errorf("%s: read back as\n%+v, want\n%+v", c.name, back, c.member)
		}
	}
}

func TestDecodeMemberIsTolerant(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        cluster.Member
	}{
		{"not JSON", `garbage`, cluster.Member{}},
		{"array", `[1]`, cluster.Member{}},
		{"null", `null`, cluster.Member{}},
		{"empty", ``, cluster.Member{}},
		{"fields of wrong types", `{"conn_url":7,"state":["running"],"timeline":"x","tags":"no","xlog_location":-5,` +
			`"pending_restart_reason":[1],"scheduled_restart":"soon","version":"4.1.4"}`, cluster.Member{Version: "4.1.4"}},
		{"unknown fields", `{"state":"running","new":{"a":1}}`, cluster.Member{State: "running"}},
		{
			"very old URL", `postgres://h:5432/postgres?application_name=http%3A%2F%2Fh%3A8008%2Fpatroni`,
			cluster.Member{ConnURL: "postgres://h:5432/postgres", APIURL: "http://h:8008/patroni"},
		},
		{"connection arguments", `{"conn_kwargs":{"host":"::1","port":5433}}`, cluster.Member{ConnURL: "postgres://[::1]:5433/postgres"}},
		{"connection arguments without port", `{"conn_kwargs":{"host":"h"}}`, cluster.Member{ConnURL: "postgres://h:5432/postgres"}},
		{"old word", `{"role":"master"}`, cluster.Member{Role: cluster.RolePrimary}},
		{"checkpoint done", `{"checkpoint_after_promote":true}`, cluster.Member{}},
		{"integer tag stays one", `{"tags":{"failover_priority":0}}`, cluster.Member{Tags: cluster.Tags{"failover_priority": int64(0)}}},
		{"timeline too large", `{"timeline":99999999999}`, cluster.Member{}},
		{
			"order of reasons", `{"pending_restart":true,"pending_restart_reason":{"z":{"old_value":"1","new_value":"2"},"a":{}}}`,
			cluster.Member{PendingRestart: true, PendingRestartReason: []cluster.PendingRestart{{Parameter: "z", OldValue: "1", NewValue: "2"}, {Parameter: "a"}}},
		},
	} {
		c.want.Name = "db"
		if got := dcs.DecodeMember("db", []byte(c.value)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got\n%+v, want\n%+v", c.name, got, c.want)
		}
	}
}

func TestStatus(t *testing.T) {
	full := cluster.Status{Present: true, Optime: 50617768, Slots: map[string]cluster.LSN{"db1": 50617768, "app_slot": 50617336}, RetainSlots: []string{"db1", "db2"}}
	for _, c := range []struct {
		name, value string
		want        cluster.Status
	}{
		{"full", `{"optime":50617768,"slots":{"app_slot":50617336,"db1":50617768},"retain_slots":["db1","db2"]}`, full},
		{"parts in strings", `{"optime":"50617768","slots":"{\"app_slot\":50617336,\"db1\":\"50617768\"}","retain_slots":"[\"db1\",\"db2\"]"}`, full},
		{"bare position", `123`, cluster.Status{Present: true, Optime: 123}},
		{"garbage", `{{`, cluster.Status{Present: true}},
		{"bad slot", `{"optime":1,"slots":{"a":"x"}}`, cluster.Status{Present: true, Optime: 1, Slots: map[string]cluster.LSN{"a": 0}}},
		{"wrong types", `{"optime":[],"slots":[1],"retain_slots":{"a":1}}`, cluster.Status{Present: true}},
	} {
		if got := dcs.DecodeStatus([]byte(c.value)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	want := `{"optime":50617768,"slots":{"app_slot":50617336,"db1":50617768},"retain_slots":["db1","db2"]}`
	if got := dcs.EncodeStatus(full); string(got) != want {
		t.Errorf("EncodeStatus = %s, want %s", got, want)
	}
	if got := dcs.EncodeStatus(cluster.Status{}); string(got) != `{"optime":0}` {
		t.Errorf("EncodeStatus of nothing = %s", got)
	}
}

func TestFailover(t *testing.T) {
	at := time.Date(2027, 2, 3, 4, 5, 6, 0, time.FixedZone("", 7200))
	for _, c := range []struct {
		name, value string
		want        cluster.FailoverRequest
	}{
		{
			"switchover", `{"leader":"db1","member":"db2","scheduled_at":"2027-02-03T04:05:06+02:00"}`,
			cluster.FailoverRequest{Leader: "db1", Candidate: "db2", ScheduledAt: at},
		},
		{"blank instead of T", `{"leader":"db1","scheduled_at":"2027-02-03 04:05:06.000+0200"}`, cluster.FailoverRequest{Leader: "db1", ScheduledAt: at}},
		{"legacy", `db1:db2`, cluster.FailoverRequest{Leader: "db1", Candidate: "db2"}},
		{"none", `{}`, cluster.FailoverRequest{}},
		{"null", `null`, cluster.FailoverRequest{}},
		{"garbage", `{"leader": oops`, cluster.FailoverRequest{}},
		{"schedule that can't be read is no request", `{"leader":"db1","scheduled_at":"tomorrow"}`, cluster.FailoverRequest{}},
		{"schedule without offset is no request", `{"leader":"db1","scheduled_at":"2027-02-03T04:05:06"}`, cluster.FailoverRequest{}},
		{"schedule of a wrong type is no request", `{"leader":"db1","scheduled_at":5}`, cluster.FailoverRequest{}},
	} {
		got := dcs.DecodeFailover([]byte(c.value))
		if got.Leader != c.want.Leader || got.Candidate != c.want.Candidate || !got.ScheduledAt.Equal(c.want.ScheduledAt) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	want := `{"leader":"db1","member":"db2","scheduled_at":"2027-02-03T04:05:06+02:00"}`
	if got := dcs.EncodeFailover(cluster.FailoverRequest{Leader: "db1", Candidate: "db2", ScheduledAt: at}); string(got) != want {
		t.Errorf("EncodeFailover = %s, want %s", got, want)
	}
	if got := dcs.EncodeFailover(cluster.FailoverRequest{ScheduledAt: at}); string(got) != `{}` {
		t.Errorf("EncodeFailover of no request = %s", got)
	}
}

func TestSync(t *testing.T) {
	for _, c := range []struct {
		name, value string
		want        cluster.SyncState
	}{
		{"quorum", `{"leader":"db1","quorum":1,"sync_standby":"db2, db3"}`, cluster.SyncState{Leader: "db1", Quorum: 1, Standbys: []string{"db2", "db3"}}},
		{"nobody", `{"leader":"db1","quorum":0,"sync_standby":null}`, cluster.SyncState{Leader: "db1"}},
		{"before quorum commit", `{"leader":"db1","sync_standby":"db2"}`, cluster.SyncState{Leader: "db1", Standbys: []string{"db2"}}},
		{"no leader", `{"leader":null,"quorum":2,"sync_standby":"db2"}`, cluster.SyncState{}},
		{"quorum no number", `{"leader":"db1","quorum":"many","sync_standby":"db2"}`, cluster.SyncState{}},
		{"garbage", `?`, cluster.SyncState{}},
	} {
		if got := dcs.DecodeSync([]byte(c.value)); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	got := dcs.EncodeSync(cluster.SyncState{Leader: "db1", Quorum: 1, Standbys: []string{"db3", "db2"}})
	if want := `{"leader":"db1","quorum":1,"sync_standby":"db2,db3"}`; string(got) != want {
		t.Errorf("EncodeSync = %s, want %s", got, want)
	}
	if got, want := dcs.EncodeSync(cluster.SyncState{}), `{"leader":null,"quorum":0,"sync_standby":null}`; string(got) != want {
		t.Errorf("EncodeSync of nothing = %s, want %s", got, want)
	}
}

func TestHistory(t *testing.T) {
	text := `[[1,50616232,"no recovery target specified","2027-01-01T10:00:00.123456+00:00","db2"],[2,50617232,"x","2027"],[3,50617999,"y"]]`
	want := cluster.History{Present: true, Entries: []cluster.HistoryEntry{
		{Timeline: 1, LSN: 50616232, Reason: "no recovery target specified", Timestamp: "2027-01-01T10:00:00.123456+00:00", NewLeader: "db2"},
		{Timeline: 2, LSN: 50617232, Reason: "x", Timestamp: "2027"},
		{Timeline: 3, LSN: 50617999, Reason: "y"},
	}}
	got := dcs.DecodeHistory([]byte(text))
	if !reflect.DeepEqual(got, want) || got.Timeline() != 4 {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if back := dcs.EncodeHistory(want); string(back) != text {
		t.Errorf("EncodeHistory = %s, want %s", back, text)
	}
	if got := dcs.DecodeHistory([]byte(`[]`)); got.Timeline() != 1 {
		t.Errorf("timeline of [] = %d, want 1", got.Timeline())
	}
	for _, bad := range []string{``, `null`, `{}`, `[1]`, `[[1,2]]`, `[["x",2,"r"]]`, `[[1,2,3]]`, `[[1,2,"r"],null]`} {
		if got := dcs.DecodeHistory([]byte(bad)); got.Present || got.Timeline() != 0 {
			t.Errorf("DecodeHistory(%s) = %+v, want absent", bad, got)
		}
	}
}

func TestFailsafe(t *testing.T) {
	members := map[string]string{"db2": "http://2/patroni", "db1": "http://1/patroni"}
	text := `{"db1":"http://1/patroni","db2":"http://2/patroni"}`
	if got := dcs.EncodeFailsafe(members); string(got) != text {
		t.Errorf("EncodeFailsafe = %s", got)
	}
	if got := dcs.DecodeFailsafe([]byte(text)); !reflect.DeepEqual(got, members) {
		t.Errorf("DecodeFailsafe = %v", got)
	}
	if got := dcs.DecodeFailsafe([]byte(`{"db1":1}`)); got != nil {
		t.Errorf("DecodeFailsafe of garbage = %v, want nil", got)
	}
}
