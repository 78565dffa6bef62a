package agent

import (
	"context"
	"slices"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// act carries a decision out: the quick ones at once, the long ones beside the loop. It reports whether
// the world should be looked at again without waiting for an event.
func (a *Agent) act(ctx context.Context, o ha.Observation, d ha.Decision) bool {
	if d.Action == nil {
		return false
	}
	a.fenceRunning(ctx, o)
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
	case ha.SyncSlots, ha.SyncLogicalSlots:
		return a.actSlots(ctx, x)
	case ha.WriteSync:
		a.writeSync(ctx, o, x)
	case ha.LeaveSync:
		if a.memory.Sync.LeavingSince == 0 {
			a.memory.Sync.LeavingSince = o.Now
		}
		return false // the leader's answer is a change of /sync, which wakes the loop
	case ha.SetSyncNames:
		a.setNames(ctx, &x.Names)
	case ha.ReleaseSyncNames:
		a.setNames(ctx, nil)
	case ha.TrustCopy:
		a.trustCopy(ctx)
	case ha.Checkpoint:
		a.checkpoint(ctx)
	case ha.CancelJob:
		a.cancelJob()
		return false // its end wakes the loop
	case ha.Exit:
		a.end(x.Message)
		return false
	case ha.Done:
		a.leave(ctx)
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
		ok, err = a.o.Store.DeleteInitialize(ctx, x.Revision)
	case ha.WriteConfig:
		ok, err = a.o.Store.PutConfig(ctx, a.o.InitialConfig(), x.Revision)
	case ha.DeleteSync:
		a.memory.Sync.Written = 0
		ok, err = a.o.Store.DeleteSync(ctx, x.Revision)
	case ha.WriteHistory:
		ok, err = a.o.Store.PutHistory(ctx, x.History)
		a.published.statusAt = 0 // the position there may be one on a branch that was left
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

// acquire tries for the leader key. A server that is primary already is fenced from here on; one that is
// not will be before it is promoted.
func (a *Agent) acquire(ctx context.Context, o ha.Observation) {
	if !a.freshLease(ctx, o) {
		return
	}
	done, taken := a.proving()
	defer done()
	lease := a.o.Store.Lease()
	won, err := a.o.Store.AcquireLeader(ctx, o.Store.View.FailsafeRevision)
	if err != nil {
		a.failed("could not acquire the leader lock", err)
		return
	}
	if !won {
		a.memory.RaceLostAt = a.o.Clock.Now()
		a.o.Log.Info("Could not take out TTL lock")
		if o.Server.InRecovery {
			a.o.Log.Info("following new leader after trying and failing to obtain lock")
		}
		return
	}
	a.memory.LockWon = true
	a.memory.Sync.Judged, a.memory.Sync.Alive = o.Store.View.Sync.Revision, alive(o)
	if o.Store.View.Failover.Orders(a.o.Name) {
		a.memory.Sync.Judged = 0 // it was ordered, not judged; the order may be withdrawn before the promotion
	}
	// The key hangs on the lease, whose life was counted from before its last renewal was sent; creating
	// the key has not made it longer. If the keeper has got another lease meanwhile, because the ttl was changed, the
	// key hangs on either, and the next renewal moves it: the one that ends first counts.
	p := proofOf(lease)
	if now := a.o.Store.Lease(); now.ID != lease.ID {
		p.until, p.life = min(p.until, now.Expires), min(p.life, now.TTL)
	}
	a.mu.Lock()
	if a.requests.taken == taken {
		a.takeDown(a.bounded(p, nil))
	}
	a.mu.Unlock()
	a.o.Guard.Extend(a.lockProven) // a primary that retakes the lock is fenced by the time when it last had it
	a.peers = map[string]ha.Peer{}
}

// freshLease renews a lease that is nearly over: it would make a short reign.
func (a *Agent) freshLease(ctx context.Context, o ha.Observation) bool {
	return o.Store.LeaseExpires.Sub(o.Now) >= a.settings.TTL/2 || a.renew(ctx, a.settings) == nil
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
	if err := a.releaseAt(ctx, optime); err != nil {
		a.failed("could not release the leader lock", err)
		return
	}
	a.memory.StartFailures = min(a.memory.StartFailures, 1)
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
func (a *Agent) leave(ctx context.Context) {
	a.disarm(ctx)
	a.end("")
}

func (a *Agent) end(message string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ended, a.fatal = true, message
}
