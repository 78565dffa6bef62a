package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Source is what a replica remembers of the member that it follows.
type Source struct {
	// Away: it was last seen not to run.
	Away bool
	// Since is when it was first seen to run after that; zero: it was never seen to come back.
	Since clock.Instant
	// Loaded is Server.ConfigLoaded of that moment.
	Loaded string
}

// reconnectWithin is for how long after its source has come back a replica is told so. By then PostgreSQL has
// tried by itself, and whatever keeps it from connecting is something else.
const reconnectWithin = time.Second

func (m *Source) note(o *Observation) {
	switch {
	case !o.Server.Answered || o.Store.View == nil:
	case !sourceRuns(o):
		*m = Source{Away: true}
	case m.Away:
		*m = Source{Since: o.Now, Loaded: o.Server.ConfigLoaded}
	}
}

// sourceRuns reports whether the member that is followed says that it runs.
func sourceRuns(o *Observation) bool {
	want := target(o)
	if want.Host == "" {
		return false
	}
	if want.Member == o.leader().Name {
		return leaderReady(o)
	}
	m, _ := o.Store.View.Member(want.Member)
	return m.State == cluster.StateRunning
}

// replicaReconnect: the source has been away and is back. PostgreSQL looks for it only once in
// wal_retrieve_retry_interval, and in synchronous mode commits wait for that.
// To follow whom it follows already ends the wait; it is said once, so it has no say once the files were read.
func replicaReconnect(o *Observation) *Decision {
	m := o.Memory.Sync.Source
	if m.Since == 0 || o.Now.Sub(m.Since) >= reconnectWithin || o.Server.ConfigLoaded != m.Loaded {
		return nil
	}
	if o.Server.ReceiverStatus == "streaming" || o.Server.Replaying {
		return nil
	}
	want := target(o)
	if want.Host == "" {
		return nil
	}
	return act(Follow{Upstream: want}, "replica-reconnect", "connecting to %s again", want.Member)
}
