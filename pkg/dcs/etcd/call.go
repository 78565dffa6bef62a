package etcd

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// limits bound one logical operation.
type limits struct {
	// budget is the hard limit over all attempts, on top of the context's own.
	budget time.Duration
	// patient: while no endpoint can be connected to, wait for one. Otherwise the operation fails at once,
	// which is what a person at a terminal wants.
	patient bool
}

// attempt is one try of a request at one endpoint.
type attempt struct {
	wait grpc.CallOption
	peer peer.Peer
	sent bool // set by requests that are streams
	// retried: an attempt before this one got no answer and may have been applied.
	retried bool
}

// unary gives the options for a request that is no stream. Source: google.golang.org/grpc: the peer is
// set as soon as the request was given to a connection, so without one it was never sent.
func (a *attempt) unary() []grpc.CallOption {
	return []grpc.CallOption{a.wait, grpc.Peer(&a.peer)}
}

func (a *attempt) wasSent() bool { return a.sent || a.peer.Addr != nil }

// request makes one attempt.
type request func(ctx context.Context, a *attempt) error

// The pauses between attempts, when etcd has answered that it can't serve now: it does not tell when it
// can (an election is under way).
const (
	firstPause = 50 * time.Millisecond
	lastPause  = 500 * time.Millisecond
	maxLogins  = 3
)

// The first attempt gets this share of the budget, and each one after it twice as long: a frozen endpoint
// costs little, for the connection takes endpoints in turn, and an etcd that is only slow is waited for.
const (
	firstShare    = 10
	shortestShare = 250 * time.Millisecond
)

// call makes attempts until one succeeds, until etcd refuses, or until the budget is used up. The error is
// a *callError.
func (c *Client) call(ctx context.Context, l limits, what string, once request) error {
	ctx, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	begin := time.Now()
	share := max(l.budget/firstShare, shortestShare)
	retried, pause, logins := false, firstPause, 0
	for {
		a := &attempt{wait: grpc.WaitForReady(l.patient), retried: retried}
		err := c.try(ctx, share, a, once)
		if err == nil {
			return nil
		}
		kind := classify(err, a.wasSent())
		if user, _ := c.login.user(); kind == dcs.ErrRefused && user != "" && tokenRefused(err) && logins < maxLogins {
			c.login.forget()
			logins++
			continue
		}
		retried = retried || kind == dcs.ErrMaybe
		if final(ctx, l, kind, err) || !rest(ctx, err, &pause) {
			if retried {
				kind = dcs.ErrMaybe
			}
			return &callError{what: what, endpoints: c.Endpoints(), kind: kind, cause: err, spent: time.Since(begin)}
		}
		share *= 2
	}
}

// final reports whether another attempt makes no sense.
func final(ctx context.Context, l limits, kind, err error) bool {
	if ctx.Err() != nil || kind == dcs.ErrRefused || errors.Is(err, ErrAuthentication) {
		return true
	}
	return kind == dcs.ErrNotSent && !l.patient && !tookTooLong(err)
}

// tookTooLong reports whether the attempt ended by its share of time.
func tookTooLong(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || code(err) == codes.DeadlineExceeded
}

func (c *Client) try(ctx context.Context, share time.Duration, a *attempt, once request) error {
	ctx, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	if c.login.needed() {
		login := &attempt{wait: a.wait}
		if err := c.login.renew(ctx, c.auth, login); err != nil {
			// The request itself was not sent; whether etcd refused the login is told by its code.
			a.sent = login.wasSent() && classify(err, true) == dcs.ErrRefused
			return err
		}
	}
	return rpctypes.Error(once(ctx, a))
}

// rest waits before the next attempt, unless the last one ended by time, which was a wait already. It
// reports whether there is time left.
func rest(ctx context.Context, err error, pause *time.Duration) bool {
	if tookTooLong(err) {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	*pause = min(2**pause, lastPause)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
