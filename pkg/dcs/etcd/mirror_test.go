package etcd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

func kv(key, value string, revision int64) dcs.KV {
	return dcs.KV{Key: key, Value: []byte(value), ModRevision: revision, CreateRevision: revision}
}

// text shows a mirror in short: revision, then key=value@revision.
func text(m *mirror) string {
	var keys []string
	for _, key := range []string{"config", "leader", "status"} {
		if got, ok := m.get(key); ok {
			keys = append(keys, fmt.Sprintf("%s=%s@%d", key, got.Value, got.ModRevision))
		}
	}
	return fmt.Sprintf("%d: %s", m.revision, strings.Join(keys, " "))
}

func TestMirrorNeverGoesBack(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(m *mirror)
		want string
	}{
		{"events", func(m *mirror) {
			m.event(kv("leader", "b", 11), false)
			m.event(dcs.KV{Key: "config", ModRevision: 12}, true)
			m.advance(12)
		}, "12: leader=b@11"},
		{"an event from before the read", func(m *mirror) { m.event(kv("leader", "old", 9), false) }, "10: config={}@3 leader=a@5"},
		{"an event from before an own write", func(m *mirror) {
			m.learn(kv("leader", "me", 15), false)
			m.event(kv("leader", "x", 12), false)
			m.advance(12)
		}, "12: config={}@3 leader=me@15"},
		{"an event from before an own deletion", func(m *mirror) {
			m.learn(kv("leader", "", 15), true)
			m.event(kv("leader", "x", 12), false)
			m.advance(12)
		}, "12: config={}@3"},
		{"an event after an own deletion", func(m *mirror) {
			m.learn(kv("leader", "", 15), true)
			m.event(kv("leader", "x", 16), false)
			m.advance(16)
		}, "16: config={}@3 leader=x@16"},
		{"a read that an own write has overtaken", func(m *mirror) {
			began := m.count
			m.learn(kv("status", "1", 15), false)
			m.install(14, []dcs.KV{kv("leader", "b", 13)}, began)
		}, "14: leader=b@13 status=1@15"},
		{"a read after an own write", func(m *mirror) {
			m.learn(kv("status", "1", 15), false)
			m.install(16, []dcs.KV{kv("leader", "b", 13)}, m.count)
		}, "16: leader=b@13"},
		{"an etcd that was restored begins lower", func(m *mirror) {
			m.learn(kv("status", "1", 15), false)
			m.install(4, []dcs.KV{kv("leader", "c", 2)}, m.count)
			m.event(kv("status", "2", 5), false)
			m.advance(5)
		}, "5: leader=c@2 status=2@5"},
	} {
		m := &mirror{}
		m.install(10, []dcs.KV{kv("leader", "a", 5), kv("config", "{}", 3)}, 0)
		c.do(m)
		if got := text(m); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMirrorTellsWhatMatters(t *testing.T) {
	member := func(lsn cluster.LSN, state cluster.State) string {
		return string(dcs.EncodeMember(cluster.Member{State: state, ReplayLSN: lsn}))
	}
	for _, c := range []struct {
		name    string
		kv      dcs.KV
		deleted bool
		want    bool
	}{
		{"same value on another lease", dcs.KV{Key: "leader", Value: []byte("a"), ModRevision: 11, Lease: 7}, false, false},
		{"another leader", kv("leader", "b", 11), false, true},
		{"leader gone", kv("leader", "", 11), true, true},
		{"a new key", kv("failover", "{}", 11), false, true},
		{"a key gone that was not there", kv("failover", "", 11), true, false},
		{"a member's position", kv("members/a", member(2, "running"), 11), false, false},
		{"a member's state", kv("members/a", member(1, "stopped"), 11), false, true},
		{"a new member", kv("members/b", member(1, "running"), 11), false, true},
	} {
		m := &mirror{}
		m.install(10, []dcs.KV{kv("leader", "a", 5), kv("members/a", member(1, "running"), 6)}, 0)
		if got := m.event(c.kv, c.deleted); got != c.want {
			t.Errorf("%s: matters %v, want %v", c.name, got, c.want)
		}
	}
}

func TestOwnWriteWhoseEventComesFirstIsNoNews(t *testing.T) {
	m := &mirror{}
	own := []entry{{KV: dcs.KV{Key: "leader", Value: []byte("a"), Lease: 7}}}
	m.expect(own)
	if m.event(dcs.KV{Key: "leader", Value: []byte("a"), Lease: 7, ModRevision: 3}, false) {
		t.Error("our own write is news")
	}
	m.settled(own)
	if !m.event(kv("leader", "b", 4), false) {
		t.Error("another's write is no news")
	}
}

// TestProgressOvertakesEvents: events that come after a report of progress beyond them count, in however many messages.
func TestProgressOvertakesEvents(t *testing.T) {
	s := &Session{base: "/service/demo/", clock: clock.NewFake(0, time.Time{}), changed: make(chan struct{}, 1)}
	event := func(key, value string, revision int64) *pb.WatchResponse {
		kv := &mvccpb.KeyValue{Key: []byte(s.base + key), Value: []byte(value), ModRevision: revision, CreateRevision: revision}
		return &pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 20}, Events: []*mvccpb.Event{{Kv: kv}}}
	}
	s.apply(event("config", "{}", 3))
	s.apply(&pb.WatchResponse{Header: &pb.ResponseHeader{Revision: 20}})
	s.apply(event("status", "5", 11))
	s.apply(event("leader", "b", 12))
	if got, want := text(&s.mirror), "12: config={}@3 leader=b@12 status=5@11"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if s.watch.delivered != 20 {
		t.Errorf("the watch has come to %d, want 20", s.watch.delivered)
	}
}
