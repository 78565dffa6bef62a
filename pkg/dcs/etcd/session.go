package etcd

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// Session is the stake of one agent in one cluster; it implements dcs.Store. All methods are safe for
// concurrent use.
type Session struct {
	client     *Client
	base, name string
	clock      clock.Clock
	log        *slog.Logger

	changed chan struct{}
	budget  atomic.Int64 // time.Duration of one logical operation
	stop    context.CancelFunc
	stopped chan struct{}
	// renewing holds one token: renewals come one after the other, or two of them would each grant a lease.
	renewing chan struct{}
	// discovered is when the members of etcd were last asked for. Guarded by renewing.
	discovered clock.Instant

	mu       sync.Mutex
	mirror   mirror
	view     *cluster.View // of the mirror; nil before the first whole read
	lease    dcs.Lease
	forsaken int64           // the newest lease that somebody else is ending; zero: none
	member   *cluster.Member // as last put; nil if it is not to be there
	calls    trouble
	watching trouble
	lastSeen time.Time
	cluster  uint64 // id of the etcd that the mirror is of
	watch    watchState
}

var _ dcs.Store = (*Session)(nil)

// trouble is a row of failures; the zero value is none.
type trouble struct {
	since clock.Instant
	err   error
}

// NewSession begins to follow the cluster of a scope as the member of a name, until the context ends or
// Close is called. It returns at once; Changed receives when the first view is there. The client must
// outlive the session.
func NewSession(ctx context.Context, c *Client, scope, name string, clk clock.Clock, log *slog.Logger) *Session {
	ctx, stop := context.WithCancel(ctx)
	s := &Session{
		client: c, base: c.base(scope), name: name, clock: clk, log: log,
		changed: make(chan struct{}, 1), stop: stop, stopped: make(chan struct{}), renewing: make(chan struct{}, 1),
	}
	s.SetTimeouts(cluster.DefaultSettings().RetryTimeout)
	go func() {
		defer close(s.stopped)
		s.watchForever(ctx)
	}()
	return s
}

// Close ends the watch. The lease is left to expire and no key is touched: what becomes of them is the
// agent's decision. The client stays open.
func (s *Session) Close() error {
	s.stop()
	<-s.stopped
	return nil
}

// SetTimeouts sets the hard limit of each logical operation, from the next one on.
func (s *Session) SetTimeouts(retry time.Duration) { s.budget.Store(int64(retry)) }

func (s *Session) limits() limits {
	return limits{budget: time.Duration(s.budget.Load()), patient: true}
}

// within bounds an operation of several requests, each of which has the same limit for itself.
func (s *Session) within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, s.limits().budget)
}

func (s *Session) key(name string) string { return s.base + name }

// Changed implements dcs.Store.
func (s *Session) Changed() <-chan struct{} { return s.changed }

func (s *Session) notify() {
	select {
	case s.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// Latest implements dcs.Store. The revision of the view is the one up to which everything is in it; what
// this member wrote itself may be newer.
func (s *Session) Latest() (*cluster.View, dcs.Health) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := dcs.Health{FailingSince: s.calls.since, LastError: s.calls.err, LastSeen: s.lastSeen}
	if h.FailingSince.IsZero() || !s.watching.since.IsZero() && s.watching.since.Before(h.FailingSince) {
		h.FailingSince = s.watching.since
	}
	if h.LastError == nil {
		h.LastError = s.watching.err
	}
	return s.view, h
}

// Refresh implements dcs.Store.
func (s *Session) Refresh(ctx context.Context) (*cluster.View, error) {
	s.mu.Lock()
	began, floor := s.mirror.count, s.mirror.revision
	s.mu.Unlock()
	resp, err := s.client.rangeAll(ctx, s.limits(), "read "+s.base, s.base)
	if err != nil {
		s.failed(ctx, err)
		return nil, err
	}
	s.answered(resp.Header, floor)
	s.mu.Lock()
	defer s.mu.Unlock()
	// A read that was overtaken by the watch is older than the view there is.
	if s.view == nil || resp.Header.Revision >= s.mirror.revision || resp.Header.Revision < floor {
		s.mirror.install(resp.Header.Revision, relative(s.base, resp.Kvs), began)
		s.view = s.mirror.view()
		s.notify()
	}
	return s.view, nil
}

// write makes a conditional write and takes its outcome over into the view. learned are the keys it puts or
// deletes when it succeeds, without revisions.
func (s *Session) write(ctx context.Context, w write, learned ...entry) (outcome, error) {
	s.mu.Lock()
	floor := s.mirror.revision
	s.mirror.expect(learned)
	s.mu.Unlock()
	out, err := s.client.write(ctx, s.limits(), w)
	if err != nil {
		s.mu.Lock()
		s.mirror.settled(learned)
		s.mu.Unlock()
		s.failed(ctx, err)
		return out, err
	}
	s.mu.Lock()
	s.mirror.settled(learned)
	if out.ok && !out.earlier {
		for _, e := range learned {
			s.learnOwn(e, out.revision)
		}
	} else {
		news := s.learnRead(w.key, out.current, out.revision)
		if w.guard != "" && !out.ok {
			news = s.learnRead(w.guard, out.guard, out.revision) || news
		}
		if news {
			s.notify()
		}
	}
	s.mu.Unlock()
	s.answered(out.header, floor)
	return out, nil
}

// learnOwn puts what we wrote at a revision into the view. Nobody is woken by it.
func (s *Session) learnOwn(e entry, revision int64) {
	e.ModRevision, e.CreateRevision = revision, revision
	if before, ok := s.mirror.get(e.Key); ok {
		e.CreateRevision = before.CreateRevision
	}
	s.mirror.learn(e.KV, e.deleted)
	s.refreshView()
}

// learnRead takes over a key that was read back at a revision after a compare that did not hold; current
// is nil if it is absent. It reports whether that is a reason to wake the loop.
func (s *Session) learnRead(key string, current *mvccpb.KeyValue, revision int64) bool {
	name, news := key[len(s.base):], false
	if current != nil {
		news = s.mirror.learn(toKV(s.base, current), false)
	} else if _, there := s.mirror.get(name); there {
		news = s.mirror.learn(dcs.KV{Key: name, ModRevision: revision}, true)
	}
	s.refreshView()
	return news
}

// refreshView makes the view anew. Before the first whole read there is none: a view of some keys would
// look like a cluster without the others.
func (s *Session) refreshView() {
	if s.view != nil {
		s.view = s.mirror.view()
	}
}

// failed notes that a request failed. An answer that refuses is an answer; a caller that gave up says
// nothing about etcd.
func (s *Session) failed(ctx context.Context, err error) {
	if errors.Is(ctx.Err(), context.Canceled) || errors.Is(err, dcs.ErrRefused) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble(&s.calls, err)
}

// trouble adds a failure to a row of them and wakes the loop at the first.
func (s *Session) trouble(t *trouble, err error) {
	t.err = err
	if t.since.IsZero() {
		t.since = s.clock.Now()
		s.notify()
	}
}

func (s *Session) recovered(t *trouble) {
	if !t.since.IsZero() {
		*t = trouble{}
		s.notify()
	}
}

// answered notes an answer of etcd and what its header tells: whether the watch is behind, and whether
// this is still the etcd that the view is of. floor is the revision of the view before the request was
// sent; requests whose answer may come from a member that is behind give zero.
func (s *Session) answered(h *pb.ResponseHeader, floor int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSeen = s.clock.Wall()
	s.recovered(&s.calls)
	switch {
	case s.cluster != 0 && h.ClusterId != s.cluster:
		s.watch.abandon(errOtherCluster)
	case h.Revision < floor:
		s.watch.abandon(errWentBack)
	default:
		s.noteAhead(h.Revision)
	}
}
