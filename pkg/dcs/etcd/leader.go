package etcd

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// errNoLease: what has to hang on a lease can't be written without one.
func errNoLease(what string) error {
	return fmt.Errorf("%s: there is no lease: %w", what, dcs.ErrNotSent)
}

// AcquireLeader implements dcs.Store.
func (s *Session) AcquireLeader(ctx context.Context, failsafe int64) (bool, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	key, id, listed := s.key(dcs.KeyLeader), s.Lease().ID, s.key(dcs.KeyFailsafe)
	if id == 0 {
		return false, errNoLease("acquire " + key)
	}
	mine := func(current *mvccpb.KeyValue) bool {
		return current != nil && string(current.Value) == s.name && current.Lease == id
	}
	out, err := s.write(ctx, write{
		what: "acquire " + key, key: key, guard: listed, done: mine,
		compares: []*pb.Compare{createdIs(key, 0), revisionIs(listed, failsafe)},
		ops:      []*pb.RequestOp{put(key, []byte(s.name), id)},
	}, entry{KV: dcs.KV{Key: dcs.KeyLeader, Value: []byte(s.name), Lease: id}})
	if isLeaseLost(err) {
		s.forget(id)
	}
	if err != nil || out.ok || mine(out.current) {
		return err == nil, err
	}
	if out.current != nil && string(out.current.Value) == s.name {
		// An agent of our name, before it was restarted. The key is ours by name, so it comes to our lease.
		return s.claim(ctx)
	}
	return false, nil
}

// claim proves that the leader key holds our name, and brings it to our lease if it hangs on another one.
// While it hangs on ours this is one read-only transaction.
func (s *Session) claim(ctx context.Context) (bool, error) {
	key, id := s.key(dcs.KeyLeader), s.Lease().ID
	if id == 0 {
		return false, errNoLease("prove " + key)
	}
	out, err := s.write(ctx, write{
		what: "prove " + key, key: key, compares: []*pb.Compare{valueIs(key, s.name), leaseIs(key, id)},
	})
	if err != nil || out.ok {
		return out.ok, err
	}
	if out.current == nil || string(out.current.Value) != s.name {
		return false, nil
	}
	moved := func(current *mvccpb.KeyValue) bool {
		return current != nil && string(current.Value) == s.name && current.Lease == id
	}
	out, err = s.write(ctx, write{
		what: "move " + key, key: key, compares: []*pb.Compare{revisionIs(key, out.current.ModRevision)},
		ops: []*pb.RequestOp{put(key, []byte(s.name), id)}, done: moved,
	}, entry{KV: dcs.KV{Key: dcs.KeyLeader, Value: []byte(s.name), Lease: id}})
	if isLeaseLost(err) {
		s.forget(id)
	}
	return out.ok && err == nil, err
}

// ReleaseLeader implements dcs.Store. The transaction also compares which creation of the key it is:
//
//  1. we release, the request hangs in a frozen member of etcd, we get no answer;
//  2. the lease expires, and later we acquire the key again;
//  3. the member thaws and the old request deletes the key that we now hold and have proven.
//
// With the compare, 3 does nothing.
func (s *Session) ReleaseLeader(ctx context.Context, status *cluster.Status) (bool, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	key := s.key(dcs.KeyLeader)
	ops := []*pb.RequestOp{remove(key)}
	learned := []entry{{KV: dcs.KV{Key: dcs.KeyLeader}, deleted: true}}
	if status != nil {
		value := dcs.EncodeStatus(*status)
		ops = append(ops, put(s.key(dcs.KeyStatus), value, 0))
		learned = append(learned, entry{KV: dcs.KV{Key: dcs.KeyStatus, Value: value}})
	}
	// Twice: the first round may find that we hold another creation of the key than the view knows of.
	for range 2 {
		out, err := s.write(ctx, write{
			what: "release " + key, key: key, ops: ops, done: gone,
			compares: []*pb.Compare{valueIs(key, s.name), createdIs(key, s.created(dcs.KeyLeader))},
		}, learned...)
		if err != nil || out.ok {
			return out.ok, err
		}
		if out.current == nil || string(out.current.Value) != s.name {
			return false, nil
		}
	}
	return false, fmt.Errorf("release %s: the key was created anew again and again: %w", key, dcs.ErrRefused)
}

// created gives the revision that created a key as far as we know; zero if we know of none.
func (s *Session) created(key string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	kv, _ := s.mirror.get(key)
	return kv.CreateRevision
}
