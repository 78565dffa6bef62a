package agent

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// proof is until when the leader key is proven to be ours, and on which lease. Source: design.md, "etcd".
//
// A guard is armed on the lease of the proof, not on the one that the store has by now. Otherwise: the guard
// stops the server and gives the lease up; the store finds that it has none; the key is still ours in an old
// view, and the proof is not over; the guard knows nothing of a lease zero, and the server starts as a primary
// beside the next one.
type proof struct {
	until clock.Instant
	lease int64
	life  time.Duration // how far until was ahead when the proof was asked for
	// founds: what is proven is that /initialize is ours, see act_found.go.
	founds bool
}

// proofOf is what a lease proves after the leader key was seen to be ours.
func proofOf(l dcs.Lease) proof { return proof{until: l.Expires, lease: l.ID, life: l.TTL} }

// proven gives the proof: end and lease belong together.
func (a *Agent) proven() proof {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.proof
}

// lockProven gives until when the leader key is proven to be ours; zero if it is not.
func (a *Agent) lockProven() clock.Instant { return a.proven().until }

// fencedUntil is the same, and while nothing is proven what was, perhaps by the agent before this one, unless the view says that
// it does not count any more.
func (a *Agent) fencedUntil(view *cluster.View) clock.Instant {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.proof.until == 0 && (view == nil || view.Leader.Name == a.o.Name) {
		return a.counted
	}
	return a.proof.until
}

func (a *Agent) setProof(p proof) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.takeDown(p)
	if p.until == 0 {
		a.requests.taken++
	}
}

// takeDown believes in a proof; a.mu is held.
func (a *Agent) takeDown(p proof) {
	switch {
	case p.until != 0:
		a.counted = 0
	case a.proof.until != 0:
		a.counted = a.proof.until
	}
	a.proof = p
}

// A renewal with a smaller ttl moves the leader key to a lease that ends sooner, and its answer may be lost. So from before
// it is sent, nothing may be believed for longer than that lease can live: not what is proven by then (capProof), and not
// what another request proves that was under way (bounded), which can be answered before the key moves and be heard of after.

// requests are what is under way of all that proves the leader key: renewals and races for it.
type requests struct {
	count  int
	bounds []*bound // of the renewals that began since count was zero
	// taken counts how often the proof was taken away, say before the key is released. What was under way then may have seen
	// the key before that.
	taken int
}

// bound is how long the key may live on the lease that a renewal has asked for.
type bound struct {
	until clock.Instant
	life  time.Duration
}

// proving notes that something is under way that may prove the key. The caller defers done. What it finds counts only if
// requests.taken is the same by then.
func (a *Agent) proving() (done func(), taken int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests.count++
	taken = a.requests.taken
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.requests.count--; a.requests.count == 0 {
			a.requests.bounds = nil // who asks from now on sees in etcd what the others have done
		}
	}, taken
}

// bounded is a proof as long as all renewals permit that were under way beside the request that has brought it; own is that of
// the request itself, nil if it was none. a.mu is held.
func (a *Agent) bounded(p proof, own *bound) proof {
	for _, b := range a.requests.bounds {
		if b != own && b.life < p.life {
			p.until, p.life = min(p.until, b.until), b.life
		}
	}
	return p
}

// capProof bounds what is proven, and what others prove from now on, by a renewal that is about to be sent.
func (a *Agent) capProof(ttl time.Duration) *bound {
	b := &bound{until: a.o.Clock.Now().Add(ttl), life: ttl}
	a.mu.Lock()
	a.requests.bounds = append(a.requests.bounds, b)
	// Not the lease that there is tells how long the proof may be: it may be new, and the key not on it yet.
	shorter := ttl < a.proof.life && b.until < a.proof.until
	if shorter {
		a.proof.until, a.proof.life = b.until, ttl
	}
	counts := a.proof.until == 0 && b.until < a.counted
	if counts {
		a.counted = b.until
	}
	a.mu.Unlock()
	switch {
	case shorter:
		a.o.Guard.Extend(a.lockProven)
	case counts:
		a.o.Guard.Extend(func() clock.Instant { return b.until })
	}
	return b
}
