package sim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// store is one agent's session with the simulated etcd; it implements dcs.Store as package dcs/etcd does:
// attempts within a budget, a watched copy, what is read back after an answer that never came.
type store struct {
	w      *world
	n      *node
	p      *process
	budget time.Duration
	busy   bool // a renewal is under way
	// holding: the next write of /sync stays on its way to etcd; see arriveLate.
	holding bool

	mirror   mirror
	lease    dcs.Lease
	forsaken int64
	member   *cluster.Member
	calls    clock.Instant // since when requests fail
	watching clock.Instant // since when the watch is broken
	lastSeen time.Time

	behind  bool          // an event was lost
	etcd    int           // the id of the etcd that the copy is of
	arrives time.Duration // of the last event: they come in order
}

func newStore(n *node, p *process) *store {
	s := &store{w: n.w, n: n, p: p, budget: cluster.DefaultSettings().RetryTimeout, behind: true, mirror: mirror{bare: &n.w.bare, decoder: &n.w.decoder}}
	s.watch()
	return s
}

var _ dcs.Store = (*store)(nil)

// answer is what etcd says to one request.
type answer struct {
	ok      bool
	rev     int64
	current *dcs.KV // the key that was asked about, if the compares failed
	guard   *dcs.KV
	id      int64
	kvs     []dcs.KV
	err     error // a refusal
	sent    clock.Instant
	earlier bool // an attempt before had no answer
}

// errLease is etcd's answer to who writes on a lease that is gone.
var errLease = fmt.Errorf("requested lease not found: %w", dcs.ErrRefused)

var (
	errTimeout = errors.New("no answer in time")
	errDown    = errors.New("connection refused")
)

// call sends a request until it is answered, or until the budget is spent.
func (s *store) call(ctx context.Context, what string, request func(*etcd) answer) (answer, error) {
	kind, cause := dcs.ErrNotSent, errDown
	share := max(s.budget/10, 250*time.Millisecond)
	pause := 50 * time.Millisecond
	for end := s.w.now + s.budget; s.w.now < end; {
		sent := s.n.clock.Now()
		a, got, maybe := s.try(min(share, end-s.w.now), request)
		if got {
			s.behind = s.behind || s.mirror.known && s.etcd != s.w.etcd.id
			a.sent, a.earlier = sent, kind == dcs.ErrMaybe
			s.answered()
			if a.err != nil {
				return a, fmt.Errorf("%s: %w", what, a.err)
			}
			return a, nil
		}
		if maybe {
			kind, cause = dcs.ErrMaybe, errTimeout
		} else {
			s.w.sleep(min(pause, max(0, end-s.w.now)))
			pause = min(2*pause, time.Second)
		}
		if ctx.Err() != nil {
			return answer{}, fmt.Errorf("%s: %w: %w", what, kind, ctx.Err())
		}
		share *= 2
	}
	s.failed(&s.calls)
	return answer{}, fmt.Errorf("%s: %w: %w", what, kind, cause)
}

// try makes one attempt. What becomes of the request does not depend on who waits for the answer.
func (s *store) try(limit time.Duration, request func(*etcd) answer) (a answer, got, maybe bool) {
	there, arrives := s.w.net.carry(s.n.number, s.w.etcdHost())
	if arrives && !s.w.etcd.up && s.w.chance(50) {
		s.w.sleep(there)
		return answer{}, false, false
	}
	wait, id := s.w.newWaiter(), s.w.etcd.id
	if arrives {
		s.w.after(there, func() {
			if !s.w.etcd.up || s.w.etcd.id != id { // the connection has ended with that etcd
				return
			}
			reply := request(s.w.etcd)
			if back, ok := s.w.net.carry(s.w.etcdHost(), s.n.number); ok {
				s.w.after(back+s.w.between(500*time.Microsecond, 5*time.Millisecond), func() {
					if !wait.fired {
						a, got = reply, true
						wait.fire()
					}
				})
			}
		})
	}
	wait.limit(limit)
	wait.wait()
	return a, got, !got
}

// write is a conditional write, or only a comparison if it changes nothing.
type write struct {
	what   string
	key    string
	guard  string
	holds  func(*etcd) bool
	change func(*etcd) error
	done   func(*dcs.KV) bool // an attempt without an answer was the one; see package dcs/etcd
	own    []dcs.KV           // what it puts
	gone   []string           // what it deletes
}

func (s *store) write(ctx context.Context, w write) (answer, error) {
	s.mirror.expect(w.own, w.gone, true)
	request := func(e *etcd) answer {
		if !w.holds(e) {
			a := answer{rev: e.rev, current: e.get(w.key)}
			if w.guard != "" {
				a.guard = e.get(w.guard)
			}
			return a
		}
		if w.change != nil {
			if err := w.change(e); err != nil {
				return answer{err: err}
			}
		}
		return answer{ok: true, rev: e.rev}
	}
	if s.holding && w.key == dcs.KeySync {
		s.holdBack(request)
	}
	a, err := s.call(ctx, w.what, request)
	s.mirror.expect(w.own, w.gone, false)
	if err != nil {
		if errors.Is(err, errLease) {
			s.lease = dcs.Lease{}
		}
		return a, err
	}
	if a.ok && w.change != nil {
		s.learnOwn(w, a.rev)
		return a, nil
	}
	if !a.ok {
		s.learnRead(w.key, a.current, a.rev)
		if w.guard != "" {
			s.learnRead(w.guard, a.guard, a.rev)
		}
		a.ok = a.earlier && w.done != nil && w.done(a.current)
	}
	return a, nil
}

func (s *store) learnOwn(w write, rev int64) {
	for _, kv := range w.own {
		kv.ModRevision, kv.CreateRevision = rev, rev
		if old, ok := s.mirror.get(kv.Key); ok {
			kv.CreateRevision = old.CreateRevision
		}
		s.mirror.learn(kv, false)
	}
	for _, key := range w.gone {
		s.mirror.learn(dcs.KV{Key: key, ModRevision: rev}, true)
	}
}

func (s *store) learnRead(key string, current *dcs.KV, rev int64) {
	news := false
	if current != nil {
		news = s.mirror.learn(*current, false)
	} else if _, there := s.mirror.get(key); there {
		news = s.mirror.learn(dcs.KV{Key: key, ModRevision: rev}, true)
	}
	if news {
		s.n.wake()
	}
}

// failed begins a row of failures.
func (s *store) failed(since *clock.Instant) {
	if *since == 0 {
		*since = s.n.clock.Now()
		s.n.wake()
	}
}

func (s *store) recovered(since *clock.Instant) {
	if *since != 0 {
		*since = 0
		s.n.wake()
	}
}

func (s *store) answered() {
	s.lastSeen = s.n.clock.Wall()
	s.recovered(&s.calls)
}

// Latest implements dcs.Store.
func (s *store) Latest() (*cluster.View, dcs.Health) {
	h := dcs.Health{FailingSince: s.calls, LastSeen: s.lastSeen}
	if h.FailingSince == 0 || s.watching != 0 && s.watching < h.FailingSince {
		h.FailingSince = s.watching
	}
	if h.FailingSince != 0 {
		h.LastError = errTimeout
	}
	return s.mirror.view(), h
}

// Refresh implements dcs.Store.
func (s *store) Refresh(ctx context.Context) (*cluster.View, error) {
	began := s.mirror.count
	a, err := s.call(ctx, "read the cluster", func(e *etcd) answer { return answer{rev: e.rev, kvs: copyKeys(e.kvs), id: int64(e.id)} })
	if err != nil {
		return nil, err
	}
	s.is(int(a.id))
	if s.mirror.install(a.rev, a.kvs, began) {
		s.n.wake()
	}
	return s.mirror.view(), nil
}

// Changed implements dcs.Store. The simulation wakes the loop itself.
func (s *store) Changed() <-chan struct{} { return nil }

// Lease implements dcs.Store.
func (s *store) Lease() dcs.Lease { return s.lease }

// Forsake implements dcs.Store.
func (s *store) Forsake(id int64) {
	s.forsaken = id
	if s.lease.ID == id {
		s.lease = dcs.Lease{}
	}
}

// SetTimeouts implements dcs.Store.
func (s *store) SetTimeouts(retry time.Duration) { s.budget = retry }

// Close implements dcs.Store.
func (s *store) Close() error { return nil }
