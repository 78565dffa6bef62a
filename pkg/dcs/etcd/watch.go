package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
)

// Why a watch was given up and everything is read again.
var (
	errOtherCluster = errors.New("etcd answers with another cluster id")
	errWentBack     = errors.New("etcd has gone back to an older revision")
	errBehind       = errors.New("the watch is behind and does not answer")
	errNotCreated   = errors.New("etcd did not confirm the watch in time")
)

// watchState is the present watch, for those outside of its goroutine. Guarded by Session.mu.
type watchState struct {
	stream    pb.Watch_WatchClient // nil while there is none
	cancel    context.CancelCauseFunc
	delivered int64 // everything up to this revision has been delivered
	ahead     int64 // the highest revision seen elsewhere
	asked     int64 // ahead at the time the watch was asked how far it is; zero: not asked
	timer     *time.Timer
}

func (w *watchState) abandon(cause error) {
	if w.cancel != nil {
		w.cancel(cause)
	}
}

// The pauses before everything is read again after a failure; there is no event that says when that makes
// sense, but the read itself waits for a connection.
const (
	firstRest = 50 * time.Millisecond
	lastRest  = time.Second
)

// watchForever follows the keys until the context ends: read all, watch from there, begin anew on failure.
func (s *Session) watchForever(ctx context.Context) {
	rest := firstRest
	for {
		worked, err := s.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		s.trouble(&s.watching, err)
		s.mu.Unlock()
		if worked {
			rest = firstRest
		}
		select {
		case <-time.After(rest + rand.N(rest)):
		case <-ctx.Done():
			return
		}
		rest = min(2*rest, lastRest)
	}
}

// follow reads everything and applies what the watch delivers until it breaks. It reports whether the
// watch came into being. The watch demands a leader: a member that is cut off from the others ends it,
// instead of being silent.
func (s *Session) follow(ctx context.Context) (worked bool, err error) {
	revision, err := s.readAll(ctx)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	confirm := time.AfterFunc(s.patience(), func() { cancel(errNotCreated) })
	defer confirm.Stop()

	stream, err := s.openWatch(ctx, revision+1)
	if err != nil {
		return false, watchError(ctx, err)
	}
	confirm.Stop()
	s.watchBegins(stream, cancel, revision)
	defer s.watchEnds()
	for {
		resp, err := receive(stream)
		if err != nil {
			return true, watchError(ctx, err)
		}
		s.apply(resp)
	}
}

// patience is how long a watch may take to answer when it is asked something.
func (s *Session) patience() time.Duration { return max(s.limits().budget/4, time.Second) }

func (s *Session) readAll(ctx context.Context) (int64, error) {
	s.mu.Lock()
	began := s.mirror.count
	s.mu.Unlock()
	resp, err := s.client.rangeAll(ctx, s.limits(), "read "+s.base, s.base)
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cluster = resp.Header.ClusterId
	s.lastSeen = s.clock.Wall()
	s.mirror.install(resp.Header.Revision, relative(s.base, resp.Kvs), began)
	s.view = s.mirror.view()
	s.notify()
	return resp.Header.Revision, nil
}

func (s *Session) openWatch(ctx context.Context, from int64) (pb.Watch_WatchClient, error) {
	stream, err := s.client.watch.Watch(clientv3.WithRequireLeader(ctx), grpc.WaitForReady(true))
	if err != nil {
		return nil, err
	}
	create := &pb.WatchCreateRequest{Key: []byte(s.base), RangeEnd: prefixEnd(s.base), StartRevision: from}
	err = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}})
	if err != nil {
		return nil, err
	}
	_, err = receive(stream)
	return stream, err
}

// receive gives the next message; a cancelled watch is an error.
func receive(stream pb.Watch_WatchClient) (*pb.WatchResponse, error) {
	resp, err := stream.Recv()
	switch {
	case err != nil:
		return nil, err
	case resp.CompactRevision > 0:
		return nil, fmt.Errorf("revision %d was compacted away", resp.CompactRevision)
	case resp.Canceled:
		return nil, fmt.Errorf("etcd cancelled the watch: %s", resp.CancelReason)
	}
	return resp, nil
}

func watchError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("watch etcd: %w", rpctypes.Error(err))
}

func (s *Session) watchBegins(stream pb.Watch_WatchClient, cancel context.CancelCauseFunc, revision int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = watchState{stream: stream, cancel: cancel, delivered: revision}
	s.recovered(&s.watching)
}

func (s *Session) watchEnds() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watch.timer != nil {
		s.watch.timer.Stop()
	}
	s.watch = watchState{}
}

// apply takes over one message: the events of whole revisions, or a bare report of progress.
func (s *Session) apply(resp *pb.WatchResponse) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastSeen = s.clock.Wall()
	if len(resp.Events) == 0 {
		s.watch.delivered = max(s.watch.delivered, resp.Header.Revision)
		return
	}
	news, last := false, int64(0)
	for _, e := range resp.Events {
		if s.mirror.event(toKV(s.base, e.Kv), e.Type == mvccpb.Event_DELETE) {
			news = true
		}
		last = max(last, e.Kv.ModRevision)
	}
	s.watch.delivered = max(s.watch.delivered, last)
	// No further: the header's revision may be later than the events that have been sent so far; and a report of progress may have
	// overtaken events, which would then be taken for old (etcd-io/etcd#15220, before 3.4.25 and 3.5.8).
	s.mirror.advance(last)
	s.view = s.mirror.view()
	if news {
		s.notify()
	}
}

// behindGrace is how long the watch may be behind another answer before it is asked.
const behindGrace = 500 * time.Millisecond

// noteAhead is told of each revision that an answer shows. If the watch has not come that far after a
// while, it is asked how far it is (other clusters in the same etcd count revisions up as well), and if it
// does not tell, it is given up. Without this, a watch at a frozen member would be silent and the view old
// for as long as the connection is not found dead. Called with s.mu held.
func (s *Session) noteAhead(revision int64) {
	w := &s.watch
	if w.stream == nil || revision <= w.delivered {
		return
	}
	w.ahead = max(w.ahead, revision)
	if w.timer == nil {
		stream := w.stream
		w.timer = time.AfterFunc(behindGrace, func() { s.checkWatch(stream) })
	}
}

func (s *Session) checkWatch(stream pb.Watch_WatchClient) {
	s.mu.Lock()
	w := &s.watch
	switch {
	case w.stream != stream: // another watch by now
		s.mu.Unlock()
		return
	case w.delivered >= w.ahead:
		w.timer, w.asked = nil, 0
		s.mu.Unlock()
		return
	case w.asked != 0 && w.delivered < w.asked:
		w.abandon(errBehind)
		s.mu.Unlock()
		return
	}
	w.asked = w.ahead
	w.timer.Reset(s.patience())
	s.mu.Unlock()
	// Nothing else sends on the stream: the create request went out before it was ours, and the timer runs
	// once at a time. A failure shows in the stream's receiver.
	_ = stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{ProgressRequest: &pb.WatchProgressRequest{}}})
}
