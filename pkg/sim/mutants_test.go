package sim

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// mutantSeeds is how many seeds may be needed to find a planted mistake.
const mutantSeeds = 600

// shownBy says where to begin with mistakes that are rare to show.
var shownBy = map[string]uint64{
	"a promotion does not wait for the lock":                             7,
	"another lease is taken for another reign":                           50,
	"a restarted member does not wait for what it has forgotten":         92,
	"a replica that lags is promoted instead of waiting":                 67,
	"a former primary's slot goes on to the end of a lost branch":        160,
	"names count although others were set":                               335,
	"commits wait for one standby less":                                  19,
	"positions on different timelines are compared":                      32,
	"the lag check is forgotten":                                         23,
	"WAL on a branch that the cluster has left counts":                   105,
	"who is not listed stands for the lock":                              29,
	"any data are started while etcd is away":                            70,
	"two timelines of one number are taken for one":                      135,
	"WAL on another timeline of the cluster's number counts":             175,
	"a replica that has not replayed all that it has gives its vote":     65,
	"a server that crashed starts without its names":                     30,
	"a replica that has not replayed all that it has shows its position": 150,
}

// TestMutants plants mistakes one at a time, in the rules or at an edge, and demands that each is found: a
// simulation that finds nothing shows nothing.
func TestMutants(t *testing.T) {
	for _, group := range []struct {
		mutants                  []mutant
		failsafe, standby, mixed bool // in all runs that are to find them
		rare                     []string
	}{
		{mutants: slices.Concat(mutants, syncMutants, moreMutants, leadMutants, timelineMutants)},
		{mutants: failsafeMutants, failsafe: true},
		{mutants: standbyMutants, standby: true},
		{mutants: slotMutants, rare: []string{slotsCopied}},
		{mutants: mixedMutants, mixed: true},
	} {
		if testing.Short() {
			group.mutants = group.mutants[:1]
		}
		for _, m := range group.mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				m.find(t, Options{
					Plant: m.plant, Modes: []cluster.SynchronousMode{m.mode}, Failsafe: &group.failsafe, Standby: &group.standby,
					Mixed: group.mixed, Rare: group.rare,
				})
			})
		}
	}
}

// find runs seeds until one breaks what the mistake is found by.
func (m mutant) find(t *testing.T, o Options) {
	t.Helper()
	begin := time.Now()
	for i := range uint64(mutantSeeds) {
		o.Seed = shownBy[m.name] + i
		if r := Run(o); r.Violation != "" && strings.Contains(r.Violation, m.breaks) {
			t.Logf("found with seed %d in %s: %s", o.Seed, time.Since(begin).Round(time.Millisecond), r.Violation)
			return
		}
	}
	t.Errorf("not found in %d seeds", mutantSeeds)
}

// tail gives the end of the trace of a run.
func tail(o Options) string {
	o.Trace = true
	trace := Run(o).Trace
	return strings.Join(trace[max(0, len(trace)-60):], "\n")
}

const (
	twoPrimaries = "two servers accept writes"
	pastLease    = "after its lease has ended"
	mayWrite     = "accept" // the one or the other, whatever is seen first
)

// mutant is one planted mistake.
type mutant struct {
	name   string
	breaks string // what the mistake is found by
	plant  func(*agent.Options)
	mode   cluster.SynchronousMode // of the runs that are to find it
}

var mutants = []mutant{
	{"the lag check is forgotten", "behind the published position", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) { obs.Settings.MaximumLagOnFailover = 1 << 60 }, nil)
	}, cluster.SyncOff},
	{"a promotion does not wait for the lock", mayWrite, func(o *agent.Options) {
		o.Guard = noGuard{} // the real one refuses
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.AcquireLeader); ok && obs.Server.InRecovery {
				d.Action = ha.Promote{}
			}
		})
	}, cluster.SyncOff},
	{"a primary goes on when etcd is lost, and no guard is armed", pastLease, func(o *agent.Options) {
		o.Guard = noGuard{}
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.Demote); ok && x.Mode == ha.DemoteOffline {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"no guard is ever armed", mayWrite, func(o *agent.Options) { o.Guard = noGuard{} }, cluster.SyncOff},
	{"the lease counts from when the answer came", "deadline lies behind the end of the lease", func(o *agent.Options) {
		o.Store = &lateCount{Store: o.Store, clock: o.Clock}
	}, cluster.SyncOff},
	{"the key is released before the server has stopped", "gives the lock up while its server can write", func(o *agent.Options) {
		o.Postgres = &earlyStop{Postgres: o.Postgres, runtime: o.Runtime}
	}, cluster.SyncOff},
	{"a returning primary starts as a primary", mayWrite, func(o *agent.Options) {
		o.Guard = noGuard{} // the real one refuses
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.CrashRecovery); ok && !obs.Stopping {
				d.Action = ha.StartPrimary{Timeout: time.Minute}
			}
		})
	}, cluster.SyncOff},
	{"a renewal that may have been applied counts as applied", tooLate, func(o *agent.Options) {
		o.Store = &hopeful{Store: o.Store, clock: o.Clock}
	}, cluster.SyncOff},
	{"a primary ignores that another member holds the lock", mayWrite, func(o *agent.Options) {
		o.Guard = noGuard{}
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.Demote); ok && x.Mode == ha.DemoteNoLock {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"a diverged server follows without being rewound", "does not come back", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			obs.Server.RewindPossible, obs.Settings.RemoveDataDirOnDivergedTimeline = false, false
		}, nil)
	}, cluster.SyncOff},
}

// decide puts something before and after the rules.
func decide(o *agent.Options, before func(*ha.Observation), after func(ha.Observation, *ha.Decision)) {
	rules := o.Decide
	o.Decide = func(obs ha.Observation) ha.Decision {
		if before != nil {
			before(&obs)
		}
		d := rules(obs)
		if after != nil {
			after(obs, &d)
		}
		return d
	}
}

// lateCount takes the life of a lease from the arrival of the answer.
type lateCount struct {
	dcs.Store
	clock clock.Clock
}

func (s *lateCount) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	l, holds, err := s.Store.Renew(ctx, ttl, lead)
	if err == nil {
		l.Expires = s.clock.Now().Add(ttl)
	}
	return l, holds, err
}

// earlyStop says that the server has stopped before it has.
type earlyStop struct {
	agent.Postgres
	runtime agent.Runtime
}

func (p *earlyStop) StopPrimary(ctx context.Context, checkpoint bool, _ func(cluster.LSN) bool) (cluster.LSN, error) {
	server := p.Observe(ctx)
	p.runtime.Go("stop", func() { _, _ = p.Postgres.Stop(context.WithoutCancel(ctx), agent.StopFast, checkpoint) })
	return server.Position(), nil
}

// hopeful takes a renewal that got no answer for one that was done.
type hopeful struct {
	dcs.Store
	clock clock.Clock
}

func (s *hopeful) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	sent := s.clock.Now()
	l, holds, err := s.Store.Renew(ctx, ttl, lead)
	if errors.Is(err, dcs.ErrMaybe) {
		return dcs.NewLease(l.ID, ttl, sent), lead, nil
	}
	return l, holds, err
}

// Latest hides that etcd does not answer, as everything seems to have worked.
func (s *hopeful) Latest() (*cluster.View, dcs.Health) {
	v, h := s.Store.Latest()
	h.FailingSince = 0
	return v, h
}
