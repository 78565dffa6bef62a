package etcd

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Members of etcd change rarely; that often they are asked for.
const (
	discoverEvery  = 10 * time.Minute
	discoverBudget = time.Second
)

// Lease implements dcs.Store.
func (s *Session) Lease() dcs.Lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lease
}

// Renew implements dcs.Store. It is two requests for a leader and one for any other member, all under one
// deadline. It first renews and then looks at the leader key: seen after the renewal, the key hung on a
// lease that lives at least until Lease.Expires.
func (s *Session) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	select {
	case s.renewing <- struct{}{}:
		defer func() { <-s.renewing }()
	case <-ctx.Done():
		return s.Lease(), false, fmt.Errorf("wait for another renewal: %w: %w", dcs.ErrNotSent, ctx.Err())
	}
	if err := s.renewLease(ctx, ttl); err != nil {
		return s.Lease(), false, err
	}
	holds := false
	if lead {
		var err error
		if holds, err = s.claim(ctx); err != nil {
			return s.Lease(), false, err
		}
	}
	s.followLease(ctx)
	s.discoverSometimes(ctx)
	return s.Lease(), holds, nil
}

func (s *Session) renewLease(ctx context.Context, ttl time.Duration) error {
	l := s.Lease()
	if l.ID != 0 && l.TTL == ttl {
		lives, err := s.keepAlive(ctx, l)
		if lives || err != nil {
			return err
		}
		s.log.Warn("lease was lost", "lease", fmt.Sprintf("%x", l.ID))
		s.forget(l.ID)
	}
	return s.grant(ctx, ttl)
}

// keepAlive renews the lease once; false without an error means that etcd no longer has it. The moment that
// the lease counts from is taken before the attempt that was answered. (etcd before 3.6 lets a member that
// still takes itself for the leader confirm a renewal; that is one more reason why a leader's renewal is
// followed by a transaction, which such a member can't answer.)
func (s *Session) keepAlive(ctx context.Context, l dcs.Lease) (bool, error) {
	var resp *pb.LeaseKeepAliveResponse
	var sent clock.Instant
	what := fmt.Sprintf("renew lease %x", l.ID)
	err := s.client.call(ctx, s.limits(), what, func(ctx context.Context, a *attempt) (err error) {
		sent = s.clock.Now()
		resp, err = s.client.keepAliveOnce(ctx, a, l.ID)
		return err
	})
	if isLeaseLost(err) {
		return false, nil
	}
	if err != nil {
		s.failed(ctx, err)
		return false, err
	}
	s.answered(resp.Header, 0)
	if resp.TTL <= 0 {
		return false, nil
	}
	s.setLease(dcs.NewLease(l.ID, l.TTL, sent))
	return true, nil
}

func (c *Client) keepAliveOnce(ctx context.Context, a *attempt, id int64) (*pb.LeaseKeepAliveResponse, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream; one request is all it is for
	stream, err := c.lease.LeaseKeepAlive(ctx, a.wait)
	if err != nil {
		return nil, err
	}
	a.sent = true
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: id}); err != nil {
		return nil, rpctypes.Error(err)
	}
	return stream.Recv()
}

// grant takes a new lease. etcd counts whole seconds, and may grant more than was asked for but never
// less, so our own count from before the request is the shorter one.
func (s *Session) grant(ctx context.Context, ttl time.Duration) error {
	var resp *pb.LeaseGrantResponse
	var sent clock.Instant
	req := &pb.LeaseGrantRequest{TTL: int64((ttl + time.Second - 1) / time.Second)}
	what := fmt.Sprintf("grant a lease of %v", ttl)
	err := s.client.call(ctx, s.limits(), what, func(ctx context.Context, a *attempt) (err error) {
		sent = s.clock.Now()
		resp, err = s.client.lease.LeaseGrant(ctx, req, a.unary()...)
		return err
	})
	if err != nil {
		s.failed(ctx, err)
		return err
	}
	s.answered(resp.Header, 0)
	s.setLease(dcs.NewLease(resp.ID, ttl, sent))
	return nil
}

// setLease takes down a lease, unless it was forsaken while it was renewed.
func (s *Session) setLease(l dcs.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.ID != s.forsaken {
		s.lease = l
	}
}

// Forsake implements dcs.Store.
func (s *Session) Forsake(id int64) {
	s.mu.Lock()
	s.forsaken = id
	s.mu.Unlock()
	s.forget(id)
}

// forget drops the lease if it is still the one that was found to be lost.
func (s *Session) forget(id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease.ID == id {
		s.lease = dcs.Lease{}
	}
}

// followLease puts our member key again if it hangs on another lease than ours or is gone. That the
// renewal worked does not depend on it; the next one tries again.
func (s *Session) followLease(ctx context.Context) {
	s.mu.Lock()
	member, known := s.member, s.view != nil
	s.mu.Unlock()
	if member == nil || !known {
		return
	}
	if err := s.putMember(ctx, *member); err != nil {
		s.log.Warn("could not write the member key on the lease", "error", err)
	}
}

// discoverSometimes looks for new members of etcd while all is well, so that their replacement one by one
// does not leave us with endpoints of which none is left. It may fail.
func (s *Session) discoverSometimes(ctx context.Context) {
	if now := s.clock.Now(); s.discovered.IsZero() || now.Sub(s.discovered) >= discoverEvery {
		s.discovered = now
		if err := s.client.discover(ctx, limits{budget: discoverBudget}); err != nil {
			s.log.Debug("could not ask for the members of etcd", "error", err)
		}
	}
}
