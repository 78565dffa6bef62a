package agent

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// configured is how far the configuration of the cluster was brought to the server.
type configured struct {
	revision int64         // of the /config that the server has; zero: none
	refused  int64         // of the one that could not be brought to it; zero: none
	again    clock.Instant // when that is tried again
}

// configureAgain is the pause after a configuration that could not be brought to the server. Nothing tells that a full
// disk has room again, or that the server can read its files.
const configureAgain = time.Minute

// adopt takes over the settings of a new /config.
func (a *Agent) adopt(ctx context.Context, view *cluster.View) {
	settings := a.o.Settings(view)
	if !same(settings, a.settings) {
		a.settings = settings
		a.mu.Lock()
		a.ttl = settings
		a.mu.Unlock()
		a.o.Store.SetTimeouts(settings.RetryTimeout)
		// The keeper may be resting until a renewal that was due by a longer loop_wait. A lease of the new ttl, which is
		// what this member takes the lock with from now on, could end before that.
		a.o.WakeKeeper()
	}
	if a.o.Configure != nil {
		a.configure(ctx, view)
	}
}

// configure brings a new /config to the server. While a job works on the server that waits for its end: a server that is
// being started has read its files, perhaps, and would not be told to read them again.
func (a *Agent) configure(ctx context.Context, view *cluster.View) {
	c, revision := &a.configured, view.Config.Revision
	a.mu.Lock()
	busy := a.job != nil
	a.mu.Unlock()
	if busy || revision == c.revision || revision == c.refused && a.o.Clock.Now().Before(c.again) {
		return
	}
	if err := a.o.Configure(ctx, view); err != nil {
		a.failed("could not apply the new configuration, trying again in "+configureAgain.String(), err)
		c.refused, c.again = revision, a.o.Clock.Now().Add(configureAgain)
		return
	}
	*c = configured{revision: revision}
	a.memory.LastStart = 0 // what has kept the server from starting may be mended by it
}
