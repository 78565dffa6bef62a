package agent

import (
	"context"
	"slices"

	"github.com/hathi-ha/hathi/pkg/ha"
)

// writeSync writes /sync and remembers the revision only if the write was confirmed. Without an answer it
// may still be on its way; the rules then write again before they build on the key, and as each write
// compares the revision, only one of the two takes effect.
func (a *Agent) writeSync(ctx context.Context, o ha.Observation, x ha.WriteSync) {
	before := x.Before(&o)
	a.memory.Sync.Written, a.memory.Sync.Before = 0, nil
	ok, err := a.o.Store.PutSync(ctx, x.State, x.Revision)
	if err == nil && ok {
		// Own writes are in the view at once. If somebody else has written since, it is theirs that is there.
		if view, _ := a.o.Store.Latest(); view != nil && view.Sync.Leader == x.State.Leader &&
			view.Sync.Quorum == x.State.Quorum && slices.Equal(view.Sync.Standbys, slices.Sorted(slices.Values(x.State.Standbys))) {
			a.memory.Sync.Written, a.memory.Sync.Before = view.Sync.Revision, before
		}
		return
	}
	if err != nil {
		a.failed("Updating sync state failed", err)
		return
	}
	a.o.Log.Info("Synchronous replication key updated by someone else.")
	if o.Server.InRecovery {
		a.o.Log.Info("Postponing promotion because synchronous replication state was updated by somebody else")
	}
	a.refresh(ctx)
}

// setNames sets synchronous_standby_names; nil gives it back to the user.
func (a *Agent) setNames(ctx context.Context, names *string) {
	m := &a.memory.Sync
	before := m.Asked
	m.FailedAt, m.Asked = 0, names
	if err := a.o.Postgres.SetSynchronousNames(ctx, names); err != nil {
		a.failed("could not set synchronous_standby_names", err)
		m.FailedAt = a.o.Clock.Now()
		if before != nil && names != nil && *names == m.Names {
			m.Asked = before // what the server shows does not tell that those are gone
		}
	}
}
