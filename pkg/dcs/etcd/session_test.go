package etcd_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

const (
	longTTL = 30 * time.Second
	patient = 20 * time.Second // of waits for a condition, on a busy machine
)

func ctxFor(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func open(t *testing.T, endpoints ...string) *etcd.Client {
	t.Helper()
	return openWith(t, etcd.Options{Hosts: endpoints})
}

func openWith(t *testing.T, o etcd.Options) *etcd.Client {
	t.Helper()
	c, err := etcd.Open(ctxFor(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return c
}

// join makes a session of a member with a client of its own and waits for its first view.
func join(t *testing.T, addresses []string, name string) *etcd.Session {
	t.Helper()
	s := joinWith(t, open(t, addresses...), name)
	waitFor(t, s, "the first view", func(v *cluster.View, _ dcs.Health) bool { return v != nil })
	return s
}

func joinWith(t *testing.T, c *etcd.Client, name string) *etcd.Session {
	t.Helper()
	s := etcd.NewSession(context.Background(), c, "batman", name, clock.System{}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	t.Cleanup(func() { s.Close() })
	return s
}

// raw is a plain client, for what nobody but a test would do.
func raw(t *testing.T, c *testetcd.Cluster) *clientv3.Client {
	t.Helper()
	cli, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cli.Close() })
	return cli
}

// waitFor waits until the session's view and health are as wanted. It relies on Changed alone, so that a
// notification that is not sent fails the test.
func waitFor(t *testing.T, s *etcd.Session, what string, ok func(*cluster.View, dcs.Health) bool) *cluster.View {
	t.Helper()
	deadline := time.After(patient)
	for {
		v, h := s.Latest()
		if ok(v, h) {
			return v
		}
		select {
		case <-s.Changed():
		case <-deadline:
			t.Fatalf("waited in vain for %s:\nview %+v\nhealth %+v", what, v, h)
		}
	}
}

func renew(t *testing.T, s *etcd.Session, ttl time.Duration, lead bool) (dcs.Lease, bool) {
	t.Helper()
	lease, holds, err := s.Renew(ctxFor(t), ttl, lead)
	if err != nil {
		t.Fatalf("renew: %v", err)
	}
	return lease, holds
}

func lead(t *testing.T, s *etcd.Session, ttl time.Duration) {
	t.Helper()
	renew(t, s, ttl, false)
	if ok, err := s.AcquireLeader(ctxFor(t), 0); !ok || err != nil {
		t.Fatalf("acquire: %v, %v", ok, err)
	}
}

// expect is for the booleans of conditional writes.
func expect(t *testing.T, what string, want bool) func(got bool, err error) {
	t.Helper()
	return func(got bool, err error) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: got %v, %v, want %v", what, got, err, want)
		}
	}
}

func leads(name string) func(*cluster.View, dcs.Health) bool {
	return func(v *cluster.View, _ dcs.Health) bool { return v != nil && v.Leader.Name == name }
}

func healthy(v *cluster.View, h dcs.Health) bool { return v != nil && h.FailingSince.IsZero() }

func failing(_ *cluster.View, h dcs.Health) bool {
	return !h.FailingSince.IsZero() && h.LastError != nil
}

func TestLeaderLockIsForOne(t *testing.T) {
	e := testetcd.Start(t)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	if _, err := a.AcquireLeader(ctxFor(t), 0); !errors.Is(err, dcs.ErrNotSent) {
		t.Errorf("acquire without a lease: %v, want ErrNotSent", err)
	}
	lead(t, a, longTTL)
	if v, _ := a.Latest(); v.Leader.Name != "a" || v.Leader.Lease != a.Lease().ID {
		t.Errorf("own write is not in the view: %+v", v.Leader)
	}
	waitFor(t, b, "b to see a lead", leads("a"))
	_, holds := renew(t, b, longTTL, true)
	expect(t, "b proves a lock it does not have", false)(holds, nil)
	expect(t, "b acquires a taken lock", false)(b.AcquireLeader(ctxFor(t), 0))
	expect(t, "a acquires its own lock again", true)(a.AcquireLeader(ctxFor(t), 0))
	_, holds = renew(t, a, longTTL, true)
	expect(t, "a proves its lock", true)(holds, nil)
	expect(t, "b releases what it does not have", false)(b.ReleaseLeader(ctxFor(t), nil))
	status := cluster.Status{Present: true, Optime: 42}
	expect(t, "a releases", true)(a.ReleaseLeader(ctxFor(t), &status))
	v := waitFor(t, b, "b to see no leader", leads(""))
	if v.Status.Optime != 42 {
		t.Errorf("the status came apart from the release: %+v", v.Status)
	}
	expect(t, "a releases twice", false)(a.ReleaseLeader(ctxFor(t), nil))
	renew(t, b, longTTL, false)
	expect(t, "b acquires a free lock", true)(b.AcquireLeader(ctxFor(t), 0))
	expect(t, "a writes status without the lock", false)(a.PutStatus(ctxFor(t), cluster.Status{Optime: 43}))
	expect(t, "a writes history without the lock", false)(a.PutHistory(ctxFor(t), cluster.History{Present: true}))
	expect(t, "b writes status", true)(b.PutStatus(ctxFor(t), cluster.Status{Optime: 44}))
	expect(t, "b writes history", true)(b.PutHistory(ctxFor(t), cluster.History{Present: true}))
	expect(t, "b writes failsafe", true)(b.PutFailsafe(ctxFor(t), map[string]string{"b": "http://b/patroni"}, 0))
	expect(t, "b writes a failsafe key that was not judged", false)(b.PutFailsafe(ctxFor(t), map[string]string{}, 0))
	expect(t, "a writes failsafe without the lock", false)(a.PutFailsafe(ctxFor(t), map[string]string{}, at(t, a).FailsafeRevision))
	waitFor(t, a, "a to see the status", func(v *cluster.View, _ dcs.Health) bool {
		return v.Status.Optime == 44 && v.History.Timeline() == 1 && v.Failsafe["b"] != ""
	})
	expect(t, "b releases", true)(b.ReleaseLeader(ctxFor(t), nil))
	waitFor(t, a, "a to see no leader", leads(""))
	expect(t, "a acquires, having judged no failsafe key", false)(a.AcquireLeader(ctxFor(t), 0))
	expect(t, "a acquires, having judged this one", true)(a.AcquireLeader(ctxFor(t), at(t, a).FailsafeRevision))
}

func TestRestartedAgentTakesItsLockOver(t *testing.T) {
	e := testetcd.Start(t)
	before := join(t, e.Addresses(), "a")
	lead(t, before, longTTL)
	old := before.Lease().ID
	before.Close()

	after := join(t, e.Addresses(), "a")
	lease, holds := renew(t, after, longTTL, true)
	if !holds || lease.ID == old {
		t.Fatalf("holds %v on lease %x, before %x", holds, lease.ID, old)
	}
	v, err := after.Refresh(ctxFor(t))
	if err != nil || v.Leader.Lease != lease.ID {
		t.Errorf("leader key %+v, %v, want lease %x", v.Leader, err, lease.ID)
	}
	// The same by way of a race for the lock.
	third := join(t, e.Addresses(), "a")
	renew(t, third, longTTL, false)
	expect(t, "acquire a key of an earlier self", true)(third.AcquireLeader(ctxFor(t), 0))
	if v, _ := third.Latest(); v.Leader.Lease != third.Lease().ID {
		t.Errorf("leader key %+v, want lease %x", v.Leader, third.Lease().ID)
	}
}

func TestLockThatWasTakenAwayIsNotProven(t *testing.T) {
	e := testetcd.Start(t)
	a, cli := join(t, e.Addresses(), "a"), raw(t, e)
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"overwritten", func() error { _, err := cli.Put(ctxFor(t), "/service/batman/leader", "x"); return err }},
		{"deleted", func() error { _, err := cli.Delete(ctxFor(t), "/service/batman/leader"); return err }},
	} {
		lead(t, a, longTTL)
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		_, holds := renew(t, a, longTTL, true)
		expect(t, c.name, false)(holds, nil)
		if _, err := cli.Delete(ctxFor(t), "/service/batman/leader"); err != nil {
			t.Fatal(err)
		}
		waitFor(t, a, "no leader", leads(""))
	}
}

func TestExpiredLeaseTakesTheKeysWithIt(t *testing.T) {
	e := testetcd.Start(t)
	a, b := join(t, e.Addresses(), "a"), join(t, e.Addresses(), "b")
	const short = 4 * time.Second // enough for all that has to be seen before it ends
	lead(t, a, short)
	if err := a.PutMember(ctxFor(t), cluster.Member{Name: "a", State: cluster.StateRunning}); err != nil {
		t.Fatal(err)
	}
	waitFor(t, b, "a's keys", func(v *cluster.View, _ dcs.Health) bool { return v.Locked() && len(v.Members) == 1 })
	v := waitFor(t, b, "a's lock to expire", leads(""))
	if len(v.Members) != 0 {
		t.Errorf("the lock and the member key went at different times: %+v", v.Members)
	}
	lost := a.Lease()
	lease, holds := renew(t, a, short, true)
	if holds || lease.ID == lost.ID || lease.ID == 0 {
		t.Errorf("after the loss: holds %v, lease %x, before %x", holds, lease.ID, lost.ID)
	}
	waitFor(t, b, "a's member key on its new lease", func(v *cluster.View, _ dcs.Health) bool {
		m, ok := v.Member("a")
		return ok && m.Lease == lease.ID
	})
}

func TestLeaseCountsFromBeforeItWasSent(t *testing.T) {
	e := testetcd.Start(t)
	s := join(t, e.Addresses(), "a")
	var clk clock.System
	for i := range 3 { // the first grants, the others renew
		before := clk.Now()
		lease, _ := renew(t, s, longTTL, false)
		// The answer takes longer than this test gives between asking and sending.
		if sent := lease.Expires.Add(-longTTL); sent.Before(before) || sent.After(clk.Now()) {
			t.Errorf("renewal %d: counts from %v, asked at %v", i, sent, before)
		}
	}
	e.Pause(0)
	done := make(chan dcs.Lease)
	asked := clk.Now()
	go func() {
		lease, _, err := s.Renew(context.Background(), longTTL, false)
		if err != nil {
			t.Errorf("renew: %v", err)
		}
		done <- lease
	}()
	// The request has been sent, and waits in the frozen member, after this time at the latest. There is no
	// event for that; if it were too short the test would only prove less.
	time.Sleep(300 * time.Millisecond)
	resumed := clk.Now()
	e.Resume(0)
	if lease := <-done; lease.Expires.After(resumed.Add(longTTL)) || lease.Expires.Before(asked.Add(longTTL)) {
		t.Errorf("lease counts from %v after it was asked for, but it was sent before %v",
			lease.Expires.Add(-longTTL).Sub(asked), resumed.Sub(asked))
	}
}

func TestNewTTLIsANewLeaseWithAllKeysOnIt(t *testing.T) {
	e := testetcd.Start(t)
	a := join(t, e.Addresses(), "a")
	lead(t, a, longTTL)
	if err := a.PutMember(ctxFor(t), cluster.Member{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	old := a.Lease().ID
	lease, holds := renew(t, a, longTTL+time.Second, true)
	v, err := a.Refresh(ctxFor(t))
	if err != nil {
		t.Fatal(err)
	}
	if !holds || lease.ID == old || v.Leader.Lease != lease.ID || v.Members[0].Lease != lease.ID || lease.TTL != longTTL+time.Second {
		t.Errorf("holds %v, lease %+v (before %x), leader on %x, member on %x", holds, lease, old, v.Leader.Lease, v.Members[0].Lease)
	}
}

// TestForsakenLease: a lease that somebody else is ending is not used any more, also where a renewal of it is under
// way, and the keys are moved to another one before it ends.
func TestForsakenLease(t *testing.T) {
	e := testetcd.Start(t)
	a := join(t, e.Addresses(), "a")
	lead(t, a, longTTL)
	if err := a.PutMember(ctxFor(t), cluster.Member{Name: "a"}); err != nil {
		t.Fatal(err)
	}
	old := a.Lease().ID
	e.Pause(0)
	done := make(chan error)
	go func() {
		_, _, err := a.Renew(context.Background(), longTTL, true)
		done <- err
	}()
	// The request waits in the frozen member after this time at the latest. There is no event for that; if it were
	// too short the test would only prove less.
	time.Sleep(300 * time.Millisecond)
	a.Forsake(old)
	e.Resume(0)
	if err := <-done; err == nil || a.Lease().ID == old {
		t.Errorf("%v, lease %x: the renewal that was under way has brought it back", err, a.Lease().ID)
	}
	lease, holds := renew(t, a, longTTL, true)
	if !holds || lease.ID == old {
		t.Errorf("holds %v, lease %x, forsaken %x", holds, lease.ID, old)
	}
	if err := open(t, e.Addresses()...).RevokeLease(ctxFor(t), old); err != nil {
		t.Fatal(err)
	}
	if v := at(t, a); v.Leader.Lease != lease.ID || len(v.Members) != 1 || v.Members[0].Lease != lease.ID {
		t.Errorf("after the end of the forsaken lease: leader %+v, members %+v", v.Leader, v.Members)
	}
}

// at gives the view as it is now.
func at(t *testing.T, s *etcd.Session) *cluster.View {
	t.Helper()
	v, err := s.Refresh(ctxFor(t))
	if err != nil {
		t.Fatal(err)
	}
	return v
}
