package agent

import (
	"context"
	"errors"
	"fmt"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// bootstrap founds the cluster, if this member is the one that gets to create /initialize.
func (a *Agent) bootstrap(ctx context.Context, x ha.Bootstrap) bool {
	won, err := a.o.Store.CreateInitialize(ctx, "")
	if err != nil || !won {
		a.failed("could not create the initialize key", err)
		if err == nil {
			a.o.Log.Info("failed to acquire initialize lock")
		}
		return true
	}
	view, _ := a.o.Store.Latest() // own writes are in it at once
	revision := view.Initialize.Revision
	a.memory.LastClone = a.o.Clock.Now()
	titles := map[bool]string{true: "bootstrap_standby_leader"}
	return a.start(ctx, ha.Job{Kind: ha.JobBootstrap, Title: titles[x.Standby]}, func(ctx context.Context) outcome {
		if err := a.found(ctx, x, revision); err != nil {
			return a.abandon(ctx, err, revision)
		}
		return func(a *Agent) { a.o.Log.Info("initialized a new cluster") }
	})
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
	switch ok, err := a.o.Store.PutInitialize(ctx, server.SystemID, revision); {
	case err != nil:
		return fmt.Errorf("write the initialize key: %w", err)
	case !ok:
		return errors.New("write the initialize key: somebody else has changed it meanwhile")
	}
	if !view.Config.Present {
		if _, err := a.o.Store.PutConfig(ctx, a.o.InitialConfig(), 0); err != nil {
			return err
		}
	}
	return nil
}

// fill makes the first database of the cluster: a new one, or for a standby cluster a copy.
func (a *Agent) fill(ctx context.Context, x ha.Bootstrap) error {
	if !x.Standby {
		return a.o.Postgres.Bootstrap(ctx)
	}
	if err := a.o.Postgres.Clone(ctx, cluster.Copy{From: x.From}); err != nil {
		return err
	}
	return a.o.Postgres.StartReplica(ctx, x.From)
}

// abandon undoes a failed bootstrap: what was made is kept aside for a person to look at.
func (a *Agent) abandon(ctx context.Context, cause error, revision int64) outcome {
	ctx = context.WithoutCancel(ctx)
	_, stopErr := a.o.Postgres.Stop(ctx, StopImmediate, false)
	var moveErr error
	if a.o.Postgres.Observe(ctx).Data != cluster.DataEmpty { // a copy that failed has left nothing
		moveErr = a.o.Postgres.MoveDataAside(ctx)
	}
	_, keyErr := a.o.Store.DeleteInitialize(ctx, revision)
	return func(a *Agent) {
		a.memory.CloneFailures++
		a.memory.LastClone = a.o.Clock.Now()
		a.o.Log.Error("removing initialize key after failed attempt to bootstrap the cluster", "error", cause)
		a.failed("could not stop the half-made server", stopErr)
		a.failed("could not move the half-made data directory aside", moveErr)
		a.failed("could not remove the initialize key", keyErr)
	}
}

// clone copies the data of a member, or of a backup if nobody leads, and leaves the start to the next turn.
func (a *Agent) clone(ctx context.Context, o ha.Observation, from string) bool {
	c := a.copyOf(o, from)
	a.memory.LastClone = a.o.Clock.Now()
	source := cloneSource(o, from)
	return a.start(ctx, ha.Job{Kind: ha.JobClone, Title: "bootstrap " + source}, func(ctx context.Context) outcome {
		err := a.o.Postgres.Clone(ctx, c)
		return func(a *Agent) { a.cloned(source, err) }
	})
}

// cloneSource names the source of a copy in the words of Patroni's log.
func cloneSource(o ha.Observation, from string) string {
	switch {
	case from == "":
		return "(without leader)"
	case from == o.Store.View.Leader.Name:
		return "from leader '" + from + "'"
	}
	return "from replica '" + from + "'"
}

// copyOf says what a copy of a member is made from; of nobody if the name is empty.
func (a *Agent) copyOf(o ha.Observation, from string) cluster.Copy {
	m, _ := o.Store.View.Member(from)
	host, port := m.Address()
	return cluster.Copy{From: cluster.Upstream{Member: from, Host: host, Port: port}, Basebackup: a.memory.ReinitializeFromLeader}
}

func (a *Agent) cloned(source string, err error) {
	m := &a.memory
	m.LastClone = a.o.Clock.Now()
	if err != nil {
		m.CloneFailures++
		a.failed("failed to bootstrap "+source, err)
		return
	}
	// A fresh copy is part of the history it was taken from.
	m.Rewind, m.CloneFailures, m.StartFailures = ha.RewindUnknown, 0, 0
	m.ReinitializeFromLeader = false
	a.o.Log.Info("bootstrapped " + source)
}

// reinitialize starts over with a copy. The data is removed only when a user or the configuration said so,
// and only after the source was found to be there.
func (a *Agent) reinitialize(ctx context.Context, o ha.Observation, x ha.Reinitialize) bool {
	m, _ := o.Store.View.Member(x.From)
	c := a.copyOf(o, x.From)
	c.Replace = true
	a.memory.ReinitializeRequested = false
	source := cloneSource(o, x.From)
	titles := map[bool]string{true: "reinitializing due to diverged timelines"}
	return a.start(ctx, ha.Job{Kind: ha.JobReinitialize, Title: titles[x.Diverged]}, func(ctx context.Context) outcome {
		err := a.replaceData(ctx, m, c)
		return func(a *Agent) { a.cloned(source, err) }
	})
}

func (a *Agent) replaceData(ctx context.Context, m cluster.Member, c cluster.Copy) error {
	for _, s := range a.o.Peers.Ask(ctx, []cluster.Member{m}) {
		if !s.Reachable {
			return fmt.Errorf("keeping the data because %s can't be reached to copy from: %s", m.Name, s.Error)
		}
	}
	if _, err := a.o.Postgres.Stop(ctx, StopImmediate, false); err != nil {
		return fmt.Errorf("stop the server: %w", err)
	}
	return a.o.Postgres.Clone(ctx, c)
}
