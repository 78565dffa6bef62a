package agent

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Keep renews the lease if that is due, proves the leader key if we hold it, and gives the instant at which
// to call it again. It runs beside the loop, so that no long turn delays a renewal; but it stops renewing
// when the loop has not ended a turn for so long that it must be stuck: a lease must not outlive the
// judgement of whoever holds it.
func (a *Agent) Keep(ctx context.Context) clock.Instant {
	now := a.o.Clock.Now()
	a.mu.Lock()
	settings, turned, kept := a.ttl, a.turned, a.keptAt
	a.mu.Unlock()

	if now.Sub(turned) > stuckAfter(settings) {
		return now.Add(settings.LoopWait / 4) // no event tells that a stuck loop goes on
	}
	if due := kept.Add(a.renewEvery(settings)); kept != 0 && now.Before(due) {
		return due
	}
	if err := a.renew(ctx, settings); err != nil {
		// The store has already spent its retry budget on it. One more second, so that an etcd that refuses at
		// once is not asked in a tight loop; nothing tells when it will answer again but asking.
		return a.o.Clock.Now().Add(min(time.Second, settings.RetryTimeout/4))
	}
	return a.o.Clock.Now().Add(a.renewEvery(settings))
}

// renewEvery: once per loop_wait as in Patroni, but never so seldom that two failed renewals in a row would
// lose the lease; which may still be one of the ttl before.
func (a *Agent) renewEvery(s cluster.Settings) time.Duration {
	ttl := s.TTL
	if lease := a.o.Store.Lease(); lease.ID != 0 {
		ttl = min(ttl, lease.TTL)
	}
	return min(s.LoopWait, ttl/3)
}

// stuckAfter: a turn waits for etcd at most a retry_timeout, for a query and for the peers a few seconds.
func stuckAfter(s cluster.Settings) time.Duration {
	return max(s.LoopWait+2*s.RetryTimeout, 10*time.Second)
}

// renew does one renewal and takes down what it proves.
func (a *Agent) renew(ctx context.Context, s cluster.Settings) error {
	view, _ := a.o.Store.Latest()
	lead := view != nil && view.Leader.Name == a.o.Name
	ttl := s.TTL
	if p := a.proven(); p.founds {
		ttl = p.life // another one would need another lease, and /initialize stays on this one
	}
	done, taken := a.proving()
	defer done()
	own := a.capProof(ttl)
	defer a.renewing()()
	lease, holds, err := a.o.Store.Renew(ctx, ttl, lead)
	if err != nil {
		a.failed("could not renew the lease", err)
		if errors.Is(err, dcs.ErrRefused) { // which comes at once; a loop that wakes itself by it would never rest
			a.noteRefused(err)
		} else {
			a.o.Wake()
		}
		return err
	}
	a.mu.Lock()
	refused := a.renewals.refused != 0
	a.renewals.refused, a.renewals.refusal = 0, nil
	a.keptAt = a.o.Clock.Now()
	before, proves := a.proof.until, lead || a.proof.founds
	switch {
	case a.proof.founds:
		a.takeDown(a.stillFounds(lease))
	case !lead:
		// Nothing was asked about the key, so nothing is proven that was not.
	case holds && lease.ID != a.givenUp && a.requests.taken == taken: // both may have changed since
		a.takeDown(a.bounded(proofOf(lease), own))
	default:
		p := a.proof
		p.until = 0
		a.takeDown(p)
	}
	until := a.proof.until
	a.mu.Unlock()
	if until != 0 && until != before {
		a.o.Guard.Extend(a.lockProven)
	}
	if proves != (until != 0) || before == 0 && until != 0 || refused {
		a.o.Wake()
	}
	return nil
}
