package agent

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// swapping is a store whose keeper gets a shorter lease while the leader key is being taken.
type swapping struct {
	view
	lease *dcs.Lease
	after dcs.Lease
}

func (s swapping) Lease() dcs.Lease { return *s.lease }

func (s swapping) AcquireLeader(context.Context, int64) (bool, error) {
	*s.lease = s.after
	return true, nil
}

// TestShorterLeaseThanBefore: an agent that has just begun moves the leader key to a lease with a smaller ttl. From before that
// its guard, which counts to what the agent before has proven, must not count to more. Found by the simulator.
func TestShorterLeaseThanBefore(t *testing.T) {
	a, c := receiver(t)
	now, guard := c.Now(), &extended{}
	a.o.Guard, a.counted = guard, now.Add(50*time.Second)
	a.capProof(60 * time.Second)
	if guard.until != 0 {
		t.Errorf("with a ttl that is no smaller the guard counts until %s after now", guard.until.Sub(now))
	}
	a.capProof(30 * time.Second)
	if want := now.Add(30 * time.Second); guard.until != want {
		t.Errorf("the guard counts until %s after now, want %s", guard.until.Sub(now), want.Sub(now))
	}
	guard.until = 0
	a.setProof(proof{until: now.Add(20 * time.Second), lease: 1, life: 30 * time.Second})
	a.setProof(proof{})
	a.capProof(25 * time.Second)
	if guard.until != 0 {
		t.Errorf("what the agent before had proven counts after a proof of its own")
	}
	a.capProof(10 * time.Second) // the server may still write, and the renewal prove that the key is there again
	if want := now.Add(10 * time.Second); guard.until != want {
		t.Errorf("after a proof that is over the guard counts until %s after now, want %s", guard.until.Sub(now), want.Sub(now))
	}
}

// TestShorterLeaseMeanwhile: with a smaller ttl there are two leases for a while, and the key hangs on either. The one
// that ends first counts, from before the key can be moved to it. Found by the simulator.
func TestShorterLeaseMeanwhile(t *testing.T) {
	a, c := receiver(t)
	now := c.Now()
	long, short := dcs.NewLease(1, 30*time.Second, now), dcs.NewLease(2, 15*time.Second, now)
	o := ha.Observation{Now: now, Store: ha.Store{View: &cluster.View{}, LeaseExpires: long.Expires}}

	guard := &extended{}
	a.o.Store, a.o.Guard = swapping{view{v: &cluster.View{}}, &long, short}, guard
	a.acquire(t.Context(), o)
	if a.lockProven() != short.Expires {
		t.Errorf("proven until %s after now, want %s", a.lockProven().Sub(now), short.Expires.Sub(now))
	}
	if guard.until != short.Expires { // a primary that takes the lock again is armed by the time when it had it before
		t.Errorf("the guard of who has taken the lock counts to %s after now, want %s", guard.until.Sub(now), short.Expires.Sub(now))
	}

	a.setProof(proof{until: now.Add(30 * time.Second), lease: 1, life: 30 * time.Second})
	a.capProof(15 * time.Second) // the store has the short lease already
	if want := now.Add(15 * time.Second); a.lockProven() != want || guard.until != want {
		t.Errorf("before the key moves: proven until %s after now, guard %s", a.lockProven().Sub(now), guard.until.Sub(now))
	}
}

// TestShorterLeaseOvertakes: a renewal with a smaller ttl begins, and gets no answer, while another request is under way that
// proves the key on the lease before. The key may hang on the shorter lease by then. Found by the simulator.
func TestShorterLeaseOvertakes(t *testing.T) {
	a, s, g, clk := keeping(t)
	smaller := a.settings
	smaller.TTL = 20 * time.Second
	clk.Advance(2 * time.Second)
	want := clk.Now().Add(smaller.TTL)
	overtakes := func() {
		s.during = nil
		answered := s.err
		s.err = errors.New("lost")
		_ = a.renew(t.Context(), smaller)
		s.err = answered
		s.lease = dcs.NewLease(7, 30*time.Second, clk.Now())
	}
	s.during = overtakes
	_ = a.renew(t.Context(), a.settings)
	if a.lockProven() != want || g.until != want {
		t.Errorf("after a renewal: proven until %s after the other began, guard %s; want the other's 20s", a.lockProven().Sub(want.Add(-smaller.TTL)), g.until.Sub(want.Add(-smaller.TTL)))
	}

	a.setProof(proof{})
	a.o.Store = overtaken{s, overtakes}
	a.acquire(t.Context(), ha.Observation{Now: clk.Now(), Store: ha.Store{View: &cluster.View{}, LeaseExpires: s.lease.Expires}})
	if a.lockProven() != want || g.until != want {
		t.Errorf("after a race: proven until %s after the other began, guard %s; want the other's 20s", a.lockProven().Sub(want.Add(-smaller.TTL)), g.until.Sub(want.Add(-smaller.TTL)))
	}

	_ = a.renew(t.Context(), a.settings) // which sees in etcd where the key is
	if a.lockProven() != s.lease.Expires {
		t.Errorf("proven until %s before the end of the lease by a renewal that was alone", s.lease.Expires.Sub(a.lockProven()))
	}
}

// overtaken is a store in which something happens while the leader key is being taken.
type overtaken struct {
	*leaseStore
	overtakes func()
}

func (s overtaken) AcquireLeader(context.Context, int64) (bool, error) {
	s.overtakes()
	return true, nil
}

// TestReleaseMeanwhile: the key is released, and no answer to that arrives, while a request is under way that has seen it as ours
// before. The server may be started again beside the next primary if that one's answer proves anything.
func TestReleaseMeanwhile(t *testing.T) {
	a, h, _ := handing(t)
	release := func() { _ = a.releaseAt(t.Context(), 1000) }
	h.during = release
	_ = a.renew(t.Context(), a.settings)
	if len(h.released) != 1 || a.lockProven() != 0 {
		t.Errorf("after a renewal: released %d times, proven until %d", len(h.released), a.lockProven())
	}

	h.during = nil
	a.o.Store = released{h, release}
	a.acquire(t.Context(), ha.Observation{Now: a.o.Clock.Now(), Store: ha.Store{View: &cluster.View{}, LeaseExpires: h.lease.Expires}})
	if len(h.released) != 2 || a.lockProven() != 0 {
		t.Errorf("after a race: released %d times, proven until %d", len(h.released), a.lockProven())
	}
	a.o.Store = h
	if _ = a.renew(t.Context(), a.settings); a.lockProven() != h.lease.Expires {
		t.Errorf("a renewal that began after it proves until %d, want %d", a.lockProven(), h.lease.Expires)
	}
}

// released is a store in which the leader key is released while it is being taken.
type released struct {
	*hanging
	release func()
}

func (s released) AcquireLeader(context.Context, int64) (bool, error) {
	s.release()
	return true, nil
}
