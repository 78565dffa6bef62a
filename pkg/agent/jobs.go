package agent

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// job is the one long action that may run beside the loop.
type job struct {
	ha.Job
	cancel context.CancelFunc
}

// outcome is what a job leaves for the loop: a change of memory, made by the loop itself.
type outcome func(*Agent)

// start runs f beside the loop. There is never more than one job: a decision to start one is only made
// while none runs.
func (a *Agent) start(ctx context.Context, j ha.Job, f func(context.Context) outcome) bool {
	ctx, cancel := context.WithCancel(ctx)
	a.mu.Lock()
	j.Since = a.o.Clock.Now()
	a.job = &job{Job: j, cancel: cancel}
	a.mu.Unlock()
	a.o.Runtime.Go(string(j.Kind), func() {
		result := f(ctx)
		cancel()
		a.later(func(a *Agent) {
			a.mu.Lock()
			a.job = nil
			a.mu.Unlock()
			result(a)
		})
	})
	return false // its end wakes the loop
}

func (a *Agent) cancelJob() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.job != nil {
		a.job.Cancelled = true
		a.job.cancel()
	}
}

// actJob starts the job that a decision asks for.
func (a *Agent) actJob(ctx context.Context, o ha.Observation, d ha.Decision) bool {
	switch x := d.Action.(type) {
	case ha.Bootstrap:
		return a.bootstrap(ctx, o, x)
	case ha.Clone:
		return a.clone(ctx, o, x.From)
	case ha.Reinitialize:
		return a.reinitialize(ctx, o, x)
	case ha.Promote:
		return a.promote(ctx, o, x.Unheard)
	case ha.Demote:
		return a.demote(ctx, o, x.Mode)
	case ha.StartPrimary:
		return a.startPrimary(ctx, x.Timeout)
	case ha.StartReplica:
		return a.startReplica(ctx, x.Upstream)
	case ha.CrashRecovery:
		a.disarm(ctx) // nobody can connect to a single-user server
		return a.start(ctx, ha.Job{Kind: ha.JobCrashRecovery}, func(ctx context.Context) outcome {
			err := a.o.Postgres.CrashRecovery(ctx)
			return func(a *Agent) {
				a.memory.CrashRecoveryTried = true
				a.failed("crash recovery in single user mode failed", err)
			}
		})
	case ha.CheckRewind:
		return a.checkRewind(ctx, o, x.Leader)
	case ha.Rewind:
		return a.rewind(ctx, o, x.Leader)
	case ha.Restart:
		return a.restart(ctx)
	case ha.CopySlots:
		return a.copySlots(ctx, x)
	case ha.Stop:
		return a.start(ctx, ha.Job{Kind: ha.JobStop}, func(ctx context.Context) outcome {
			_, err := a.o.Postgres.Stop(ctx, StopFast, true)
			return func(a *Agent) { a.failed("could not stop PostgreSQL", err) }
		})
	case ha.KillServer:
		return a.start(ctx, ha.Job{Kind: ha.JobKill}, func(ctx context.Context) outcome {
			_, err := a.o.Postgres.Stop(ctx, StopKill, false)
			return func(a *Agent) { a.failed("could not kill PostgreSQL", err) }
		})
	}
	return false
}

// promote promotes the server. The guard counts the deadline of the lock from before the server can write.
func (a *Agent) promote(ctx context.Context, o ha.Observation, unheard []cluster.HistoryEntry) bool {
	if err := a.arm(ctx, o.Server.PostmasterPID, o.Server.PostmasterTicks); err != nil {
		a.failed("not promoting; releasing the leader lock", err)
		if o.Server.Promoting { // it may be a primary any moment, so it is stopped first
			return a.demote(ctx, o, ha.DemoteImmediate)
		}
		if x, ok := ha.ReturnSync(&o); ok {
			a.writeSync(ctx, o, x)
		}
		a.release(ctx, o, 0)
		return true
	}
	a.warnOfSlots(o)
	a.memory.CheckpointPending = true
	before := a.memory.Sync.Before
	a.memory.Sync.Before = nil // from here on it may have been told
	return a.start(ctx, ha.Job{Kind: ha.JobPromote}, func(ctx context.Context) outcome {
		err := a.o.Postgres.Promote(ctx, unheard...)
		return func(a *Agent) { a.promoted(err, before) }
	})
}

// startPrimary starts the server. The guard is armed for its process before that becomes the server: whatever the
// guard has done until then, it did to the one before.
func (a *Agent) startPrimary(ctx context.Context, timeout time.Duration) bool {
	return a.start(ctx, ha.Job{Kind: ha.JobStartPrimary}, func(ctx context.Context) outcome {
		err := a.o.Postgres.StartPrimary(ctx, timeout, a.arm)
		if errors.Is(err, errUnguarded) {
			_, stopErr := a.o.Postgres.Stop(ctx, StopKill, false)
			released := a.stopped(ctx, stopErr, true)
			return func(a *Agent) {
				a.failed("not starting as primary; releasing the leader lock", err)
				released(a)
			}
		}
		return func(a *Agent) { a.started("could not start the primary again", err) }
	})
}

func (a *Agent) startReplica(ctx context.Context, upstream cluster.Upstream) bool {
	a.memory.LastStart = a.o.Clock.Now()
	a.disarm(ctx) // it starts in recovery, however long that takes; an old deadline must not end it
	return a.start(ctx, ha.Job{Kind: ha.JobStartReplica}, func(ctx context.Context) outcome {
		err := a.o.Postgres.StartReplica(ctx, upstream)
		return func(a *Agent) {
			a.memory.WasPrimary = false
			a.started("could not start the replica", err)
		}
	})
}

// started notes how a start went. A failure is counted, so that the next attempt waits longer.
func (a *Agent) started(what string, err error) {
	a.memory.LastStart = a.o.Clock.Now()
	if err != nil {
		a.memory.StartFailures++
		a.failed(what, err)
	}
}

func (a *Agent) restart(ctx context.Context) bool {
	a.memory.RestartRequested = false
	timeout := a.restartTimeout()
	return a.start(ctx, ha.Job{Kind: ha.JobRestart}, func(ctx context.Context) outcome {
		err := a.o.Postgres.Restart(ctx, timeout, a.arm)
		return func(a *Agent) {
			a.failed("restart failed", err)
			a.answerRestart(err)
		}
	})
}

// checkRewind compares histories. A comparison that could not be made is tried again a little later.
func (a *Agent) checkRewind(ctx context.Context, o ha.Observation, leader cluster.Upstream) bool {
	timeline := leaderTimeline(o, leader)
	return a.start(ctx, ha.Job{Kind: ha.JobCheckRewind}, func(ctx context.Context) outcome {
		div, err := a.o.Postgres.CheckDivergence(ctx, leader)
		return func(a *Agent) {
			m := &a.memory
			if err != nil {
				m.Rewind, m.RewindRetryAt = ha.RewindCheck, a.askAgain(leader)
				a.failed("could not compare histories with "+leader.Title(), err)
				return
			}
			m.RewindAgainst, m.RewindAgainstTimeline = leader.Member, max(div.LeaderTimeline, timeline)
			m.RewindLSN = div.LocalLSN
			m.Rewind = ha.RewindNotNeeded
			// An answer counts when the leader's key tells of the same timeline. A leader without etcd was perhaps
			// promoted once more and can't write its key; what it says then is asked for again, but not at once.
			behind := timeline != 0 && timeline != m.RewindAgainstTimeline
			if leader.Member == "" && !div.Needed || behind {
				m.RewindRetryAt = a.askAgain(leader)
			}
			if div.Needed {
				m.Rewind = ha.RewindNeeded
			}
			a.o.Log.Info("compared histories", "local_timeline", div.LocalTimeline, "local_lsn", div.LocalLSN.String(),
				"primary_timeline", div.LeaderTimeline, "rewind_needed", div.Needed)
		}
	})
}

// askAgain is when a leader may be asked about histories again. A remote server has no member key that would
// tell that it has become another, so it is asked as long as this one does not stream, but not often.
func (a *Agent) askAgain(leader cluster.Upstream) clock.Instant {
	if leader.Member == "" {
		return a.o.Clock.Now().Add(a.settings.LoopWait)
	}
	return a.o.Clock.Now().Add(time.Second)
}

func (a *Agent) rewind(ctx context.Context, o ha.Observation, leader cluster.Upstream) bool {
	return a.start(ctx, ha.Job{Kind: ha.JobRewind, Title: "running pg_rewind from " + leader.Title()}, func(ctx context.Context) outcome {
		err := a.o.Postgres.Rewind(ctx, leader)
		cancelled := ctx.Err() != nil
		return func(a *Agent) {
			m := &a.memory
			switch {
			case err == nil:
				m.Rewind = ha.RewindDone
			case cancelled:
				m.RewindRetryAt = a.o.Clock.Now().Add(time.Second)
			default:
				a.failed("pg_rewind from "+leader.Title()+" failed", err)
				m.Rewind, m.RewindRetryAt = a.afterFailedRewind(leader), a.o.Clock.Now().Add(a.settings.LoopWait)
			}
		}
	})
}

// afterFailedRewind: against a leader that is still a healthy primary the failure is this server's own and
// another attempt would fail as well; otherwise it is worth another.
func (a *Agent) afterFailedRewind(leader cluster.Upstream) ha.RewindState {
	view, _ := a.o.Store.Latest()
	if view == nil {
		return ha.RewindNeeded
	}
	m, ok := view.Member(leader.Member)
	if ok && view.Leader.Name == m.Name && m.Role == cluster.RolePrimary && m.State == cluster.StateRunning {
		return ha.RewindFailed
	}
	return ha.RewindNeeded
}

func leaderTimeline(o ha.Observation, leader cluster.Upstream) cluster.Timeline {
	m, _ := o.Store.View.Member(leader.Member)
	return m.Timeline
}
