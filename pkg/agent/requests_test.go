package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestJoinRestart: a request waits for a restart that the member began by itself, and for no other job.
func TestJoinRestart(t *testing.T) {
	done := make(chan error, 1)
	a := &Agent{}
	if a.joinRestart(done) {
		t.Error("joined without a restart")
	}
	a.job = &job{Job: ha.Job{Kind: ha.JobReinitialize}}
	if a.joinRestart(done) {
		t.Error("joined a reinitialize")
	}
	a.job = &job{Job: ha.Job{Kind: ha.JobRestart}}
	if !a.joinRestart(done) {
		t.Fatal("did not join the restart that nobody asked for")
	}
	if a.joinRestart(make(chan error, 1)) {
		t.Error("joined a restart that somebody asked for")
	}
	a.answerRestart(errors.New("it does not start"))
	if err := <-done; !errors.Is(err, api.ErrRestartFailed) {
		t.Errorf("told %v", err)
	}
}

// TestDueRestart: a restart for later is asked of the rules once, in its time, with the limit that it was given.
func TestDueRestart(t *testing.T) {
	a, c := receiver(t)
	o := ha.Observation{
		Wall: c.Wall(), Settings: cluster.DefaultSettings(), Server: cluster.Server{PostmasterStart: c.Wall().Add(-time.Hour)},
		Store: ha.Store{View: &cluster.View{Leader: cluster.Leader{Present: true, Name: "b"}}},
	}
	a.snapshot.Server.PostmasterStart = o.Server.PostmasterStart
	plan := func(late time.Duration) {
		t.Helper()
		if err := a.ScheduleRestart(cluster.ScheduledRestart{TimeoutSeconds: 7}, o.Wall.Add(-late)); err != nil {
			t.Fatal(err)
		}
		a.dueRestart(o)
	}
	o.Settings.Pause = true
	plan(9 * time.Hour)
	if a.memory.RestartRequested || a.planned == nil {
		t.Error("a restart was done or forgotten in pause")
	}
	o.Settings.Pause = false
	a.dueRestart(o)
	if a.memory.RestartRequested || a.planned != nil {
		t.Error("a restart that was planned for nine hours ago is done, or goes on to wait")
	}
	plan(time.Second)
	if !a.memory.RestartRequested || a.planned != nil || a.restartLimit != 7*time.Second {
		t.Errorf("a restart whose time has come is not done, or again, or with a limit of %s", a.restartLimit)
	}
}
