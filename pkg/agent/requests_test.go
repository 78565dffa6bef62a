package agent

import (
	"errors"
	"testing"

	"github.com/hathi-ha/hathi/pkg/api"
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
