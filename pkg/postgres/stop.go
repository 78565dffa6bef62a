package postgres

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

const (
	// checkpointLimit bounds the checkpoint before a stop. It only makes the stop short; one that takes longer
	// is finished by the stop itself.
	checkpointLimit = time.Minute
	// stopGrace is how long an immediate stop may take before everything is killed. It also bounds the work
	// that is left after the caller's context has ended.
	stopGrace = 2 * time.Second
	// shutDownPause is the pause between two looks for the shutdown checkpoint of a stop that takes longer. No event tells
	// that it is on disk, and most stops are over before the first look.
	shutDownPause = 250 * time.Millisecond
)

// Stop stops the server and waits until no process of it is left. checkpoint asks for a checkpoint while it
// still serves. It gives the position of the shutdown checkpoint, zero if there is none. When ctx ends before
// the server does, the server is stopped the immediate way, and after a grace its processes are killed; the
// error then says so. Stop returns without an error only when nothing is left that could write.
func (i *Instance) Stop(ctx context.Context, mode cluster.StopMode, checkpoint bool) (cluster.LSN, error) {
	return i.stopTold(ctx, mode, checkpoint, nil)
}

// StopPrimary is a fast Stop. A server may stay for long after its shutdown checkpoint: it archives WAL, or waits for a
// replica that does not answer (wal_sender_timeout). But then it has ended all sessions, admits none, and can't go back: it
// never writes again. shutDown is called with the position of the checkpoint as soon as it is on disk, again and again until it
// gives true; Observe shows no server any more. Source: Patroni 4.1, postgresql/__init__.py, _do_stop, on_shutdown.
func (i *Instance) StopPrimary(ctx context.Context, checkpoint bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	return i.stopTold(ctx, cluster.StopFast, checkpoint, shutDown)
}

func (i *Instance) stopTold(ctx context.Context, mode cluster.StopMode, checkpoint bool, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	ran := i.postmaster() != nil
	lsn, err := i.stop(ctx, mode, checkpoint, cluster.StateStopping, shutDown)
	if err != nil {
		i.setState(cluster.StateStopFailed)
		return 0, err
	}
	i.setState(cluster.StateStopped)
	if ran {
		i.toldStop(mode)
	}
	return lsn, nil
}

func (i *Instance) stop(ctx context.Context, mode cluster.StopMode, checkpoint bool, state cluster.State, shutDown func(cluster.LSN) bool) (cluster.LSN, error) {
	defer i.act(state)()
	h := i.postmaster()
	if h != nil {
		if checkpoint && mode == cluster.StopFast {
			i.checkpointBeforeStop(ctx)
		}
		if mode == cluster.StopFast {
			i.beforeStop(ctx)
		}
		if err := i.endPostmaster(ctx, h, mode, shutDown); err != nil {
			return 0, fmt.Errorf("stop postgres (%s): %w", mode, err)
		}
	}
	// The postmaster's end is not the end of its children if it was killed or crashed.
	rest, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*stopGrace)
	defer cancel()
	if err := i.killRest(rest); err != nil {
		return 0, fmt.Errorf("stop postgres (%s): %w", mode, err)
	}
	return i.shutdownPosition(rest), nil
}

// beforeStop runs the user's command while the server still serves. It has the time that the stop has, and no
// longer; an immediate stop waits for nothing. Source: Patroni 4.1, postgresql/__init__.py, which runs it always.
func (i *Instance) beforeStop(ctx context.Context) {
	cfg := i.config()
	if cfg.BeforeStop == "" {
		return
	}
	if _, err := i.run(ctx, command{path: cfg.BeforeStop, user: true, atOnce: true}); err != nil {
		i.log.Warn("before_stop failed", "error", err)
	}
}

func (i *Instance) checkpointBeforeStop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, checkpointLimit)
	defer cancel()
	if err := i.Checkpoint(ctx); err != nil {
		i.log.Warn("checkpoint before the stop failed; the stop may take longer", "error", err)
	}
}

// endPostmaster signals the postmaster and waits for its end, with more force when ctx ends.
func (i *Instance) endPostmaster(ctx context.Context, h *process.Handle, mode cluster.StopMode, shutDown func(cluster.LSN) bool) error {
	if mode == cluster.StopFast {
		if err := signal(h, syscall.SIGINT); err != nil {
			return err
		}
		if i.awaitStop(ctx, h, shutDown) {
			return nil
		}
		if ctx.Err() != nil {
			i.log.Warn("Timeout during postmaster stop, aborting Postgres.", "pid", h.PID())
		}
	}
	if mode != cluster.StopKill {
		// A frozen process takes no signal but SIGKILL until it goes on.
		if err := errors.Join(signal(h, syscall.SIGQUIT), signal(h, syscall.SIGCONT)); err != nil {
			return err
		}
		grace := time.NewTimer(stopGrace)
		defer grace.Stop()
		select {
		case <-h.Done():
			return nil
		case <-grace.C:
			i.log.Warn("postgres does not end, killing all of its processes", "pid", h.PID())
		}
	}
	return i.kill(ctx, h)
}

// awaitStop waits for the end of a fast stop; false: ctx has ended before, or it has no end. A fast stop ends when every process of the
// server has, so one that was frozen by a signal would keep it from that for ever, while nobody can write: the
// handover that the stop is for, or the end of the node, would never come. It goes on and hears the request to end.
func (i *Instance) awaitStop(ctx context.Context, h *process.Handle, shutDown func(cluster.LSN) bool) bool {
	tick := time.NewTicker(stopGrace) // nothing tells that a process is frozen
	defer tick.Stop()
	look := time.NewTicker(shutDownPause)
	defer look.Stop()
	if shutDown == nil {
		look.Stop()
	}
	for f := (forgotten{}); ; {
		select {
		case <-h.Done():
			return true
		case <-ctx.Done():
			return false
		case <-look.C:
			if lsn := i.shutdownPosition(ctx); lsn != 0 {
				i.setShutDown(h)
				if shutDown(lsn) {
					look.Stop()
				}
			}
		case <-tick.C:
			i.thaw()
			if f.look(h.PID(), i.leftovers) {
				i.log.Warn("postgres waits for its checkpointer without having told it to end, stopping it at once", "pid", h.PID())
				return false
			}
		}
	}
}

// thaw lets the frozen processes of the server go on.
func (i *Instance) thaw() {
	pids, _ := i.leftovers() // those that can't be told are not ours to signal
	for _, pid := range pids {
		h, err := process.Open(pid)
		if err != nil {
			continue // it has ended
		}
		if h.Frozen() {
			err = h.Signal(syscall.SIGCONT)
			i.log.Warn("a process of postgres was frozen and held up the stop, letting it go on", "pid", pid, "error", err)
		}
		h.Close()
	}
}

// kill kills the postmaster and all that works in its data directory.
func (i *Instance) kill(ctx context.Context, h *process.Handle) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*stopGrace)
	defer cancel()
	programs := i.serverPrograms() // while it lives
	children := process.ChildrenOf(h)
	// The postmaster first: it must not answer the death of its children by starting others.
	if err := signal(h, syscall.SIGKILL); err != nil {
		return err
	}
	if err := children.Kill(ctx); err != nil {
		return err
	}
	if err := process.KillDirectory(ctx, i.config().DataDir, programs...); err != nil {
		return err
	}
	select {
	case <-h.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("postmaster (pid %d) is still there after SIGKILL: %w", h.PID(), context.Cause(ctx))
	}
}

// signal sends a signal; that the process has gone is no error.
func signal(h *process.Handle, s syscall.Signal) error {
	if err := h.Signal(s); err != nil && h.Alive() {
		return fmt.Errorf("send %s to postmaster (pid %d): %w", s, h.PID(), err)
	}
	return nil
}

// setShutDown takes down that a postmaster has written its shutdown checkpoint.
func (i *Instance) setShutDown(h *process.Handle) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = identity(h)
}

// isShutDown reports whether a postmaster has written its shutdown checkpoint, and so never writes again.
func (i *Instance) isShutDown(h *process.Handle) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.over == identity(h)
}

// shutdownPosition gives the position of the shutdown checkpoint, zero if the server did not write one.
func (i *Instance) shutdownPosition(ctx context.Context) cluster.LSN {
	c, err := i.readControl(ctx)
	if err != nil || c.State != "shut down" {
		return 0
	}
	return c.Checkpoint
}

// Restart restarts the server in the role it has; timeout and guard are those of the start, see StartPrimary. A
// standby needs no guard.
func (i *Instance) Restart(ctx context.Context, timeout time.Duration, guard GuardServer) error {
	return i.restart(ctx, timeout, guard, onRestart)
}

func (i *Instance) restart(ctx context.Context, timeout time.Duration, guard GuardServer, action string) error {
	r := i.currentRole(ctx)
	if !r.standby {
		r.guard = guard
	}
	if _, err := i.stop(ctx, cluster.StopFast, true, cluster.StateRestarting, nil); err != nil {
		i.setState(cluster.StateRestartFailed)
		return fmt.Errorf("restart: %w", err)
	}
	err := i.boot(ctx, r, timeout, cluster.StateRestarting, action)
	if err != nil && i.postmaster() == nil {
		i.setState(cluster.StateRestartFailed)
	}
	return err
}

// Checkpoint runs a CHECKPOINT and waits for its end.
func (i *Instance) Checkpoint(ctx context.Context) error {
	if _, err := i.local("Patroni", 0).query(ctx, "CHECKPOINT"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}
