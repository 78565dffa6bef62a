package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// leaseStore is a store of which a test says what becomes of renewals.
type leaseStore struct {
	dcs.Store
	v        *cluster.View
	health   dcs.Health
	lease    dcs.Lease
	holds    bool
	err      error
	during   func() // runs while a renewal is under way
	asked    int    // renewals
	forsaken int64
}

func (s *leaseStore) SetTimeouts(time.Duration)                       {}
func (s *leaseStore) Latest() (*cluster.View, dcs.Health)             { return s.v, s.health }
func (s *leaseStore) Lease() dcs.Lease                                { return s.lease }
func (s *leaseStore) PutMember(context.Context, cluster.Member) error { return nil }

func (s *leaseStore) Forsake(id int64) { s.forsaken = id }

func (s *leaseStore) Renew(_ context.Context, ttl time.Duration, _ bool) (dcs.Lease, bool, error) {
	s.asked++
	if s.during != nil {
		s.during()
	}
	return s.lease, s.holds, s.err
}

// keeping is the agent of a leader "a", with a lease of 30 s that was renewed just now.
func keeping(t *testing.T) (*Agent, *leaseStore, *extended, *clock.Fake) {
	t.Helper()
	c := clock.NewFake(clock.Instant(time.Hour), time.Date(2027, 3, 1, 8, 0, 0, 0, time.UTC))
	s := &leaseStore{
		v:     &cluster.View{Leader: cluster.Leader{Present: true, Name: "a"}},
		lease: dcs.NewLease(7, 30*time.Second, c.Now()), holds: true,
	}
	g := &extended{}
	a := New(Options{
		Name: "a", Clock: c, Log: slog.New(slog.DiscardHandler), Wake: func() {}, WakeKeeper: func() {}, Store: s, Guard: g,
		Settings: func(*cluster.View) cluster.Settings { return cluster.DefaultSettings() },
	})
	if err := a.renew(t.Context(), a.settings); err != nil {
		t.Fatal(err)
	}
	return a, s, g, c
}

// TestRenewalProves: what a renewal has found is what the guard counts to, and an answer that never came proves
// nothing.
func TestRenewalProves(t *testing.T) {
	begin := clock.Instant(time.Hour)
	for _, c := range []struct {
		name  string
		set   func(*leaseStore)
		proof clock.Instant
		guard clock.Instant // what it was told last
	}{
		{"renewed, the key is ours", func(s *leaseStore) { s.lease = dcs.NewLease(7, 30*time.Second, begin.Add(10*time.Second)) }, begin.Add(40 * time.Second), begin.Add(40 * time.Second)},
		{"renewed, the key is not", func(s *leaseStore) {
			s.lease, s.holds = dcs.NewLease(7, 30*time.Second, begin.Add(10*time.Second)), false
		}, 0, begin.Add(30 * time.Second)},
		{"no answer", func(s *leaseStore) { s.err = errors.New("lost") }, begin.Add(30 * time.Second), begin.Add(30 * time.Second)},
		{"no answer about the key after the lease was renewed", func(s *leaseStore) {
			s.lease, s.err = dcs.NewLease(7, 30*time.Second, begin.Add(10*time.Second)), errors.New("lost")
		}, begin.Add(30 * time.Second), begin.Add(30 * time.Second)},
		{"another member leads", func(s *leaseStore) { s.v.Leader.Name = "b" }, begin.Add(30 * time.Second), begin.Add(30 * time.Second)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, s, g, clk := keeping(t)
			clk.Advance(10 * time.Second)
			c.set(s)
			_ = a.renew(t.Context(), a.settings)
			if a.lockProven() != c.proof || g.until != c.guard {
				t.Errorf("proof %s, guard %s after the begin; want %s, %s", a.lockProven().Sub(begin), g.until.Sub(begin), c.proof.Sub(begin), c.guard.Sub(begin))
			}
		})
	}
}

// TestKeep: the lease is renewed when that is due, and not any more when the loop is stuck.
func TestKeep(t *testing.T) {
	a, s, _, clk := keeping(t)
	begin := clk.Now()
	if next := a.Keep(t.Context()); next != begin.Add(10*time.Second) || s.asked != 1 {
		t.Errorf("next %s after the begin, %d renewals", next.Sub(begin), s.asked)
	}
	clk.Advance(10 * time.Second)
	if a.Keep(t.Context()); s.asked != 2 {
		t.Errorf("%d renewals when the second is due", s.asked)
	}
	s.err = errors.New("refused")
	clk.Advance(10 * time.Second)
	if next := a.Keep(t.Context()).Sub(clk.Now()); next != time.Second || s.asked != 3 {
		t.Errorf("after a failure: next in %s, %d renewals", next, s.asked)
	}
	clk.Advance(stuckAfter(a.settings) - 20*time.Second + 1)
	if a.Keep(t.Context()); s.asked != 3 {
		t.Error("renewed although the loop has not ended a turn for so long")
	}
}

// TestKeeperWoken: new settings reach a keeper that rests for a loop_wait from before.
func TestKeeperWoken(t *testing.T) {
	a, s, _, clk := keeping(t)
	woken := 0
	a.o.WakeKeeper = func() { woken++ }
	a.Keep(t.Context())
	asked, faster := s.asked, a.settings
	faster.TTL, faster.LoopWait, faster.RetryTimeout = 6*time.Second, 2*time.Second, 2*time.Second
	a.o.Settings = func(*cluster.View) cluster.Settings { return faster }
	clk.Advance(3 * time.Second)
	if a.adopt(t.Context(), &cluster.View{}); woken != 1 {
		t.Errorf("the keeper was woken %d times by other settings", woken)
	}
	if a.Keep(t.Context()); s.asked != asked+1 {
		t.Error("the renewal that is due by the new settings was not made")
	}
	if a.adopt(t.Context(), &cluster.View{}); woken != 1 {
		t.Error("the keeper was woken by the same settings")
	}
}

// TestGivenUp: a lease that the guard gives up proves nothing any more, also where its renewal is under way, and
// another one is asked for.
func TestGivenUp(t *testing.T) {
	a, s, _, _ := keeping(t)
	a.GivenUp(6)
	if a.lockProven() == 0 {
		t.Error("another lease takes the proof away")
	}
	s.during = func() { a.GivenUp(7) }
	_ = a.renew(t.Context(), a.settings)
	if a.lockProven() != 0 || s.forsaken != 7 {
		t.Errorf("proof %d, forsaken %d", a.lockProven(), s.forsaken)
	}
	s.during, s.lease = nil, dcs.NewLease(8, 30*time.Second, a.o.Clock.Now())
	if _ = a.renew(t.Context(), a.settings); a.proven().lease != 8 {
		t.Errorf("proof on lease %d, want the new one", a.proven().lease)
	}
}

// TestSmallerTTL: from before the lease of a smaller ttl is asked for, nothing is believed for longer than that.
func TestSmallerTTL(t *testing.T) {
	a, s, g, clk := keeping(t)
	smaller := a.settings
	smaller.TTL = 20 * time.Second
	want := clk.Now().Add(20 * time.Second)
	s.during = func() {
		if a.lockProven() != want || g.until != want {
			t.Errorf("proof %d, guard %d while it is asked for, want %d", a.lockProven(), g.until, want)
		}
	}
	s.err = errors.New("lost")
	_ = a.renew(t.Context(), smaller)
	if a.lockProven() != want || s.asked != 2 {
		t.Errorf("proof %d, want %d", a.lockProven(), want)
	}
}

// TestHangingRenewal: a renewal without an answer makes etcd count as lost before the proof of the lock ends, whatever
// else etcd answers meanwhile, so that the primary is stopped by its agent; one that has just begun does not.
func TestHangingRenewal(t *testing.T) {
	begin := clock.Instant(time.Hour)
	primary := cluster.Server{Process: cluster.ProcessRunning, Answered: true}
	a, s, _, clk := keeping(t)
	judge := func() ha.Decision {
		since := a.failingSince(s.health, clk.Now())
		p := a.proven()
		return ha.Decide(ha.Observation{
			Now: clk.Now(), Self: ha.Self{Name: "a"}, Settings: a.settings, Server: primary,
			Store: ha.Store{View: s.v, FailingSince: since, LeaseExpires: s.lease.Expires, LockProven: p.until, LockLife: p.life},
		})
	}
	if at := a.watchRenewals(clk.Now()); at != begin.Add(22500*time.Millisecond) {
		t.Errorf("the loop looks %s after the renewal, want a quarter of the lease's life before its end", at.Sub(begin))
	}
	s.during = func() {
		s.during = nil
		for _, c := range []struct {
			at     time.Duration
			lost   time.Duration // since when etcd counts as lost; zero: it does not
			demote bool
		}{{10 * time.Second, 0, false}, {14 * time.Second, 0, false}, {16 * time.Second, 15 * time.Second, false}, {22 * time.Second, 15 * time.Second, false}, {23 * time.Second, 15 * time.Second, true}} {
			clk.Advance(begin.Add(c.at).Sub(clk.Now()))
			want := clock.Instant(0)
			if c.lost != 0 {
				want = begin.Add(c.lost)
			}
			if got := a.failingSince(s.health, clk.Now()); got != want {
				t.Errorf("after %s: lost since %d, want %d", c.at, got, want)
			}
			d := judge()
			if _, demote := d.Action.(ha.Demote); demote != c.demote {
				t.Errorf("after %s: %T, want a demotion: %t", c.at, d.Action, c.demote)
			}
			if next := a.watchRenewals(clk.Now()); next > begin.Add(c.at+5*time.Second) {
				t.Errorf("after %s the loop looks again only at %s", c.at, next.Sub(begin))
			}
		}
	}
	clk.Advance(10 * time.Second)
	_ = a.renew(t.Context(), a.settings)
	if s.during != nil {
		t.Fatal("nothing was renewed")
	}
	if got := a.failingSince(s.health, clk.Now()); got != 0 {
		t.Errorf("lost since %d after the renewal has ended", got)
	}

	a, s, _, clk = keeping(t) // an agent that was frozen until shortly before the end
	clk.Advance(29 * time.Second)
	s.during = func() {
		if got := a.failingSince(s.health, clk.Now()); got != 0 {
			t.Error("a renewal that has just begun counts as one that hangs")
		}
	}
	_ = a.renew(t.Context(), a.settings)
}

// TestRefusedRenewals: an etcd that refuses to renew makes the agent stop its primary before the proof ends, without failsafe mode, as
// one that does not answer does; until a renewal is answered again.
func TestRefusedRenewals(t *testing.T) {
	a, s, _, clk := keeping(t)
	begin, woken := clk.Now(), 0
	a.o.Wake = func() { woken++ }
	a.o.Postgres = running{}
	s.err = fmt.Errorf("the password is wrong: %w", dcs.ErrRefused)
	for _, c := range []struct {
		at     time.Duration
		lost   time.Duration // since when etcd counts as lost; zero: it does not
		demote bool
	}{{10 * time.Second, 0, false}, {14 * time.Second, 0, false}, {16 * time.Second, 15 * time.Second, false}, {23 * time.Second, 15 * time.Second, true}, {40 * time.Second, 15 * time.Second, true}} {
		clk.Advance(begin.Add(c.at).Sub(clk.Now()))
		_ = a.renew(t.Context(), a.settings)
		o := a.observe(t.Context())
		want := clock.Instant(0)
		if c.lost != 0 {
			want = begin.Add(c.lost)
		}
		if o.Store.FailingSince != want || o.Store.Refuses != (want != 0) {
			t.Errorf("after %s: lost since %d, want %d; refuses: %t", c.at, o.Store.FailingSince, want, o.Store.Refuses)
		}
		d := ha.Decide(o)
		if _, demote := d.Action.(ha.Demote); demote != c.demote {
			t.Errorf("after %s: %T, want a demotion: %t", c.at, d.Action, c.demote)
		}
	}
	if s.err, woken = nil, 0; a.renew(t.Context(), a.settings) != nil || woken != 1 {
		t.Errorf("the loop was woken %d times by the first renewal that was not refused", woken)
	}
	if o := a.observe(t.Context()); o.Store.FailingSince != 0 || o.Store.Refuses {
		t.Errorf("after it: lost since %d, refuses: %t", o.Store.FailingSince, o.Store.Refuses)
	}
}

// running is a primary.
type running struct{ Postgres }

func (running) Observe(context.Context) cluster.Server {
	return cluster.Server{Process: cluster.ProcessRunning, Answered: true, Data: cluster.DataPresent}
}

// TestRefusedRenewal: a renewal that etcd refuses wakes nobody. The loop itself asks for renewals, and by that it would run
// without a rest while etcd is full.
func TestRefusedRenewal(t *testing.T) {
	a, s, _, _ := keeping(t)
	woken := 0
	a.o.Wake = func() { woken++ }
	for _, c := range []struct {
		err  error
		want int
	}{{fmt.Errorf("full: %w", dcs.ErrRefused), 0}, {fmt.Errorf("lost: %w", dcs.ErrMaybe), 1}} {
		s.err, woken = c.err, 0
		if _ = a.renew(t.Context(), a.settings); woken != c.want {
			t.Errorf("%v: the loop was woken %d times, want %d", c.err, woken, c.want)
		}
	}
}
