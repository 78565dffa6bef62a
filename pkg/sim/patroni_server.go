package sim

import (
	"context"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// The model of Patroni: a server that is empty, down or starting, and how a primary stops being one (5, 7, 8, 13, 23).

// withoutData is section 5.
func (a *patroni) withoutData() (string, error) {
	v := a.view
	switch {
	case a.mine():
		a.release(0)
		return "released leader key voluntarily as data dir empty and currently leader", nil
	case a.settings.Pause:
		return "running with empty data directory", nil
	case !v.Locked() && !v.Initialize.Present && !a.n.tags.NoFailover():
		if err := a.write(dcs.KeyInitialize, nil, 0, func(e *etcd) bool { return e.get(dcs.KeyInitialize) == nil }); err != nil {
			return "failed to acquire initialize lock", notConflict(err)
		}
		a.founded = true
		a.begin("bootstrap", func(ctx context.Context) { _ = a.pg.Bootstrap(ctx, nil) })
		return "trying to bootstrap a new cluster", nil
	case v.Locked():
		from := a.upstream(v.Leader.Name)
		a.begin("bootstrap from leader '"+from.Member+"'", func(ctx context.Context) {
			if a.pg.Clone(ctx, cluster.Copy{From: from}) == nil {
				a.start(ctx, a.target())
			}
		})
		return "trying to bootstrap from leader '" + from.Member + "'", nil
	}
	return "waiting for leader to bootstrap", nil
}

// afterBootstrap is 5.3.
func (a *patroni) afterBootstrap() (string, error) {
	a.founded = false
	if !a.primary() {
		_, _ = a.pg.Stop(context.Background(), agent.StopImmediate, false)
		_ = a.pg.MoveDataAside(context.Background())
		if v := a.store.mirror.view(); v != nil {
			_, _ = a.store.DeleteInitialize(context.Background(), v.Initialize.Revision)
		}
		return "removing initialize key after failed attempt to bootstrap the cluster", nil
	}
	if err := a.write(dcs.KeyInitialize, []byte(a.server.SystemID), 0, nil); err != nil {
		return "", errStore
	}
	a.put(dcs.KeyConfig, a.w.doc.text())
	if err := a.write(dcs.KeyLeader, []byte(a.n.name), a.store.lease.ID, nil); err != nil {
		return "", errStore
	}
	a.role, a.leads, a.leadsSince, a.leaderUntil = cluster.RolePrimary, true, a.now(), a.now().Add(a.settings.TTL)
	a.reload()
	a.prepareNames()
	return "initialized a new cluster", nil
}

// down is section 7.
func (a *patroni) down() (string, error) {
	pending := a.rewind == patroniRewindCheck || a.rewind == patroniRewindNeed || a.rewind == patroniRewindDone
	if a.settings.Pause {
		if a.mine() {
			a.release(0)
			return "removed leader lock because postgres is not running", nil
		}
		if !pending || !a.view.Locked() {
			return "postgres is not running", nil
		}
	}
	locked := false
	if a.mine() {
		var err error
		if locked, err = a.updateLock(); err != nil {
			return "", err
		}
	}
	if locked && a.settings.PrimaryStartTimeout == 0 && a.possible(a.manual(), 0) {
		a.demote("immediate")
		return "stopped PostgreSQL to fail over after a crash", nil
	}
	control := ""
	if a.server.Control != nil {
		control = a.server.Control.State
	}
	crashed := control == "in production" || control == "in crash recovery" || control == "shutting down"
	if locked && a.settings.PrimaryStartTimeout > 0 && (crashed || control == "shut down") && a.role == cluster.RolePrimary && !a.server.StandbySignal {
		a.recovering = true
		a.begin("starting primary after failure", func(ctx context.Context) {
			_ = a.pg.StartPrimary(ctx, a.settings.PrimaryStartTimeout, a.ungated)
		})
		return "starting primary after failure", nil
	}
	if crashed && !a.server.StandbySignal && !a.server.BackupLabel && !a.crashTried && (!a.view.Locked() || a.settings.UsePgRewind) {
		a.crashTried = true
		a.begin("doing crash recovery in a single user mode", func(ctx context.Context) { _ = a.pg.CrashRecovery(ctx) })
		return "doing crash recovery in a single user mode", nil
	}
	return a.downAsReplica()
}

// ungated is what stands at the gate where nobody guards.
func (a *patroni) ungated(context.Context, int, uint64) error { return nil }

// downAsReplica is 7.2 from row 5 on.
func (a *patroni) downAsReplica() (string, error) {
	a.reload()
	if a.mine() {
		a.restart(cluster.Upstream{})
		return "starting as readonly because i had the session lock", nil
	}
	if a.rewind != patroniRewindDone {
		a.trigger()
	}
	if line, done := a.decideRewind(); done {
		return line, nil
	}
	a.restart(a.target())
	return "starting as a secondary", nil
}

// restart starts the stopped server in recovery, beside the loop.
func (a *patroni) restart(upstream cluster.Upstream) {
	a.recovering = true
	a.begin("restarting after failure", func(ctx context.Context) { a.start(ctx, upstream) })
}

// start starts it. Names that a primary has left behind are removed first.
func (a *patroni) start(ctx context.Context, upstream cluster.Upstream) {
	if a.settings.SynchronousMode != cluster.SyncOff {
		_ = a.pg.SetSynchronousNames(ctx, nil)
	}
	a.followed = false
	if a.pg.StartReplica(ctx, upstream) == nil {
		a.role = cluster.RoleReplica
	}
}

// startFailed is 7.4.
func (a *patroni) startFailed() (string, error) {
	if !a.mine() {
		return "failed to start postgres", nil
	}
	if a.role == cluster.RolePrimary {
		a.role = cluster.RoleDemoted
	}
	a.release(0)
	return "removed leader key after trying and failing to start postgres", nil
}

// whileStarting is section 8.
func (a *patroni) whileStarting() (string, bool, error) {
	if a.settings.Pause || !a.up() || a.server.Answered || a.server.State != cluster.StateStarting {
		return "", false, nil
	}
	if !a.mine() {
		return "", false, nil
	}
	locked, err := a.updateLock()
	switch {
	case err != nil:
		return "", true, err
	case !locked:
		a.demote("immediate-nolock")
		return "stopped PostgreSQL while starting up because leader key was lost", true, nil
	case a.now().Sub(a.began) > a.settings.PrimaryStartTimeout && a.possible(a.manual(), 0):
		a.demote("immediate")
		return "stopped PostgreSQL because of startup timeout", true, nil
	}
	return "PostgreSQL is still starting up", true, nil
}

// demote is section 13, in the loop's own thread but for the start afterwards.
func (a *patroni) demote(mode string) {
	a.w.tracef(a.n, "patroni", "Demoting self (%s)", mode)
	ctx := context.Background()
	a.trigger()
	if mode == "offline" {
		_, _ = a.pg.Stop(ctx, agent.StopFast, false)
		a.role = cluster.RoleDemoted
		a.start(ctx, cluster.Upstream{})
		return
	}
	_, _ = a.pg.Stop(ctx, agent.StopImmediate, false)
	a.role = cluster.RoleDemoted
	if mode == "immediate" {
		a.release(0)
		a.sleep(2 * patroniSecond)
	}
	a.recovering = true
	a.begin("starting after demotion", func(ctx context.Context) {
		a.reload()
		a.start(ctx, a.target())
	})
}

// handOver is the graceful demotion of a switchover, beside the loop, which keeps the lock meanwhile. The lock is given
// up whether or not anybody has the shutdown checkpoint.
func (a *patroni) handOver(ctx context.Context) {
	a.trigger()
	lsn := a.stopPrimary(ctx, true)
	if ctx.Err() != nil {
		return
	}
	a.role = cluster.RoleDemoted
	a.release(lsn)
	a.sleep(2 * patroniSecond)
	if ctx.Err() != nil {
		return
	}
	a.reload()
	to := a.target()
	if to.Host != "" && !a.needsRewind(to) {
		a.recovering = true
		a.start(ctx, to)
	}
}

// stopPrimary stops the primary fast; in synchronous mode primary_stop_timeout ends that.
func (a *patroni) stopPrimary(ctx context.Context, checkpoint bool) cluster.LSN {
	if limit := a.settings.PrimaryStopTimeout; limit > 0 && a.settings.SynchronousMode != cluster.SyncOff {
		if checkpoint {
			_ = a.pg.Checkpoint(ctx)
			checkpoint = false
		}
		var cancel context.CancelFunc
		ctx, cancel = a.r.WithTimeout(ctx, limit)
		defer cancel()
	}
	lsn, _ := a.pg.Stop(ctx, agent.StopFast, checkpoint)
	return lsn
}

// shutdown is section 23. The lock is not renewed meanwhile.
func (a *patroni) shutdown() {
	if a.settings.Pause {
		a.n.agentEnded("") // PostgreSQL and the keys stay
		return
	}
	a.callOff()
	a.leaveSync()
	a.look()
	leads := a.leads
	lsn := a.stopPrimary(context.Background(), false)
	if leads {
		a.release(lsn)
	}
	a.look()
	a.touch()
	a.n.agentEnded("")
}
