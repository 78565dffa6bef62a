package ctl

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestStandbyCluster: what makes a standby cluster is that something is given, whatever it says.
func TestStandbyCluster(t *testing.T) {
	for doc, want := range map[string]bool{
		`{"standby_cluster": {"restore_command": "false"}}`:               true,
		`{"standby_cluster": {"restore_command": "0"}}`:                   true,
		`{"standby_cluster": {"host": "192.0.2.1"}}`:                      true,
		`{"standby_cluster": {"port": 5432}}`:                             true,
		`{"standby_cluster": {"port": 0, "host": "", "x": "y"}}`:          false,
		`{"standby_cluster": {"host": false, "restore_command": null}}`:   false,
		`{"standby_cluster": {"create_replica_methods": ["basebackup"]}}`: false,
		`{"standby_cluster": null}`:                                       false,
		`{}`:                                                              false,
	} {
		v := &cluster.View{Config: cluster.Document{Present: true, Raw: []byte(doc)}}
		if got := StandbyCluster(v); got != want {
			t.Errorf("%s: %t, want %t", doc, got, want)
		}
	}
}

// TestLoopWait: a number that no member takes is not waited by.
func TestLoopWait(t *testing.T) {
	for doc, want := range map[string]time.Duration{
		`{"loop_wait": 5}`: 5 * time.Second, `{"loop_wait": -5}`: 10 * time.Second, `{"loop_wait": 9223372036854775807}`: 10 * time.Second,
		`{"loop_wait": "x"}`: 10 * time.Second, `no JSON`: 10 * time.Second,
	} {
		if got := LoopWait(&cluster.View{Config: cluster.Document{Present: true, Raw: []byte(doc)}}); got != want {
			t.Errorf("%s: %s, want %s", doc, got, want)
		}
	}
}
