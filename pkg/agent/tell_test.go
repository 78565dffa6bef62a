package agent

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestTell: what has begun is said once, with what the control file tells.
func TestTell(t *testing.T) {
	a, c := receiver(t)
	var log strings.Builder
	a.o.Log = slog.New(slog.NewTextHandler(&log, nil))
	down := ha.Observation{Server: cluster.Server{
		Data:    cluster.DataPresent,
		Control: &cluster.Control{State: "in production", Timeline: 2, Checkpoint: 0x3000028},
	}}
	starting, paused, lost := down, down, ha.Observation{}
	starting.Job = &ha.Job{Kind: ha.JobStartPrimary}
	paused.Settings.Pause = true
	lost.Store.FailingSince = c.Now()
	for _, o := range []ha.Observation{{}, paused, down, down, starting, down, {}, lost, lost} {
		a.tell(o)
	}
	for line, want := range map[string]int{
		"Postgresql is not running.": 2, // the start has failed
		"pg_controldata: Database cluster state: in production, Latest checkpoint location: 0/3000028, Latest checkpoint's TimeLineID: 2, " +
			"Minimum recovery ending location: 0/0, Min recovery ending loc's timeline: 0, Backup start location: 0/0": 2,
		"Error communicating with DCS": 1,
	} {
		if got := strings.Count(log.String(), line); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s", line, got, want, log.String())
		}
	}
}
