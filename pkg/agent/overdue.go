package agent

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A renewal that hangs. The store tells that etcd is lost when a call has failed, which takes a retry_timeout, and
// takes that back with every answer. With a line that loses messages this is possible:
//
//  1. the lease is renewed, and etcd's answer arrives: all is well;
//  2. what asks for the leader key after that is lost, again and again, until the budget of the call is spent;
//  3. etcd is lost, for a moment; then the next renewal begins, and 1 is there again.
//
// The proof of the lock ends in the middle of 2, and nobody has judged by then. So a primary takes etcd for lost,
// too, while a renewal is under way and half of its proof's life is over; and if etcd refuses renewals, say because its
// password was changed: each ends at once then, and none proves anything.

// renewals are the renewals that are under way, and those that etcd has refused since one was last answered well.
type renewals struct {
	count   int
	since   clock.Instant // when the first of them began
	refused clock.Instant // the first; zero: none
	refusal error         // the last
}

// renewing notes that a renewal begins. The caller defers the result.
func (a *Agent) renewing() (done func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.renewals.count == 0 {
		a.renewals.since = a.o.Clock.Now()
	}
	a.renewals.count++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.renewals.count--
	}
}

// patience is how long a renewal may take before anything is concluded from it: one has just begun when a frozen
// agent goes on.
func (a *Agent) patience() time.Duration { return a.ttl.RetryTimeout / 4 }

// noteRefused takes down that etcd has refused a renewal.
func (a *Agent) noteRefused(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.renewals.refusal = err
	if a.renewals.refused == 0 {
		a.renewals.refused = a.o.Clock.Now()
	}
}

// failingSince gives since when etcd has to be taken for lost; zero while it has not.
func (a *Agent) failingSince(h dcs.Health, now clock.Instant) clock.Instant {
	a.mu.Lock()
	defer a.mu.Unlock()
	began := a.renewals.refused
	switch {
	case h.FailingSince != 0 || a.proof.until == 0:
		return h.FailingSince
	case began == 0 && a.renewals.count == 0:
		return 0
	case began == 0:
		began = a.renewals.since.Add(a.patience())
	}
	if at := max(a.halfTime(), began); !now.Before(at) {
		return at
	}
	return 0
}

// halfTime is when half of the life of the proof is over; a.mu is held.
func (a *Agent) halfTime() clock.Instant { return a.proof.until.Add(-a.proof.life / 2) }

// watchRenewals gives when the loop has to look whether a renewal hangs; zero: it need not. While all is well the
// keeper moves that on before it comes.
func (a *Agent) watchRenewals(now clock.Instant) clock.Instant {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := a.proof.until.Add(-a.proof.life / 4) // the last moment to act, see ha.stopBy
	if a.renewals.count > 0 {
		at = max(a.halfTime(), a.renewals.since.Add(a.patience()))
	}
	switch {
	case !now.Before(a.proof.until): // or there is none
		return 0
	case now.Before(at):
		return at
	}
	return now.Add(a.patience()) // no event tells that something hangs
}
