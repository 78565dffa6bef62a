package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// While a cluster is founded nobody holds its leader key, for others would copy from a server that is not ready. The
// first server accepts writes all the same, perhaps for hours: post_bootstrap runs on it. So that no second one is founded
// beside it, /initialize takes the place of the leader key:
//
//  1. the empty key hangs on our lease: while it is there nobody else founds, and it is there as long as the lease lives;
//  2. the proof is the life of that lease. It is counted and renewed like that of the leader key, and the guard is armed by
//     it before each server of the bootstrap may run;
//  3. with the system identifier the key hangs on no lease any more, and stays. The proof goes on to be renewed until we
//     have taken the leader key on the same lease; the guard notices nothing of that.
//
// Members of Patroni do not look at the lease of the key.

// bootstrap founds the cluster, if this member is the one that gets to create /initialize.
func (a *Agent) bootstrap(ctx context.Context, o ha.Observation, x ha.Bootstrap) bool {
	if !a.freshLease(ctx, o) {
		return true
	}
	won, err := a.o.Store.CreateInitialize(ctx, "")
	if err != nil || !won {
		a.failed("could not create the initialize key", err)
		if err == nil {
			a.o.Log.Info("failed to acquire initialize lock")
		}
		return true
	}
	view, _ := a.o.Store.Latest() // own writes are in it at once
	init, lease := view.Initialize, a.o.Store.Lease()
	if lease.ID != init.Lease {
		// The keeper has just got another one. Nothing was begun yet, so it is begun anew.
		_, err := a.o.Store.DeleteInitialize(ctx, init.Revision)
		a.failed("could not remove the initialize key", err)
		return true
	}
	p := proofOf(lease)
	p.founds = true
	a.setProof(p)
	a.memory.LastClone = a.o.Clock.Now()
	titles := map[bool]string{true: "bootstrap_standby_leader"}
	return a.start(ctx, ha.Job{Kind: ha.JobBootstrap, Title: titles[x.Standby]}, func(ctx context.Context) outcome {
		switch err := a.found(ctx, x, init.Revision); {
		case errors.Is(err, errUnnamed):
			return func(a *Agent) { a.failed("bootstrap has not ended", err) }
		case err != nil:
			return a.abandon(ctx, err, init.Revision)
		}
		return func(a *Agent) { a.o.Log.Info("initialized a new cluster") }
	})
}

// founds reports whether the cluster is founded by this member, and nobody else has changed that: the key is the empty
// one that was proven, or names our data.
func (a *Agent) founds(view *cluster.View, server cluster.Server) bool {
	p, init := a.proven(), view.Initialize
	switch {
	case !p.founds || view.Locked() || !init.Present:
		return false
	case init.Value == "":
		return init.Lease == p.lease
	}
	return server.SystemID == "" || server.SystemID == init.Value
}

// stillFounds is what a renewed lease proves about /initialize, which stays on the lease that it was created on. a.mu is
// held.
func (a *Agent) stillFounds(lease dcs.Lease) proof {
	p := a.proof
	p.until = 0
	if lease.ID == p.lease && lease.ID != a.givenUp {
		p.until = lease.Expires
	}
	return p
}

// found makes the database, then the keys of the cluster. The leader key is left to the loop, which finds a
// primary that nobody else can compete with; with that key everybody else begins to copy.
func (a *Agent) found(ctx context.Context, x ha.Bootstrap, revision int64) error {
	if err := a.fill(ctx, x); err != nil {
		return err
	}
	server := a.o.Postgres.Observe(ctx)
	if !cluster.ValidSystemID(server.SystemID) {
		return fmt.Errorf("the new database has no system identifier")
	}
	view, err := a.o.Store.Refresh(ctx)
	if err != nil {
		return err
	}
	if view.Initialize.Revision != revision {
		return fmt.Errorf("somebody else has changed the initialize key to %q", view.Initialize.Value)
	}
	if err := a.nameCluster(ctx, server.SystemID, revision); err != nil {
		return err
	}
	if !view.Config.Present {
		_, err := a.o.Store.PutConfig(ctx, a.o.InitialConfig(), 0)
		a.failed("could not write the configuration of the cluster", err) // a leader writes it, too
	}
	if ctx.Err() != nil {
		a.stopFounded(ctx)
	}
	return nil
}

// nameCluster writes the identifier into /initialize, until it is known whether that holds it. Without the data that the key
// names nobody could found the cluster, or lead it, any more; and data that it does not name have to go before this member
// can join. The server runs on meanwhile as long as it is proven that nobody else founds.
func (a *Agent) nameCluster(ctx context.Context, id string, revision int64) error {
	for {
		ok, err := a.o.Store.PutInitialize(ctx, id, revision)
		if err == nil {
			if view, _ := a.o.Store.Latest(); !ok && view.Initialize.Value != id { // else an earlier attempt was applied
				return fmt.Errorf("somebody else has changed the initialize key to %q", view.Initialize.Value)
			}
			return nil
		}
		a.failed("could not write the initialize key", err)
		if a.isStopping() {
			return errUnnamed
		}
		if ctx.Err() != nil {
			a.stopFounded(ctx)
			ctx = context.WithoutCancel(ctx)
		}
		a.pause(ctx, time.Second) // an etcd that refuses does so at once, and nothing tells when it does no more
	}
}

// errUnnamed: the agent ends, and it is not known whether /initialize names its data. They are kept.
var errUnnamed = errors.New("the initialize key may not have been written")

// stopFounded stops the first server of the cluster, which nothing proves any more to be the only one. The guard goes on to count
// while that fails.
func (a *Agent) stopFounded(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	_, err := a.o.Postgres.Stop(ctx, StopImmediate, false)
	a.setProof(proof{})
	if err != nil {
		a.failed("could not stop the first server of the cluster", err)
		return
	}
	a.disarm(ctx)
}

// fill makes the first database of the cluster: a new one, or for a standby cluster a copy.
func (a *Agent) fill(ctx context.Context, x ha.Bootstrap) error {
	if !x.Standby {
		return a.o.Postgres.Bootstrap(ctx, a.arm)
	}
	if err := a.o.Postgres.Clone(ctx, cluster.Copy{From: x.From}); err != nil {
		return err
	}
	return a.o.Postgres.StartReplica(ctx, x.From)
}

// abandon undoes a failed bootstrap: what was made is kept aside for a person to look at. While the server can't be
// stopped the guard goes on to count, and the key stays as long as its lease.
func (a *Agent) abandon(ctx context.Context, cause error, revision int64) outcome {
	ctx = context.WithoutCancel(ctx)
	_, stopErr := a.o.Postgres.Stop(ctx, StopImmediate, false)
	a.setProof(proof{})
	var moveErr, keyErr error
	if a.o.Postgres.Observe(ctx).Data != cluster.DataEmpty { // a copy that failed has left nothing
		moveErr = a.o.Postgres.MoveDataAside(ctx)
	}
	if stopErr == nil {
		a.disarm(ctx)
		_, keyErr = a.o.Store.DeleteInitialize(ctx, revision)
	}
	return func(a *Agent) {
		a.memory.CloneFailures++
		a.memory.LastClone = a.o.Clock.Now()
		a.o.Log.Error("removing initialize key after failed attempt to bootstrap the cluster", "error", cause)
		a.failed("could not stop the half-made server", stopErr)
		a.failed("could not move the half-made data directory aside", moveErr)
		a.failed("could not remove the initialize key", keyErr)
	}
}
