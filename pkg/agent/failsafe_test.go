package agent

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// view is a store that only shows one view.
type view struct {
	dcs.Store
	v *cluster.View
}

func (view) SetTimeouts(time.Duration) {}

func (s view) Latest() (*cluster.View, dcs.Health) { return s.v, dcs.Health{} }

// receiver is the agent of a replica in failsafe mode that follows b, and the clock that it reads.
func receiver(t *testing.T) (*Agent, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(clock.Instant(time.Hour), time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC))
	settings := cluster.DefaultSettings()
	settings.FailsafeMode = true
	a := New(Options{
		Name: "a", Clock: c, Log: slog.New(slog.DiscardHandler), Wake: func() {}, WakeKeeper: func() {},
		Store:    view{v: &cluster.View{Leader: cluster.Leader{Present: true, Name: "b"}}},
		Settings: func(*cluster.View) cluster.Settings { return settings },
	})
	return a, c
}

// seen lets the loop look at the server.
func (a *Agent) seen(server cluster.Server, job *ha.Job) ha.Observation {
	o := ha.Observation{Now: a.o.Clock.Now(), Server: server, Job: job, Memory: a.memory}
	a.noteFailsafe(&o)
	o.Memory = a.memory
	return o
}

var (
	recovering = cluster.Server{Process: cluster.ProcessRunning, Answered: true, InRecovery: true}
	question   = cluster.FailsafeQuestion{Name: "b", TTL: 40 * time.Second}
)

// TestPromiseAndPromotionExcludeEachOther: whichever comes first, the other does not happen.
func TestPromiseAndPromotionExcludeEachOther(t *testing.T) {
	a, c := receiver(t)
	o := a.seen(recovering, nil)
	if _, err := a.Failsafe(question); err != nil {
		t.Fatalf("a replica refuses: %v", err)
	}
	if a.becomesPrimary(o) {
		t.Error("a promotion begins that was decided before the promise")
	}
	o = a.seen(recovering, nil)
	if want := c.Now().Add(40400 * time.Millisecond); o.Memory.Failsafe.Promised != want || o.Memory.Failsafe.To != "b" {
		t.Errorf("promised %s until %d, want %d", o.Memory.Failsafe.To, o.Memory.Failsafe.Promised, want)
	}
	if !a.becomesPrimary(o) {
		t.Fatal("a promotion that was decided after the promise, and so knows of it, does not begin")
	}
	if _, err := a.Failsafe(question); !errors.Is(err, api.ErrFailsafePrimary) {
		t.Errorf("while a promotion has begun: %v", err)
	}
	a.seen(recovering, &ha.Job{Kind: ha.JobPromote})
	if _, err := a.Failsafe(question); !errors.Is(err, api.ErrFailsafePrimary) {
		t.Errorf("while the promotion runs: %v", err)
	}
	a.seen(recovering, nil)
	if _, err := a.Failsafe(question); err != nil {
		t.Errorf("after the promotion has failed: %v", err)
	}
}

// TestWhoRefuses: what a member knows of itself decides, and not knowing is no.
func TestWhoRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Agent)
		want   error
	}{
		{"a replica", func(a *Agent) { a.seen(recovering, nil) }, nil},
		{"nobody has looked yet", func(*Agent) {}, api.ErrFailsafePrimary},
		{"a primary", func(a *Agent) { a.seen(cluster.Server{Process: cluster.ProcessRunning, Answered: true}, nil) }, api.ErrFailsafePrimary},
		{"a primary that is silent", func(a *Agent) {
			a.memory.WasPrimary = true
			a.seen(cluster.Server{Process: cluster.ProcessRunning}, nil)
		}, api.ErrFailsafePrimary},
		{"a replica that is silent", func(a *Agent) { a.seen(cluster.Server{Process: cluster.ProcessRunning}, nil) }, nil},
		{"a server that is down", func(a *Agent) { a.seen(cluster.Server{}, nil) }, nil},
		{"a primary that is restarted", func(a *Agent) {
			a.memory.WasPrimary = true
			a.seen(cluster.Server{}, &ha.Job{Kind: ha.JobRestart})
		}, api.ErrFailsafePrimary},
		{"a primary that is started after a crash", func(a *Agent) { a.seen(cluster.Server{}, &ha.Job{Kind: ha.JobStartPrimary}) }, api.ErrFailsafePrimary},
		{"who holds the key", func(a *Agent) {
			a.seen(recovering, nil)
			a.o.Store = view{v: &cluster.View{Leader: cluster.Leader{Present: true, Name: "a"}}}
		}, api.ErrFailsafePrimary},
		{"who has proven the lock", func(a *Agent) { a.seen(recovering, nil); a.setProof(proof{until: a.o.Clock.Now().Add(1), lease: 1}) }, api.ErrFailsafePrimary},
		{"mode off", func(a *Agent) { a.seen(recovering, nil); a.ttl.FailsafeMode = false }, api.ErrFailsafeOff},
		{"mode not known yet", func(a *Agent) {
			a.seen(recovering, nil)
			a.ttl.FailsafeMode, a.o.Store = false, view{}
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, _ := receiver(t)
			c.change(a)
			if _, err := a.Failsafe(question); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

// TestPromisesOnlyGrow: a question for a shorter time does not take back what was promised.
func TestPromisesOnlyGrow(t *testing.T) {
	a, c := receiver(t)
	a.seen(recovering, nil)
	for _, q := range []cluster.FailsafeQuestion{{Name: "b", TTL: time.Minute}, {Name: "c", TTL: time.Second}} {
		if _, err := a.Failsafe(q); err != nil {
			t.Fatal(err)
		}
	}
	if want := c.Now().Add(ha.FailsafePromise(time.Minute)); a.failsafe.promised != want {
		t.Errorf("promised until %d, want %d", a.failsafe.promised, want)
	}
}

// extended takes down what the guard is told.
type extended struct {
	Guard
	until clock.Instant
}

func (g *extended) Extend(until func() clock.Instant) { g.until = until() }

// TestExtendProof: what was agreed makes a proof longer, never shorter, and none where it was disproven.
func TestExtendProof(t *testing.T) {
	for _, c := range []struct{ before, until, proof, guard clock.Instant }{
		{100, 200, 200, 200},
		{300, 200, 300, 0},
		{0, 200, 0, 0},
	} {
		a, _ := receiver(t)
		g := &extended{}
		a.o.Guard = g
		a.setProof(proof{until: c.before, lease: 1})
		a.extendProof(c.until)
		if a.lockProven() != c.proof || g.until != c.guard {
			t.Errorf("%d extended to %d: proof %d, guard %d", c.before, c.until, a.lockProven(), g.until)
		}
	}
}
