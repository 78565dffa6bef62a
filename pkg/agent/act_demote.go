package agent

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// demote makes the primary stop being one. While it runs the keeper goes on renewing the lock, except
// where the lock is lost anyway; nothing of the server is left that could write when the lock is released.
func (a *Agent) demote(ctx context.Context, o ha.Observation, mode ha.DemoteMode) bool {
	a.o.Log.Info(fmt.Sprintf("Demoting self (%s)", mode))
	if o.Memory.PromotingSince != 0 && mode == ha.DemoteImmediate {
		a.memory.PromotionRefusedAt = o.Now // others first
	}
	settings := o.Settings
	view := o.Store.View // nil only if etcd was never reached, and then nothing is handed over
	return a.start(ctx, ha.Job{Kind: ha.JobDemote, Mode: mode, Title: demoteTitle(mode, view)}, func(ctx context.Context) outcome {
		switch mode {
		case ha.DemoteGraceful:
			return a.handOver(ctx, view, settings)
		case ha.DemoteShutdown:
			return a.shutDown(ctx, view, settings)
		case ha.DemoteOffline:
			return a.goOffline(ctx, view)
		case ha.DemoteCluster:
			_, err := a.o.Postgres.Stop(ctx, StopFast, true)
			stopped := a.stopped(ctx, err, false)
			return func(a *Agent) {
				stopped(a)
				a.memory.DemotedCluster = err == nil
			}
		case ha.DemoteImmediate:
			_, err := a.o.Postgres.Stop(ctx, StopImmediate, false)
			return a.stopped(ctx, err, true)
		}
		_, err := a.o.Postgres.Stop(ctx, StopImmediate, false)
		return a.stopped(ctx, err, false)
	})
}

// demoteTitle is what is shown of a demotion while it runs. Source: Patroni 4.1, ha.py, names of async actions.
func demoteTitle(mode ha.DemoteMode, view *cluster.View) string {
	switch {
	case mode == ha.DemoteGraceful && view != nil:
		return view.Failover.Action() + ": demote"
	case mode == ha.DemoteCluster:
		return "demoting to a standby cluster"
	}
	return ""
}

// stopped ends a demotion after the server was stopped, and releases the lock if that is asked for.
func (a *Agent) stopped(ctx context.Context, stopErr error, release bool) outcome {
	var err error
	if stopErr == nil && release {
		a.setProof(proof{})
		_, err = a.o.Store.ReleaseLeader(ctx, nil)
	}
	return func(a *Agent) {
		if stopErr != nil {
			a.failed("could not stop PostgreSQL", stopErr)
			return
		}
		a.memory.Rewind = ha.RewindCheck
		a.failed("could not release the leader lock", err)
	}
}

// handOver is the hot path of a switchover: checkpoint while serving, stop, make sure that a successor has
// everything, release the key with the position of the shutdown checkpoint. Patroni releases the key
// whether or not anybody has received that checkpoint; here nothing acknowledged is lost by a planned
// change: if no successor has it in time, this server starts again as the primary it was. If the stop was aborted there
// is no such checkpoint, and only one that /sync lists is known to have all that was acknowledged.
func (a *Agent) handOver(ctx context.Context, view *cluster.View, s cluster.Settings) outcome {
	heirs := a.heirs(view, s.SynchronousMode != cluster.SyncOff)
	released := false
	history := historyFor(view, s)
	lsn, aborted, err := a.stopCleanly(ctx, s, a.early(ctx, heirs, history, &released))
	why := ""
	switch {
	case released:
		return func(a *Agent) {
			a.memory.Rewind, a.memory.HandedOver = ha.RewindCheck, true
			a.failed("could not stop PostgreSQL", err)
		}
	case err != nil:
		return a.stopped(ctx, err, false)
	case aborted && !slices.ContainsFunc(heirs, func(m cluster.Member) bool { return view.Sync.HasStandby(m.Name) }):
		why = "PostgreSQL did not stop within primary_stop_timeout, and who was asked to take over may lack acknowledged commits"
	case !aborted && !a.received(ctx, heirs, history, lsn):
		why = "nobody has received the shutdown checkpoint"
	}
	if why != "" {
		return func(a *Agent) {
			a.o.Log.Warn(why+", the "+view.Failover.Action()+" is called off", "lsn", lsn.String())
			a.memory.RefusedRequest = view.Failover.Revision
		}
	}
	// Written here and not by the loop: the candidate waits for nothing but this.
	err = a.releaseAt(ctx, lsn)
	return func(a *Agent) {
		a.memory.Rewind, a.memory.HandedOver = ha.RewindCheck, true
		a.failed("could not release the leader lock", err)
	}
}

// releaseAt gives the leader key up, with the position of the shutdown checkpoint if there is one. The server must not be
// able to write any more.
func (a *Agent) releaseAt(ctx context.Context, lsn cluster.LSN) error {
	a.setProof(proof{})
	_, err := a.o.Store.ReleaseLeader(ctx, a.lastStatus(lsn))
	if err == nil {
		a.o.Log.Info("Leader key released")
	}
	return err
}

// early gives what releases the lock of a server whose processes stay after its shutdown checkpoint: its archiver works off
// what has piled up, or a replica does not answer. They write nothing any more, so nobody waits for them if an heir has
// that checkpoint. Source: ha.md 13, 4; 23, 5.
func (a *Agent) early(ctx context.Context, heirs []cluster.Member, history cluster.History, released *bool) func(cluster.LSN) bool {
	return func(lsn cluster.LSN) bool {
		if !a.has(ctx, heirs, history, lsn) || a.releaseAt(ctx, lsn) != nil {
			return false
		}
		*released = true
		a.disarm(ctx) // the deadline would end the archiver
		return true
	}
}

// stopCleanly stops the primary fast, after a checkpoint. In synchronous mode with a primary_stop_timeout the stop
// is aborted when that is over: the synchronous standbys have all that was acknowledged, so the lock can go to
// one of them. Source: ha.md 13, 5.
func (a *Agent) stopCleanly(ctx context.Context, s cluster.Settings, shutDown func(cluster.LSN) bool) (lsn cluster.LSN, aborted bool, err error) {
	if s.SynchronousMode == cluster.SyncOff || s.PrimaryStopTimeout == 0 {
		lsn, err = a.o.Postgres.StopPrimary(ctx, true, shutDown)
		return lsn, false, err
	}
	before, cancelCheckpoint := a.within(ctx, time.Minute) // it only makes the stop shorter, and is not on its time
	defer cancelCheckpoint()
	a.failed("checkpoint before the stop failed; the stop may take longer", a.o.Postgres.Checkpoint(before))
	stop, cancel := a.within(ctx, s.PrimaryStopTimeout)
	defer cancel()
	lsn, err = a.o.Postgres.StopPrimary(stop, false, shutDown)
	return lsn, err == nil && lsn == 0, err
}

// receiveTimeout is how long a successor is given to have received the shutdown checkpoint. A fast shutdown
// ends only when the connected replicas have confirmed it, so this is for one that has just lost its
// connection, and writes are blocked meanwhile.
const receiveTimeout = 3 * time.Second

// heirs gives the named candidate, or everybody who may take over if none is named.
func (a *Agent) heirs(view *cluster.View, synchronous bool) []cluster.Member {
	var heirs []cluster.Member
	for _, m := range view.Members {
		named := view.Failover.Candidate == "" || view.Failover.Candidate == m.Name
		if synchronous && view.Failover.Leader != "" && !view.Sync.HasStandby(m.Name) {
			continue
		}
		if m.Name != a.o.Name && named && !m.Tags.NoFailover() && m.APIURL != "" {
			heirs = append(heirs, m)
		}
	}
	return heirs
}

// successors gives everybody who may lead next when nobody was asked to.
func (a *Agent) successors(view *cluster.View, synchronous bool) []cluster.Member {
	if view == nil {
		return nil
	}
	unasked := *view
	unasked.Failover = cluster.FailoverRequest{Leader: a.o.Name}
	return a.heirs(&unasked, synchronous)
}

// historyFor gives the history by which positions of others count: one on a branch that the cluster has left may be ahead of this server,
// and has nothing of what it wrote. A standby cluster keeps none of its own.
func historyFor(view *cluster.View, s cluster.Settings) cluster.History {
	if view == nil || s.StandbyCluster != nil {
		return cluster.History{}
	}
	return view.History
}

// has reports whether one of the heirs has the cluster's WAL up to lsn by now.
func (a *Agent) has(ctx context.Context, heirs []cluster.Member, history cluster.History, lsn cluster.LSN) bool {
	return len(heirs) > 0 && slices.ContainsFunc(a.o.Peers.Ask(ctx, heirs), func(s cluster.PeerStatus) bool {
		return s.Reachable && s.InRecovery && history.Counts(s.Position, s.Timeline, s.History) >= lsn
	})
}

// received waits until one of the heirs has it, as long as receiveTimeout, and reports it.
func (a *Agent) received(ctx context.Context, heirs []cluster.Member, history cluster.History, lsn cluster.LSN) bool {
	if lsn == 0 {
		return false
	}
	give := a.o.Clock.Now().Add(receiveTimeout)
	for !a.has(ctx, heirs, history, lsn) {
		if ctx.Err() != nil || a.o.Clock.Now().After(give) || len(heirs) == 0 {
			return false
		}
		a.pause(ctx, 20*time.Millisecond) // no event tells that another server has received WAL
	}
	return true
}

// pause rests, but not longer than the context lives.
func (a *Agent) pause(ctx context.Context, d time.Duration) {
	if p, ok := a.o.Runtime.(interface {
		Pause(context.Context, time.Duration)
	}); ok {
		p.Pause(ctx, d)
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// within gives a context that ends after a time.
func (a *Agent) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if r, ok := a.o.Runtime.(interface {
		WithTimeout(context.Context, time.Duration) (context.Context, context.CancelFunc)
	}); ok {
		return r.WithTimeout(ctx, d)
	}
	return context.WithTimeout(ctx, d)
}

// shutDown stops the primary because the agent ends, and leaves the lock to the others.
func (a *Agent) shutDown(ctx context.Context, view *cluster.View, s cluster.Settings) outcome {
	released := false
	lsn, _, err := a.stopCleanly(ctx, s, a.early(ctx, a.successors(view, s.SynchronousMode != cluster.SyncOff), historyFor(view, s), &released))
	if err != nil && !released {
		return func(a *Agent) { a.failed("PostgreSQL shutdown failed, leader key not removed.", err) }
	}
	what := "could not stop PostgreSQL"
	if !released {
		what, err = "could not release the leader lock", a.releaseAt(ctx, lsn)
	}
	return func(a *Agent) {
		a.memory.WasPrimary = false
		a.failed(what, err)
	}
}

// goOffline stops the primary because etcd can't be reached, and starts it again as a replica of nobody, so
// that it can be read. It has until the guard would do it; if nothing is proven, there may be another primary already.
func (a *Agent) goOffline(ctx context.Context, view *cluster.View) outcome {
	stop, mode := ctx, StopImmediate
	if until := a.fencedUntil(view); until != 0 {
		var cancel context.CancelFunc
		left := max(until.Sub(a.o.Clock.Now()), 0)
		stop, cancel = a.within(ctx, left-min(forcedStop, left/2))
		defer cancel()
		mode = StopFast
	}
	if _, err := a.o.Postgres.Stop(stop, mode, false); err != nil {
		return a.stopped(ctx, err, false)
	}
	// The deadline goes on counting although nothing is left that could write; it must not end the replica.
	a.disarm(ctx)
	err := a.o.Postgres.StartReplica(ctx, cluster.Upstream{})
	return func(a *Agent) {
		a.o.Log.Info("demoted self because DCS is not accessible and I was a leader")
		a.memory.WasPrimary = false
		a.memory.Rewind = ha.RewindCheck
		a.started("could not start as a replica", err)
	}
}

// forcedStop is how long before the lock's end a clean stop is given up: the immediate stop that follows gives the
// processes two seconds to end before it kills them, and nothing may be left by then, also where there is no guard
// that sees to it. If less than twice of that is left, half of it is for the clean stop: a server that was asked to end
// at once acknowledges nothing more, so the rest is for what does not hear.
const forcedStop = 3 * time.Second
