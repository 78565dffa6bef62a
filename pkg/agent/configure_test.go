package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// TestConfigureIsTriedAgain: a configuration that could not be brought to the server, because of a full disk for one, is
// not forgotten, and one that mends it is not kept waiting.
func TestConfigureIsTriedAgain(t *testing.T) {
	a, c := receiver(t)
	var tried []int64
	var fails error
	a.o.Configure = func(_ context.Context, v *cluster.View) error {
		tried = append(tried, v.Config.Revision)
		return fails
	}
	look := func(revision int64) int {
		tried = nil
		a.adopt(t.Context(), &cluster.View{Config: cluster.Document{Present: true, Revision: revision}})
		return len(tried)
	}
	a.job = &job{Job: ha.Job{Kind: ha.JobRestart}}
	if look(5) != 0 {
		t.Error("applied while a restart may have read its files already")
	}
	a.job, a.memory.LastStart, fails = nil, c.Now(), errors.New("no space left on device")
	if look(5) != 1 || a.memory.LastStart == 0 {
		t.Error("not applied after the restart")
	}
	if look(5) != 0 {
		t.Error("tried again at once")
	}
	if look(6) != 1 {
		t.Error("the next configuration had to wait")
	}
	fails = nil
	c.Advance(configureAgain)
	if look(6) != 1 {
		t.Error("not tried again")
	}
	if look(6) != 0 {
		t.Error("applied twice")
	}
	if a.memory.LastStart != 0 {
		t.Error("a server that does not start waits, although its configuration may be mended")
	}
}

// TestFarAwayRestart: the loop turns on while a restart is planned for a time that is too far away to be counted.
func TestFarAwayRestart(t *testing.T) {
	a, c := receiver(t)
	a.planned = &plannedRestart{PlannedRestart: ha.PlannedRestart{At: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}}
	next := c.Now().Add(a.untilRestart(c.Wall()))
	if left := min(next, c.Now().Add(time.Second)).Sub(c.Now()); left != time.Second || next < clock.Instant(time.Hour) {
		t.Errorf("the next turn is in %s, the restart is at %d", left, next)
	}
}
