// Package peer reads what other members tell of themselves over REST.
package peer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// document is what is read of a status document.
type document struct {
	State          string       `json:"state"`
	Role           string       `json:"role"`
	XLog           *wal         `json:"xlog"`
	WAL            *wal         `json:"wal"`
	Timeline       *uint32      `json:"timeline"`
	Tags           cluster.Tags `json:"tags"`
	WatchdogFailed bool         `json:"watchdog_failed"`
	Hathi          struct {
		Replaying bool        `json:"replaying"`
		Copied    bool        `json:"copied"`
		XLog      *wal        `json:"xlog"` // what it has, where members of Patroni must not count that
		MayWrite  bool        `json:"may_write"`
		History   [][2]uint64 `json:"history"` // timeline and where it ended
	} `json:"hathi"`
}

type wal struct {
	Location         uint64 `json:"location"`
	ReceivedLocation uint64 `json:"received_location"`
	ReplayedLocation uint64 `json:"replayed_location"`
}

// Parse reads the status document that a member gives at GET /patroni. Without a WAL position in it there is an error,
// and of the status MayWrite and Stopped alone count. Source: Patroni 4.1, ha.py, _MemberStatus.from_api_response.
func Parse(raw []byte) (cluster.PeerStatus, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return cluster.PeerStatus{}, fmt.Errorf("answer can't be read: %w", err)
	}
	if d.XLog == nil {
		d.XLog = d.WAL
	}
	if d.Hathi.XLog != nil {
		d.XLog = d.Hathi.XLog
	}
	if d.XLog == nil {
		stopped := d.State == string(cluster.StateStopped) && !d.Hathi.MayWrite
		return cluster.PeerStatus{MayWrite: d.Hathi.MayWrite, Stopped: stopped}, errors.New("no WAL position in the answer, its PostgreSQL can't be queried")
	}
	s := cluster.PeerStatus{Reachable: true, Tags: d.Tags, WatchdogFailed: d.WatchdogFailed, Replaying: d.Hathi.Replaying, Copied: d.Hathi.Copied, MayWrite: d.Hathi.MayWrite}
	for _, line := range d.Hathi.History {
		s.History = append(s.History, cluster.HistoryEntry{Timeline: cluster.Timeline(line[0]), LSN: cluster.LSN(line[1])})
	}
	s.InRecovery = d.Role != "primary" && d.Role != "master" && d.XLog.Location == 0 // the second: Patroni before 4.0
	s.Position = cluster.LSN(max(d.XLog.ReceivedLocation, d.XLog.ReplayedLocation))
	if !s.InRecovery {
		s.Position = cluster.LSN(d.XLog.Location)
	}
	if d.Timeline != nil {
		s.Timeline = cluster.Timeline(*d.Timeline)
	}
	return s, nil
}
