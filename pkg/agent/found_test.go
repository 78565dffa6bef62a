package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

const newSystemID = "7000000000000000009"

// foundingStore is a store in which /initialize, on lease 7 at first, is all there is.
type foundingStore struct {
	leaseStore
	asked   []time.Duration // the ttl of renewals
	removed bool
	// What becomes of each attempt to write the identifier: it is not applied; it is, but not answered.
	unwritten, named []error
	config           error
	writing          func() // runs while the identifier is written
}

func (s *foundingStore) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	s.asked = append(s.asked, ttl)
	return s.leaseStore.Renew(ctx, ttl, lead)
}

func (s *foundingStore) CreateInitialize(context.Context, string) (bool, error) {
	s.v = &cluster.View{Initialize: cluster.Initialize{Present: true, Revision: 3, Lease: 7}}
	return true, nil
}

func (s *foundingStore) Refresh(context.Context) (*cluster.View, error) { return s.v, nil }

func (s *foundingStore) PutInitialize(_ context.Context, id string, revision int64) (bool, error) {
	if revision != s.v.Initialize.Revision {
		return false, nil
	}
	if s.writing != nil {
		s.writing()
	}
	if len(s.unwritten) > 0 {
		err := s.unwritten[0]
		s.unwritten = s.unwritten[1:]
		return false, err
	}
	s.v = &cluster.View{Initialize: cluster.Initialize{Present: true, Value: id, Revision: 4}}
	if len(s.named) > 0 {
		err := s.named[0]
		s.named = s.named[1:]
		return false, err
	}
	return true, nil
}

func (s *foundingStore) PutConfig(context.Context, []byte, int64) (bool, error) {
	return true, s.config
}

func (s *foundingStore) DeleteInitialize(context.Context, int64) (bool, error) {
	s.removed = true
	return true, nil
}

func (s *foundingStore) AcquireLeader(context.Context, int64) (bool, error) { return true, nil }

// foundingServer starts two servers, one after the other, and runs what the test wants while the second one runs.
type foundingServer struct {
	Postgres
	meanwhile func()
	err       error
	stopErr   error
	stopped   bool
	moved     bool
}

func (p *foundingServer) Bootstrap(ctx context.Context, guard GuardServer) error {
	for pid := range 2 {
		if err := guard(ctx, 100+pid, 5); err != nil {
			return err
		}
	}
	if p.meanwhile != nil {
		p.meanwhile()
	}
	return p.err
}

func (p *foundingServer) Observe(context.Context) cluster.Server {
	return cluster.Server{Data: cluster.DataPresent, SystemID: newSystemID}
}

func (p *foundingServer) Stop(context.Context, StopMode, bool) (cluster.LSN, error) {
	p.stopped = true
	return 0, p.stopErr
}

func (p *foundingServer) MoveDataAside(context.Context) error { p.moved = true; return nil }

// atOnce runs jobs where they are started.
type atOnce struct{ Runtime }

func (atOnce) Go(_ string, f func()) { f() }

// foundingAgent is one that may found a cluster.
func foundingAgent(t *testing.T) (*Agent, *foundingStore, *foundingServer, *told, *clock.Fake) {
	t.Helper()
	a, l, _, c := keeping(t)
	s, p, g := &foundingStore{leaseStore: *l}, &foundingServer{}, &told{}
	s.v = &cluster.View{}
	a.o.Store, a.o.Postgres, a.o.Guard, a.o.Runtime = s, p, g, atOnce{}
	a.o.InitialConfig = func() []byte { return []byte("{}") }
	a.setProof(proof{})
	return a, s, p, g, c
}

func foundsNow(a *Agent, s *foundingStore) {
	o := ha.Observation{Now: a.o.Clock.Now(), Store: ha.Store{View: s.v, Lease: s.lease.ID, LeaseExpires: s.lease.Expires}}
	a.bootstrap(context.Background(), o, ha.Bootstrap{})
}

// TestFoundingIsFenced: each server of a bootstrap is armed by the lease that /initialize hangs on, the guard is told of
// each renewal, and there is no gap before the leader key is taken.
func TestFoundingIsFenced(t *testing.T) {
	a, s, p, g, c := foundingAgent(t)
	begin := c.Now()
	p.meanwhile = func() {
		c.Advance(10 * time.Second)
		s.lease = dcs.NewLease(7, 30*time.Second, c.Now())
		a.observe(t.Context())
		smaller := a.settings
		smaller.TTL = 20 * time.Second
		_ = a.renew(t.Context(), smaller)
	}
	foundsNow(a, s)
	if len(g.armed) != 2 || g.armed[0].PostmasterPID != 100 || g.armed[1].PostmasterPID != 101 {
		t.Fatalf("armed with %+v", g.armed)
	}
	for _, charge := range g.armed {
		if charge.LeaseID != 7 || charge.Deadline != begin.Add(30*time.Second) {
			t.Errorf("armed with %+v", charge)
		}
	}
	if want := begin.Add(40 * time.Second); a.lockProven() != want || g.until != want {
		t.Errorf("after a renewal: proven until %s, guard %s after the begin", a.lockProven().Sub(begin), g.until.Sub(begin))
	}
	if s.asked[0] != 30*time.Second {
		t.Errorf("the lease was renewed for %s, which is another lease", s.asked[0])
	}
	o := a.observe(t.Context())
	if o.Store.LockProven != begin.Add(40*time.Second) || g.disarmed > 0 {
		t.Errorf("founded: proven until %s after the begin, disarmed %d times", o.Store.LockProven.Sub(begin), g.disarmed)
	}
	a.acquire(t.Context(), o)
	if got := a.proven(); got.founds || got.until != begin.Add(40*time.Second) {
		t.Errorf("with the leader key: %+v", got)
	}
}

// TestFoundingIsLost: what takes the proof away while a cluster is founded.
func TestFoundingIsLost(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*Agent, *foundingStore)
	}{
		{"the key is gone", func(_ *Agent, s *foundingStore) { s.v = &cluster.View{} }},
		{"another member founds", func(_ *Agent, s *foundingStore) { s.v.Initialize.Lease = 8 }},
		{"another member had data", func(_ *Agent, s *foundingStore) { s.v.Initialize.Value = "7000000000000000001" }},
		{"another member leads", func(_ *Agent, s *foundingStore) { s.v.Leader.Name = "b" }},
		{"the lease was lost", func(a *Agent, s *foundingStore) {
			s.lease = dcs.NewLease(8, 30*time.Second, a.o.Clock.Now())
			_ = a.renew(context.Background(), a.settings)
		}},
		{"the guard has given it up", func(a *Agent, _ *foundingStore) { a.GivenUp(7) }},
	} {
		a, s, p, _, _ := foundingAgent(t)
		p.meanwhile = func() {
			if o := a.observe(t.Context()); o.Store.LockProven == 0 {
				t.Fatal("there is no proof")
			}
			c.do(a, s)
			if o := a.observe(t.Context()); o.Store.LockProven != 0 {
				t.Errorf("%s: still proven for %s", c.name, o.Store.LockProven.Sub(o.Now))
			}
		}
		foundsNow(a, s)
	}
}

// TestAbandon: when a bootstrap fails the guard is disarmed and the key removed, but not beside a server that runs on.
func TestAbandon(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		a, s, p, g, _ := foundingAgent(t)
		p.err = errors.New("post_bootstrap failed")
		if stuck {
			p.stopErr = errors.New("it can't be killed")
		}
		foundsNow(a, s)
		a.receive()
		if a.lockProven() != 0 || a.memory.CloneFailures != 1 {
			t.Errorf("stuck %v: proven until %d, %d failures", stuck, a.lockProven(), a.memory.CloneFailures)
		}
		if s.removed == stuck || (g.disarmed == 0) != stuck {
			t.Errorf("stuck %v: key removed %v, disarmed %d times", stuck, s.removed, g.disarmed)
		}
	}
}

// TestFoundingUnguarded: without a guard no server is started.
func TestFoundingUnguarded(t *testing.T) {
	a, s, p, g, _ := foundingAgent(t)
	g.err = errors.New("no answer")
	p.meanwhile = func() { t.Error("a server runs") }
	foundsNow(a, s)
	if !s.removed || !p.moved {
		t.Errorf("key removed %v, data moved aside %v", s.removed, p.moved)
	}
}

// TestNamedData: data that /initialize may name are kept, and the key is written until it is known what it says; the server runs on
// meanwhile only while it is proven that nobody else founds. What another member's key does not name is moved aside.
func TestNamedData(t *testing.T) {
	lost := errors.New("no answer")
	for _, c := range []struct {
		name string
		set  func(a *Agent, s *foundingStore)
		stop bool
		gone bool // the data
	}{
		{"no answer about the identifier, which is there", func(_ *Agent, s *foundingStore) { s.named = []error{lost} }, false, false},
		{"no answer, and it is not there", func(_ *Agent, s *foundingStore) { s.unwritten = []error{lost, lost} }, false, false},
		{"the proof ends meanwhile", func(a *Agent, s *foundingStore) {
			s.unwritten, s.writing = []error{lost, lost}, a.cancelJob
		}, true, false},
		{"another member has founded the cluster meanwhile", func(a *Agent, s *foundingStore) {
			s.unwritten = []error{lost}
			s.writing = func() {
				a.cancelJob()
				s.v = &cluster.View{Initialize: cluster.Initialize{Present: true, Value: "7000000000000000001", Revision: 9}}
			}
		}, true, true},
		{"the agent ends meanwhile", func(a *Agent, s *foundingStore) { s.unwritten, s.writing = []error{lost, lost}, a.Stop }, false, false},
		{"the configuration is not written", func(_ *Agent, s *foundingStore) { s.config = lost }, false, false},
		{"the proof ends while it is written", func(a *Agent, s *foundingStore) { s.config, s.writing = lost, a.cancelJob }, true, false},
	} {
		a, s, p, g, clk := foundingAgent(t)
		a.o.Runtime = &foundingTime{clock: clk}
		c.set(a, s)
		foundsNow(a, s)
		a.receive()
		if p.moved != c.gone || (a.memory.CloneFailures > 0) != c.gone {
			t.Errorf("%s: data moved aside: %t, %d failures; want %t", c.name, p.moved, a.memory.CloneFailures, c.gone)
		}
		if p.stopped != c.stop || (a.lockProven() == 0) != c.stop || (g.disarmed > 0) != c.stop {
			t.Errorf("%s: stopped: %t, proven until %d, disarmed %d times; want it stopped: %t", c.name, p.stopped, a.lockProven(), g.disarmed, c.stop)
		}
	}
}

// foundingTime lets time pass at once.
type foundingTime struct {
	atOnce
	clock *clock.Fake
}

func (f *foundingTime) Pause(_ context.Context, d time.Duration) { f.clock.Advance(d) }
