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

// TestLapsedRestart: a restart that was asked of a replica is not done once it is the primary, unless another one was asked
// for without conditions; nor is one of a server that was restarted meanwhile.
func TestLapsedRestart(t *testing.T) {
	began := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	ofReplica := ha.RestartConditions{Role: "replica"}
	became := func(s *cluster.Server) { s.InRecovery = false }
	restarted := func(s *cluster.Server) { s.PostmasterStart = began.Add(time.Minute) }
	silent := func(s *cluster.Server) { s.Answered, s.InRecovery = false, false }
	for _, c := range []struct {
		name   string
		asked  []ha.RestartConditions
		change func(*cluster.Server)
		done   bool
		told   error
	}{
		{"nothing has changed", []ha.RestartConditions{ofReplica}, func(*cluster.Server) {}, false, nil},
		{"a primary now", []ha.RestartConditions{ofReplica}, became, true, api.ErrConditions},
		{"a primary now, asked for in any case, too", []ha.RestartConditions{ofReplica, {}}, became, false, nil},
		{"a primary now, asked for in any case before", []ha.RestartConditions{{}, ofReplica}, became, false, nil},
		{"restarted meanwhile", []ha.RestartConditions{{}}, restarted, true, nil},
		{"it does not answer", []ha.RestartConditions{ofReplica}, silent, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := receiver(t)
			o := ha.Observation{
				Server: cluster.Server{Data: cluster.DataPresent, Answered: true, InRecovery: true, PostmasterStart: began},
				Store:  ha.Store{View: &cluster.View{}},
			}
			for _, with := range c.asked {
				a.requestRestart(with, began, 0)
			}
			told := make(chan error, 1)
			a.waiters = append(a.waiters, told)
			c.change(&o.Server)
			if a.lapsedRestart(o); a.memory.RestartRequested == c.done || len(told) == 1 != c.done {
				t.Fatalf("still asked for: %v; %d were told", a.memory.RestartRequested, len(told))
			}
			if c.done {
				if err := <-told; !errors.Is(err, c.told) {
					t.Errorf("told %v, want %v", err, c.told)
				}
			}
		})
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
