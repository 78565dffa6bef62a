package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// The agent as the REST API sees it; see api.Node.

// plannedRestart is a restart for later. It lives in memory and in the member key only.
type plannedRestart struct {
	cluster.ScheduledRestart
	ha.PlannedRestart
}

// Snapshot gives the newest picture of the node.
func (a *Agent) Snapshot() *api.Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.snapshot
}

// Look gives the newest picture with the server as it is now.
func (a *Agent) Look(ctx context.Context) *api.Snapshot {
	server := a.o.Postgres.Observe(ctx)
	s := *a.Snapshot()
	s.Server = server
	return &s
}

// Updated gives a channel that is closed at the next new snapshot.
func (a *Agent) Updated() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.updated
}

// Wake makes the loop turn now.
func (a *Agent) Wake() { a.o.Wake() }

// Restart restarts the server if the conditions hold, and waits for the end of it; when ctx ends first the
// restart goes on.
func (a *Agent) Restart(ctx context.Context, r api.RestartRequest) error {
	done := make(chan error, 1)
	a.later(func(a *Agent) {
		if a.joinRestart(done) {
			return
		}
		if err := a.mayRestart(r); err != nil {
			done <- err
			return
		}
		a.requestRestart(conditions(r), a.Snapshot().Server.PostmasterStart, r.Timeout)
		a.mu.Lock()
		a.waiters = append(a.waiters, done)
		a.mu.Unlock()
	})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func conditions(r api.RestartRequest) ha.RestartConditions {
	return ha.RestartConditions{Role: r.Role, OlderThan: r.VersionNum, Pending: r.RestartPending}
}

// requestRestart has the rules restart the server that started at a time. Of two requests the one without conditions counts.
func (a *Agent) requestRestart(with ha.RestartConditions, start time.Time, limit time.Duration) {
	if !a.memory.RestartRequested || with == (ha.RestartConditions{}) {
		a.restartOf = ha.PlannedRestart{RestartConditions: with, Start: start}
	}
	a.memory.RestartRequested, a.restartLimit = true, limit
}

// lapsedRestart forgets a restart that was asked for when it is not to be done any more: meanwhile the member may have
// become the primary, say.
func (a *Agent) lapsedRestart(o ha.Observation) {
	if !a.memory.RestartRequested {
		return
	}
	fate, line := ha.RestartRequest(o, a.role(o), a.restartOf)
	if fate == ha.RestartDue {
		return
	}
	a.memory.RestartRequested = false
	a.o.Log.Info(line)
	if fate == ha.RestartDone {
		a.answerWaiters(nil)
		return
	}
	a.answerWaiters(api.ErrConditions)
}

// joinRestart has a request wait for a restart that nobody asked for. A replica whose primary was restarted with higher
// limits restarts by itself, often just before the turn of that member in a restart of the whole cluster comes.
func (a *Agent) joinRestart(done chan<- error) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	own := a.job != nil && a.job.Kind == ha.JobRestart && len(a.waiters) == 0
	if own {
		a.waiters = append(a.waiters, done)
	}
	return own
}

// mayRestart judges whether a restart can be done now.
func (a *Agent) mayRestart(r api.RestartRequest) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.snapshot
	switch {
	case a.job != nil:
		return api.BusyError{Job: a.job.String()}
	case conditions(r).Unmet(s.Role, s.Server) != "":
		return api.ErrConditions
	case a.settings.Pause && s.Server.Process == cluster.ProcessNone && !s.Server.StandbySignal && s.View != nil && s.View.Locked() && s.View.Leader.Name != a.o.Name:
		return fmt.Errorf("%w: the cluster is paused and %s leads; nothing would demote the second primary that this could make",
			api.ErrRestartFailed, s.View.Leader.Name)
	}
	return nil
}

// restartTimeout is the time that the start is given after a requested restart: what the request says, else
// what a crashed primary would be given.
func (a *Agent) restartTimeout() time.Duration {
	if limit := a.restartLimit; limit > 0 {
		a.restartLimit = 0
		return limit
	}
	if a.settings.PrimaryStartTimeout > 0 {
		return a.settings.PrimaryStartTimeout
	}
	return cluster.DefaultSettings().PrimaryStartTimeout
}

// answerRestart tells everybody who waits how the restart went.
func (a *Agent) answerRestart(err error) {
	if err != nil {
		err = api.ErrRestartFailed
	}
	a.answerWaiters(err)
}

func (a *Agent) answerWaiters(err error) {
	a.mu.Lock()
	waiters := a.waiters
	a.waiters = nil
	a.mu.Unlock()
	for _, w := range waiters {
		w <- err
	}
}

// ScheduleRestart keeps a restart for later.
func (a *Agent) ScheduleRestart(r cluster.ScheduledRestart, at time.Time) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.planned != nil {
		return api.ErrAlreadyPlanned
	}
	start := a.snapshot.Server.PostmasterStart
	if !start.IsZero() {
		r.PostmasterStartRaw = start.UTC().Format("2006-01-02 15:04:05.000000-07:00")
	}
	version, _ := cluster.ParseVersion(r.PostgresVersion) // none is zero; the API has checked it
	a.planned = &plannedRestart{ScheduledRestart: r, PlannedRestart: ha.PlannedRestart{
		RestartConditions: ha.RestartConditions{Role: r.Role, OlderThan: version, Pending: r.RestartPending}, At: at, Start: start,
	}}
	a.o.Wake()
	return nil
}

// CancelScheduledRestart forgets the restart that was kept for later.
func (a *Agent) CancelScheduledRestart() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.planned == nil {
		return api.ErrNothingPlanned
	}
	a.planned = nil
	a.o.Wake()
	return nil
}

func (a *Agent) scheduledRestart() *cluster.ScheduledRestart {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.planned == nil {
		return nil
	}
	r := a.planned.ScheduledRestart
	return &r
}

// dueRestart turns a scheduled restart into a requested one when its time has come, or drops it.
func (a *Agent) dueRestart(o ha.Observation) {
	a.mu.Lock()
	p := a.planned
	a.mu.Unlock()
	if p == nil {
		return
	}
	// The end of a job, and a new leader, wake the loop.
	fate, line := ha.ScheduledRestart(o, a.role(o), p.PlannedRestart)
	if fate == ha.RestartKept {
		return
	}
	_ = a.CancelScheduledRestart() // it was there a moment ago; gone is as good
	a.o.Log.Info(line)
	if fate == ha.RestartDue {
		a.requestRestart(p.RestartConditions, p.Start, time.Duration(p.TimeoutSeconds)*time.Second)
	}
}

// untilRestart is how far away a scheduled restart is; zero if there is none, or if its time has come.
func (a *Agent) untilRestart(wall time.Time) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.planned == nil || a.settings.Pause {
		return 0
	}
	return max(0, a.planned.At.Sub(wall))
}

// Reinitialize starts over with a copy of the leader. It returns when the loop has accepted it.
func (a *Agent) Reinitialize(ctx context.Context, force, fromLeader bool) error {
	done := make(chan error, 1)
	a.later(func(a *Agent) { done <- a.acceptReinitialize(force, fromLeader) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (a *Agent) acceptReinitialize(force, fromLeader bool) error {
	view, _ := a.o.Store.Latest()
	switch {
	case view == nil || !view.Locked():
		return api.ErrNoLeader
	case view.Leader.Name == a.o.Name:
		return api.ErrIsLeader
	}
	a.mu.Lock()
	busy := a.job
	a.mu.Unlock()
	if busy != nil {
		if !force {
			return api.BusyError{Job: busy.String()}
		}
		a.cancelJob()
	}
	a.memory.ReinitializeRequested, a.memory.ReinitializeFromLeader = true, fromLeader
	return nil
}

// Reload re-reads the configuration files before the next turn.
func (a *Agent) Reload() {
	a.later(func(a *Agent) {
		if a.o.Reload != nil {
			a.failed("could not reload the configuration", a.o.Reload(context.Background()))
		}
		a.configured = configured{}
	})
}

// Published is what a member says of itself out of its configuration; the fields are those of Options.
type Published struct {
	Tags                      cluster.Tags
	ConnURL, APIURL, ProxyURL string
	QuietHeartbeat            bool
}

// Publish takes over what a reload has changed; it is published with the next turn. Only Options.Reload may call it.
func (a *Agent) Publish(p Published) {
	a.o.Tags, a.o.ConnURL, a.o.APIURL, a.o.ProxyURL, a.o.QuietHeartbeat = p.Tags, p.ConnURL, p.APIURL, p.ProxyURL, p.QuietHeartbeat
}
