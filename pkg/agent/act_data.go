package agent

import (
	"context"
	"fmt"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

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
	return cluster.Copy{
		From: cluster.Upstream{Member: from, Host: host, Port: port}, SystemID: o.Store.View.Initialize.SystemID(),
		Basebackup: a.memory.ReinitializeFromLeader,
	}
}

func (a *Agent) cloned(source string, err error) {
	m := &a.memory
	m.LastClone, m.Copy = a.o.Clock.Now(), ha.CopyMemory{} // what a leader has said before it is of no use
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

// trustCopy takes the mark of a copy away. If that fails, the rules leave it for a while.
func (a *Agent) trustCopy(ctx context.Context) {
	if err := a.o.Postgres.TrustCopy(ctx); err != nil {
		a.memory.Copy.FailedAt = a.o.Clock.Now()
		a.failed("could not take the mark of a copy away", err)
	}
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
