package dcs_test

import (
	"reflect"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

func TestDecodeView(t *testing.T) {
	v := dcs.DecodeView(42, []dcs.KV{
		{Key: "leader", Value: []byte("db1"), ModRevision: 7, CreateRevision: 5, Lease: 99},
		{Key: "members/db2", Value: dcs.EncodeMember(replica), Lease: 100},
		{Key: "members/db1", Value: []byte("garbage"), Lease: 99},
		{Key: "members/a/b", Value: []byte("{}")},
		{Key: "members/", Value: []byte("{}")},
		{Key: "0/leader", Value: []byte("citus")},
		{Key: "something", Value: []byte("else")},
		{Key: "initialize", Value: []byte("7000000000000000001"), ModRevision: 3},
		{Key: "config", Value: []byte(`{"ttl":30}`), ModRevision: 4},
		{Key: "optime/leader", Value: []byte("5")},
		{Key: "failover", Value: []byte(`{}`), ModRevision: 8},
		{Key: "sync", Value: []byte(`?`), ModRevision: 9},
		{Key: "history", Value: []byte(`[]`)},
		{Key: "failsafe", Value: []byte(`{"db1":"u"}`)},
	})
	if v.Revision != 42 || v.Leader.Name != "db1" || v.Leader.Revision != 7 || v.Leader.Created != 5 || v.Leader.Lease != 99 {
		t.Errorf("leader: %+v at %d", v.Leader, v.Revision)
	}
	if len(v.Members) != 2 || v.Members[0].Name != "db1" || v.Members[1].State != "running" || v.Members[1].Lease != 100 {
		t.Errorf("members: %+v", v.Members)
	}
	if v.Initialize.SystemID() == "" || v.Initialize.Revision != 3 || v.Config.Revision != 4 || string(v.Config.Raw) != `{"ttl":30}` {
		t.Errorf("initialize %+v, config %+v", v.Initialize, v.Config)
	}
	if v.Status.Optime != 5 || v.Failover.Revision != 8 || v.Sync.Revision != 9 || v.Sync.Leader != "" || v.History.Timeline() != 1 || v.Failsafe["db1"] != "u" {
		t.Errorf("the rest: %+v", v)
	}
}

// TestDecoder: what is remembered from the view before makes no difference, whatever has changed.
func TestDecoder(t *testing.T) {
	member := func(name, state string) dcs.KV {
		m := replica
		m.State = cluster.State(state)
		return dcs.KV{Key: "members/" + name, Value: dcs.EncodeMember(m)}
	}
	kv := func(key, value string) dcs.KV { return dcs.KV{Key: key, Value: []byte(value), ModRevision: 3} }
	var d dcs.Decoder
	for n, kvs := range [][]dcs.KV{
		{member("a", "running"), member("b", "running"), kv("status", `{"optime":9}`), kv("sync", `{"leader":"a"}`), kv("history", `[[1,2,"r"]]`)},
		{member("a", "running"), member("b", "stopped"), kv("status", `{"optime":9}`), kv("sync", `{"leader":"b"}`), kv("history", `[[1,2,"r"]]`)},
		{member("b", "stopped"), kv("status", `{"optime":10}`), kv("sync", `{"leader":"b"}`), kv("history", `[[1,2,"r"],[2,3,"r"]]`)},
		{member("b", "stopped"), member("a", "stopped"), kv("members/c", ``), kv("sync", ``)},
	} {
		if got, want := d.View(int64(n), kvs), dcs.DecodeView(int64(n), kvs); !reflect.DeepEqual(got, want) {
			t.Errorf("view %d:\n%+v, want\n%+v", n, got, want)
		}
	}
}

func TestStatusWinsOverItsPredecessor(t *testing.T) {
	kvs := []dcs.KV{{Key: "status", Value: []byte(`{"optime":9}`)}, {Key: "optime/leader", Value: []byte("5")}}
	if v := dcs.DecodeView(1, kvs); v.Status.Optime != 9 {
		t.Errorf("optime %d, want 9", v.Status.Optime)
	}
}

// FuzzDecodeView puts anything into any key: nothing may crash, and what was read can be written and read
// again with the same result.
func FuzzDecodeView(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `[]`, `7`, `"x"`, `{"optime":1,"slots":"{}"}`, `db1:db2`, "\xff\xfe", `[[1,2,"r"]]`,
		`{"leader":"a","quorum":1,"sync_standby":"b,c"}`, `{"leader":"a","scheduled_at":"2027-02-03T04:05:06Z"}`,
		string(dcs.EncodeMember(promoted)), `postgres://h/d?application_name=x`, `{"tags":{"a":[{"b":1e400}]}}`,
	} {
		f.Add([]byte(seed))
	}
	keys := []string{"leader", "config", "initialize", "status", "optime/leader", "failover", "sync", "history", "failsafe", "members/a", "x"}
	f.Fuzz(func(t *testing.T, value []byte) {
		var kvs []dcs.KV
		for _, key := range keys {
			kvs = append(kvs, dcs.KV{Key: key, Value: value})
		}
		v := dcs.DecodeView(1, kvs)
		if len(v.Members) != 1 {
			t.Fatalf("a member with a broken value must still be counted: %+v", v.Members)
		}
		again := dcs.EncodeMember(v.Members[0])
		if second := dcs.EncodeMember(dcs.DecodeMember("a", again)); string(second) != string(again) {
			t.Errorf("member changes when read and written again:\n%s\n%s", again, second)
		}
		if s := dcs.EncodeStatus(v.Status); string(dcs.EncodeStatus(dcs.DecodeStatus(s))) != string(s) {
			t.Errorf("status changes when read and written again: %s", s)
		}
		if s := dcs.EncodeSync(v.Sync); string(dcs.EncodeSync(dcs.DecodeSync(s))) != string(s) {
			t.Errorf("sync state changes when read and written again: %s", s)
		}
		if h := dcs.EncodeHistory(v.History); string(dcs.EncodeHistory(dcs.DecodeHistory(h))) != string(h) {
			t.Errorf("history changes when read and written again: %s", h)
		}
	})
}
