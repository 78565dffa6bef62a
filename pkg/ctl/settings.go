package ctl

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// settings are the few values of /config that the commands look at.
type settings struct {
	paused      bool
	sync        cluster.SynchronousMode
	standby     bool
	loopSeconds int
}

// longestLoop is the largest loop_wait that members take, in seconds.
const longestLoop = 1e8

// readSettings never fails: a document that can't be read counts as {}.
// Source: Patroni 4.1, global_config.py.
func readSettings(doc cluster.Document) settings {
	m := decodeDocument(doc)
	s := settings{loopSeconds: 10}
	s.paused, _ = cluster.ParseBool(m["pause"])
	if sc, ok := m["standby_cluster"].(map[string]any); ok {
		s.standby = given(sc["host"]) || given(sc["port"]) || given(sc["restore_command"])
	}
	if !s.standby {
		s.sync = syncMode(m["synchronous_mode"])
	}
	if n, ok := m["loop_wait"].(json.Number); ok {
		if i, err := n.Int64(); err == nil && i > 0 && i <= longestLoop {
			s.loopSeconds = int(i)
		}
	}
	return s
}

func decodeDocument(doc cluster.Document) map[string]any {
	m := map[string]any{}
	dec := json.NewDecoder(bytes.NewReader(doc.Raw))
	dec.UseNumber()
	if dec.Decode(&m) != nil {
		return nil
	}
	return m
}

func syncMode(v any) cluster.SynchronousMode {
	if s, ok := v.(string); ok && strings.EqualFold(s, "quorum") {
		return cluster.SyncQuorum
	}
	if on, _ := cluster.ParseBool(v); on {
		return cluster.SyncOn
	}
	return cluster.SyncOff
}

// given reports whether a value is neither absent nor null, empty, false or zero. The text "false" is a command like
// any other, and "0" a host.
func given(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		return v.String() != "0"
	}
	return true
}

// Paused reports whether the cluster is in maintenance mode.
func Paused(v *cluster.View) bool { return readSettings(v.Config).paused }

// StandbyCluster reports whether the configuration makes this a standby cluster.
func StandbyCluster(v *cluster.View) bool { return readSettings(v.Config).standby }

// LoopWait is the longest rest of the members' loops by the cluster's configuration, ten seconds if that
// does not say.
func LoopWait(v *cluster.View) time.Duration {
	return time.Duration(readSettings(v.Config).loopSeconds) * time.Second
}
