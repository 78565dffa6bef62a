package peer

import (
	"reflect"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func TestParse(t *testing.T) {
	for document, want := range map[string]cluster.PeerStatus{
		`{"role": "primary", "xlog": {"location": 77}, "timeline": 3}`:                                                         {Reachable: true, Position: 77, Timeline: 3},
		`{"role": "replica", "xlog": {"received_location": 5, "replayed_location": 9}, "tags": {"zone": "b"}}`:                 {Reachable: true, InRecovery: true, Position: 9, Tags: cluster.Tags{"zone": "b"}},
		`{"role": "master", "wal": {"location": 7}, "watchdog_failed": true}`:                                                  {Reachable: true, Position: 7, WatchdogFailed: true},
		`{"role": "replica", "xlog": {"received_location": 5, "replayed_location": 4}, "hathi": {"replaying": true}}`:          {Reachable: true, InRecovery: true, Position: 5, Replaying: true},
		`{"role": "replica", "xlog": {"replayed_location": 4}, "timeline": 2, "hathi": {"version": "1", "history": [[1, 3]]}}`: {Reachable: true, InRecovery: true, Position: 4, Timeline: 2, History: []cluster.HistoryEntry{{Timeline: 1, LSN: 3}}},
		`{"role": "replica", "hathi": {"replaying": true, "xlog": {"received_location": 5, "replayed_location": 4}}}`:          {Reachable: true, InRecovery: true, Position: 5, Replaying: true},
		`{"role": "replica", "xlog": {"replayed_location": 3}, "hathi": {"xlog": {"replayed_location": 4}}}`:                   {Reachable: true, InRecovery: true, Position: 4},
		`{"role": "standby_leader", "xlog": {"received_location": 0, "replayed_location": 4}, "timeline": null}`:               {Reachable: true, InRecovery: true, Position: 4},
		`{"role": "demoted", "xlog": {"location": 8, "received_location": 0, "replayed_location": 0}, "state": "running"}`:     {Reachable: true, Position: 8},
		`{"role": "replica", "hathi": {"copied": true, "xlog": {"replayed_location": 4}}}`:                                     {Reachable: true, InRecovery: true, Position: 4, Copied: true},
	} {
		got, err := Parse([]byte(document))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v), want %+v", document, got, err, want)
		}
	}
	for _, document := range []string{``, `<html>`, `[]`, `{"role": "replica"}`, `{"xlog": 5}`} {
		if got, err := Parse([]byte(document)); err == nil || got.Reachable {
			t.Errorf("%s: %+v, want an error", document, got)
		}
	}
	got, err := Parse([]byte(`{"state": "stopping", "role": "primary", "hathi": {"may_write": true}}`))
	if want := (cluster.PeerStatus{MayWrite: true}); err == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a primary that is being stopped: %+v (%v), want %+v and an error", got, err, want)
	}
	got, err = Parse([]byte(`{"state": "stopped", "role": "demoted"}`))
	if want := (cluster.PeerStatus{Stopped: true}); err == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("a member without a server: %+v (%v), want %+v and an error", got, err, want)
	}
}
