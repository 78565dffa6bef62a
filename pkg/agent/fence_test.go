package agent

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/guard"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// told is a guard that takes down what it is told, and answers as a test says.
type told struct {
	armed    []Charge
	disarmed int
	err      error
	during   func() // runs between the call and the moment of sending
	until    clock.Instant
}

func (g *told) Arm(_ context.Context, charge func() Charge) error {
	if g.during != nil {
		g.during()
	}
	g.armed = append(g.armed, charge())
	return g.err
}

func (g *told) Extend(until func() clock.Instant) { g.until = until() }

func (g *told) Disarm(context.Context) error {
	g.disarmed++
	return g.err
}

// fencing is the agent of a leader whose guard is told.
func fencing(t *testing.T) (*Agent, *told, *clock.Fake) {
	t.Helper()
	a, _, _, c := keeping(t)
	g := &told{}
	a.o.Guard = g
	return a, g, c
}

// primaryWith is what a leader sees of itself.
func primaryWith(a *Agent, pid int) ha.Observation {
	view, _ := a.o.Store.Latest()
	return ha.Observation{
		Now: a.o.Clock.Now(), Store: ha.Store{View: view, LockProven: a.lockProven()},
		Server: cluster.Server{Process: cluster.ProcessRunning, Answered: true, PostmasterPID: pid, PostmasterTicks: 5},
	}
}

// TestArmIsAskedWhenItIsSent: the keeper may have found a shorter proof, or another lease, since arm was called.
func TestArmIsAskedWhenItIsSent(t *testing.T) {
	a, g, _ := fencing(t)
	g.during = func() { a.setProof(proof{until: 77, lease: 8}) }
	if err := a.arm(t.Context(), 100, 5); err != nil {
		t.Fatal(err)
	}
	if c := g.armed[0]; c.Deadline != 77 || c.LeaseID != 8 || c.PostmasterPID != 100 || c.PostmasterTicks != 5 {
		t.Errorf("armed with %+v", c)
	}
	if a.fence.as.lease != 8 {
		t.Errorf("counts as armed on lease %d", a.fence.as.lease)
	}
}

// TestFenceRunning: a primary that was found running is armed once, again for whatever is not as it was armed, and as
// long as the guard has not confirmed it.
func TestFenceRunning(t *testing.T) {
	a, g, c := fencing(t)
	for _, step := range []struct {
		name string
		do   func(o *ha.Observation)
		want int // times it is armed after that
	}{
		{"found running", func(*ha.Observation) {}, 1},
		{"nothing new", func(*ha.Observation) {}, 1},
		{"another postmaster", func(o *ha.Observation) { o.Server.PostmasterPID = 101 }, 2},
		{"another lease", func(o *ha.Observation) {
			o.Server.PostmasterPID = 101
			a.setProof(proof{until: a.lockProven(), lease: 9})
		}, 3},
		{"a job is changing the server", func(o *ha.Observation) { o.Job = &ha.Job{Kind: ha.JobRestart} }, 3},
		{"in recovery", func(o *ha.Observation) { o.Server.InRecovery = true }, 3},
		{"another member leads", func(o *ha.Observation) {
			o.Store.View = &cluster.View{Leader: cluster.Leader{Present: true, Name: "b"}}
		}, 3},
		{"the guard does not answer", func(o *ha.Observation) { o.Server.PostmasterPID, g.err = 102, errors.New("no answer") }, 4},
		{"so it is tried again", func(o *ha.Observation) { o.Server.PostmasterPID, g.err = 102, nil }, 5},
		{"the proof is over", func(o *ha.Observation) { c.Advance(time.Minute); o.Now = c.Now() }, 5},
	} {
		o := primaryWith(a, 100)
		step.do(&o)
		a.fenceRunning(t.Context(), o)
		if len(g.armed) != step.want {
			t.Fatalf("%s: armed %d times, want %d", step.name, len(g.armed), step.want)
		}
	}
}

// TestSettle: only a server that can't write is disarmed, and only while the key is somebody else's; a guard that has
// not confirmed is told again.
func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(a *Agent, o *ha.Observation)
		want   int
	}{
		{"a primary with the key", func(*Agent, *ha.Observation) {}, 0},
		{"a replica with the key: a promotion may have begun", func(_ *Agent, o *ha.Observation) { o.Server.InRecovery = true }, 0},
		{"down with the key: it is given up if the agent dies, too", func(_ *Agent, o *ha.Observation) { o.Server = cluster.Server{} }, 0},
		{"a primary without the key", func(_ *Agent, o *ha.Observation) { o.Store.View.Leader.Name = "b" }, 0},
		{"a server that does not answer, without the key", func(_ *Agent, o *ha.Observation) {
			o.Store.View.Leader.Name, o.Server.Answered = "b", false
		}, 0},
		{"a replica without the key", func(_ *Agent, o *ha.Observation) { o.Store.View.Leader.Name, o.Server.InRecovery = "b", true }, 1},
		{"in pause", func(a *Agent, _ *ha.Observation) { a.settings.Pause = true }, 1},
		{"nothing is known of the cluster", func(_ *Agent, o *ha.Observation) { o.Store.View, o.Server.InRecovery = nil, true }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, g, _ := fencing(t)
			o := primaryWith(a, 100)
			c.change(a, &o)
			g.err = errors.New("no answer")
			a.settle(t.Context(), o)
			g.err = nil
			a.settle(t.Context(), o)
			a.settle(t.Context(), o)
			if g.disarmed != 2*c.want {
				t.Errorf("disarmed %d times, want %d: without an answer, and then with one", g.disarmed, 2*c.want)
			}
		})
	}
}

// TestNothingIsFencedInPause, not even a server that is promoted by order.
func TestNothingIsFencedInPause(t *testing.T) {
	a, g, _ := fencing(t)
	a.ttl.Pause = true
	if err := a.arm(t.Context(), 100, 5); err != nil || len(g.armed) != 0 {
		t.Errorf("%v, armed %d times", err, len(g.armed))
	}
}

// TestRequiredWatchdog: a member whose required watchdog fails must not lead, for a while: somebody may have mended it.
// One that is only wanted, or off, keeps nobody from it.
func TestRequiredWatchdog(t *testing.T) {
	a, g, c := fencing(t)
	demand, usable := watchdog.Demand{Mode: watchdog.Required}, true
	a.o.Watchdog = func(cluster.Settings) (watchdog.Demand, bool) { return demand, usable }
	failed := func() bool {
		_, failed := a.watchdog(a.settings)
		return failed
	}
	if failed() {
		t.Error("failed before it was tried")
	}
	g.err = guard.ErrWatchdog
	if err := a.arm(t.Context(), 100, 5); !errors.Is(err, errUnguarded) || !failed() {
		t.Errorf("refused: %v, failed %t", err, failed())
	}
	c.Advance(2*a.settings.LoopWait + 1)
	if failed() {
		t.Error("a refusal counts for ever")
	}
	for _, mode := range []watchdog.Mode{watchdog.Required, watchdog.Automatic, watchdog.Off} {
		demand.Mode, usable = mode, false
		if failed() != (mode == watchdog.Required) {
			t.Errorf("mode %s, not usable: failed %t", mode, failed())
		}
	}
}

// releasing takes down in which order a server is stopped and the lock is released.
type releasing struct {
	Postgres
	*leaseStore
	did []string
}

func (r *releasing) Stop(_ context.Context, mode StopMode, _ bool) (cluster.LSN, error) {
	r.did = append(r.did, "stop "+string(mode))
	return 0, nil
}

func (r *releasing) ReleaseLeader(context.Context, *cluster.Status) (bool, error) {
	r.did = append(r.did, "release")
	return true, nil
}

// TestPromoteUnguarded: without a guard nobody is promoted, and the lock is given up; but a server that was told before, and may be
// a primary any moment, is stopped first.
func TestPromoteUnguarded(t *testing.T) {
	for _, c := range []struct {
		told bool
		want []string
	}{{false, []string{"release"}}, {true, []string{"stop immediate", "release"}}} {
		a, s, _, _ := keeping(t)
		r := &releasing{leaseStore: s}
		a.o.Store, a.o.Postgres, a.o.Runtime, a.o.Guard = r, r, atOnce{}, &told{err: guard.ErrWatchdog}
		o := primaryWith(a, 100)
		o.Server.InRecovery, o.Server.Promoting = true, c.told
		a.act(t.Context(), o, ha.Decision{Action: ha.Promote{}})
		if !slices.Equal(r.did, c.want) || a.lockProven() != 0 {
			t.Errorf("told before: %t: %v, proven until %d; want %v", c.told, r.did, a.lockProven(), c.want)
		}
	}
}
