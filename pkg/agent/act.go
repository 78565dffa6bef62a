package agent

import (
	"context"
	"errors"
	"slices"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/guard"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// act carries a decision out: the quick ones at once, the long ones beside the loop. It reports whether
// the world should be looked at again without waiting for an event.
func (a *Agent) act(ctx context.Context, o ha.Observation, d ha.Decision) bool {
	if d.Action == nil {
		return false
	}
	a.fence(ctx, o)
	if makes(d.Action) && !a.becomesPrimary(o) {
		return true
	}
	switch x := d.Action.(type) {
	case ha.Wait:
		a.settle(ctx, o)
		return false
	case ha.AskPeers:
		a.askPeers(ctx, o.Store.View, x.Names)
	case ha.AcquireLeader:
		a.acquire(ctx, o)
	case ha.ProveLock:
		_ = a.renew(ctx, a.settings) // logged there; the store's health tells the rest
	case ha.ReleaseLeader:
		a.release(ctx, o, x.Optime)
	case ha.Follow:
		a.failed("could not follow "+x.Upstream.Title(), a.o.Postgres.Follow(ctx, x.Upstream))
	case ha.SyncSlots:
		a.failed("could not adjust replication slots", a.o.Postgres.SyncSlots(ctx, x.Create, x.Drop, x.Advance))
	case ha.WriteSync:
		a.writeSync(ctx, x)
	case ha.LeaveSync:
		if a.memory.Sync.LeavingSince == 0 {
			a.memory.Sync.LeavingSince = o.Now
		}
		return false // the leader's answer is a change of /sync, which wakes the loop
	case ha.SetSyncNames:
		a.setNames(ctx, &x.Names)
	case ha.ReleaseSyncNames:
		a.setNames(ctx, nil)
	case ha.Checkpoint:
		a.checkpoint(ctx)
	case ha.CancelJob:
		a.cancelJob()
		return false // its end wakes the loop
	case ha.Exit:
		a.end(x.Message)
		return false
	case ha.Done:
		a.leave(ctx, o)
		return false
	default:
		return a.actKeys(ctx, o, d) || a.actFailsafe(ctx, o, d) || a.actJob(ctx, o, d)
	}
	return true
}

// actKeys carries out the decisions that only write keys.
func (a *Agent) actKeys(ctx context.Context, o ha.Observation, d ha.Decision) bool {
	var err error
	ok := true
	switch x := d.Action.(type) {
	case ha.ClearFailover:
		ok, err = a.o.Store.PutFailover(ctx, cluster.FailoverRequest{}, x.Revision)
	case ha.WriteInitialize:
		if x.Revision == 0 {
			ok, err = a.o.Store.CreateInitialize(ctx, x.SystemID)
		} else {
			ok, err = a.o.Store.PutInitialize(ctx, x.SystemID, x.Revision)
		}
	case ha.AbandonInitialize:
		ok, err = a.o.Store.DeleteInitialize(ctx)
	case ha.WriteConfig:
		ok, err = a.o.Store.PutConfig(ctx, a.o.InitialConfig(), x.Revision)
	case ha.DeleteSync:
		a.memory.Sync.Written = 0
		ok, err = a.o.Store.DeleteSync(ctx, x.Revision)
	case ha.WriteHistory:
		ok, err = a.o.Store.PutHistory(ctx, x.History)
	default:
		return false
	}
	a.failed(d.Reasons[0].Text, err)
	if err == nil && !ok {
		// Somebody was quicker; what was judged is no longer there.
		a.refresh(ctx)
	}
	return true
}

// settle is what a member does when there is nothing to do: a server in recovery needs no fence, whoever
// holds the lock, because the guard is armed again before it is promoted. While the server is down and the
// lock is ours the guard stays armed: if the agent dies too, it gives the lock up.
func (a *Agent) settle(ctx context.Context, o ha.Observation) {
	if o.Job != nil {
		return
	}
	recovering := o.Server.Answered && o.Server.InRecovery
	gone := o.Server.Process == cluster.ProcessNone && !a.holds(o)
	if recovering || gone || a.settings.Pause {
		a.disarm(ctx)
	}
}

// disarm takes the fence away from a server that can't write.
func (a *Agent) disarm(ctx context.Context) {
	if a.armed == armOff {
		return
	}
	if err := a.o.Guard.Disarm(ctx); err != nil {
		a.failed("could not disarm the guard", err)
		return
	}
	a.armed = armOff
}

func (a *Agent) holds(o ha.Observation) bool {
	return o.Store.View != nil && o.Store.View.Leader.Name == a.o.Name
}

// arm makes sure that the guard counts the deadline of the lock before the server may write under it. An
// error means there is no fence: then the server must not become, or stay, a primary.
func (a *Agent) arm(ctx context.Context, pid int) error {
	if a.settings.Pause {
		return nil // in pause nothing is fenced, as nothing is promoted or demoted
	}
	proof := a.proven()
	dog, _ := a.watchdog()
	if a.armedAs(pid, proof.lease, dog) {
		a.o.Guard.Extend(proof.until)
		return nil
	}
	charge := Charge{PostmasterPID: pid, Deadline: proof.until, LeaseID: proof.lease, Watchdog: dog}
	if err := a.o.Guard.Arm(ctx, charge); err != nil {
		if errors.Is(err, guard.ErrWatchdog) {
			a.refusedDog = dog
		}
		return err
	}
	a.armed, a.armedPID, a.armedLease, a.armedDog = armOn, pid, proof.lease, dog
	return nil
}

func (a *Agent) armedAs(pid int, lease int64, dog watchdog.Demand) bool {
	return a.armed == armOn && a.armedPID == pid && a.armedLease == lease && a.armedDog == dog
}

// watchdog gives what is demanded of the device, and whether a member that requires it has to do without.
func (a *Agent) watchdog() (demand watchdog.Demand, failed bool) {
	if a.o.Watchdog == nil {
		return watchdog.Demand{}, false
	}
	demand, usable := a.o.Watchdog(a.settings)
	return demand, demand.Mode == watchdog.Required && (!usable || demand == a.refusedDog)
}

// fence arms the guard for a server that is primary already: one that was found running, or that has just
// taken the lock back. If that fails the server goes on, because it does hold the lock, and the next turn
// tries again.
func (a *Agent) fence(ctx context.Context, o ha.Observation) {
	if o.Job != nil || !a.holds(o) || !o.Server.IsPrimary() || !o.Now.Before(o.Store.LockProven) {
		return
	}
	if dog, _ := a.watchdog(); !a.armedAs(o.Server.PostmasterPID, a.proven().lease, dog) {
		a.failed("no guard is armed for the running primary", a.arm(ctx, o.Server.PostmasterPID))
	}
}

// acquire tries for the leader key. A server that is primary already is fenced from here on; one that is
// not will be before it is promoted.
func (a *Agent) acquire(ctx context.Context, o ha.Observation) {
	if o.Store.LeaseExpires.Sub(o.Now) < a.settings.TTL/2 {
		// A lease that is nearly over would make a short reign.
		if err := a.renew(ctx, a.settings); err != nil {
			return
		}
	}
	lease := a.o.Store.Lease()
	won, err := a.o.Store.AcquireLeader(ctx, o.Store.View.FailsafeRevision)
	if err != nil {
		a.failed("could not acquire the leader lock", err)
		return
	}
	if !won {
		a.memory.RaceLostAt = a.o.Clock.Now()
		a.o.Log.Info("Could not take out TTL lock")
		return
	}
	a.memory.Sync.Judged, a.memory.Sync.Alive = o.Store.View.Sync.Revision, alive(o)
	if o.Store.View.Failover.Orders(a.o.Name) {
		a.memory.Sync.Judged = 0 // it was ordered, not judged; the order may be withdrawn before the promotion
	}
	// The key hangs on the lease, whose life was counted from before its last renewal was sent; creating
	// the key has not made it longer.
	a.setProof(lease.Expires, lease.ID)
	a.peers = map[string]ha.Peer{}
}

// alive gives the members that have just answered as replicas.
func alive(o ha.Observation) []string {
	var names []string
	for name, p := range o.Peers {
		if p.Reachable && p.InRecovery && p.SyncRevision == o.Store.View.Sync.Revision {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// release gives the leader key up. The server must not be able to write any more.
func (a *Agent) release(ctx context.Context, o ha.Observation, optime cluster.LSN) {
	if o.Server.Process == cluster.ProcessNone {
		// The postmaster is gone, but children of one that was killed go on serving for a while; the next
		// primary must not be promoted beside them.
		if _, err := a.o.Postgres.Stop(ctx, StopKill, false); err != nil {
			a.failed("could not kill what is left of PostgreSQL, keeping the leader lock", err)
			return
		}
	}
	a.setProof(0, 0)
	if _, err := a.o.Store.ReleaseLeader(ctx, a.lastStatus(optime)); err != nil {
		a.failed("could not release the leader lock", err)
		return
	}
	a.memory.StartFailures = min(a.memory.StartFailures, 1)
	a.o.Log.Info("Leader key released")
}

// lastStatus is the status to leave behind: the last known one with a new position; nil without one.
func (a *Agent) lastStatus(optime cluster.LSN) *cluster.Status {
	if optime == 0 {
		return nil
	}
	s := cluster.Status{}
	if view, _ := a.o.Store.Latest(); view != nil {
		s = view.Status
	}
	s.Present, s.Optime = true, optime
	return &s
}

// checkpoint runs the checkpoint after a promotion beside the loop and beside any job: nothing waits for it
// but pg_rewind on other members.
func (a *Agent) checkpoint(ctx context.Context) {
	a.memory.CheckpointRunning = true
	a.o.Runtime.Go("checkpoint", func() {
		err := a.o.Postgres.Checkpoint(ctx)
		a.later(func(a *Agent) {
			a.memory.CheckpointRunning = false
			if err != nil {
				a.memory.RewindRetryAt = a.o.Clock.Now().Add(a.settings.LoopWait)
				a.failed("checkpoint after promotion failed", err)
				return
			}
			a.memory.CheckpointPending = false
		})
	})
}

// leave is the clean end. In pause the server and its keys stay as they are, and the lease runs out.
func (a *Agent) leave(ctx context.Context, o ha.Observation) {
	if err := a.o.Guard.Disarm(ctx); err != nil {
		a.failed("could not disarm the guard", err)
	}
	a.end("")
}

func (a *Agent) end(message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.fatal = true, message
}
