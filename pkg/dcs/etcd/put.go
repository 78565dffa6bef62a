package etcd

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// PutMember implements dcs.Store. The key is put again by Renew when the lease changes.
func (s *Session) PutMember(ctx context.Context, m cluster.Member) error {
	s.mu.Lock()
	s.member = &m
	s.mu.Unlock()
	return s.putMember(ctx, m)
}

func (s *Session) putMember(ctx context.Context, m cluster.Member) error {
	name, value := dcs.MemberKey(s.name), dcs.EncodeMember(m)
	key, id := s.key(name), s.Lease().ID
	if id == 0 {
		return errNoLease("write " + key)
	}
	_, err := s.putOwn(ctx, own{name: name, value: value, lease: id})
	if isLeaseLost(err) {
		s.forget(id)
	}
	return err
}

// DeleteMember implements dcs.Store.
func (s *Session) DeleteMember(ctx context.Context) error {
	s.mu.Lock()
	s.member = nil
	s.mu.Unlock()
	name := dcs.MemberKey(s.name)
	key := s.key(name)
	_, err := s.write(ctx, write{
		what: "delete " + key, key: key, ops: []*pb.RequestOp{remove(key)},
	}, entry{KV: dcs.KV{Key: name}, deleted: true})
	return err
}

// CreateInitialize implements dcs.Store. The lease tells an empty value of ours from one that another node wrote.
func (s *Session) CreateInitialize(ctx context.Context, systemID string) (bool, error) {
	key, id := s.key(dcs.KeyInitialize), int64(0)
	if systemID == "" {
		if id = s.Lease().ID; id == 0 {
			return false, errNoLease("create " + key)
		}
	}
	out, err := s.write(ctx, write{
		what: "create " + key, key: key, compares: []*pb.Compare{createdIs(key, 0)},
		ops: []*pb.RequestOp{put(key, []byte(systemID), id)},
		done: func(current *mvccpb.KeyValue) bool {
			return holds([]byte(systemID))(current) && current.Lease == id
		},
	}, entry{KV: dcs.KV{Key: dcs.KeyInitialize, Value: []byte(systemID), Lease: id}})
	if isLeaseLost(err) {
		s.forget(id)
	}
	return out.ok, err
}

// PutInitialize implements dcs.Store.
func (s *Session) PutInitialize(ctx context.Context, systemID string, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyInitialize, []byte(systemID), revision)
}

// DeleteInitialize implements dcs.Store.
func (s *Session) DeleteInitialize(ctx context.Context, revision int64) (bool, error) {
	key := s.key(dcs.KeyInitialize)
	return s.remove(ctx, dcs.KeyInitialize, []*pb.Compare{valueIs(key, ""), revisionIs(key, revision)})
}

// PutConfig implements dcs.Store.
func (s *Session) PutConfig(ctx context.Context, raw []byte, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyConfig, raw, revision)
}

// PutFailover implements dcs.Store.
func (s *Session) PutFailover(ctx context.Context, req cluster.FailoverRequest, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyFailover, dcs.EncodeFailover(req), revision)
}

// PutSync implements dcs.Store.
func (s *Session) PutSync(ctx context.Context, state cluster.SyncState, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeySync, dcs.EncodeSync(state), revision)
}

// DeleteSync implements dcs.Store.
func (s *Session) DeleteSync(ctx context.Context, revision int64) (bool, error) {
	return s.remove(ctx, dcs.KeySync, []*pb.Compare{revisionIs(s.key(dcs.KeySync), revision)})
}

// PutStatus implements dcs.Store.
func (s *Session) PutStatus(ctx context.Context, status cluster.Status) (bool, error) {
	return s.putLeading(ctx, dcs.KeyStatus, dcs.EncodeStatus(status))
}

// PutHistory implements dcs.Store.
func (s *Session) PutHistory(ctx context.Context, h cluster.History) (bool, error) {
	return s.putLeading(ctx, dcs.KeyHistory, dcs.EncodeHistory(h))
}

// PutFailsafe implements dcs.Store.
func (s *Session) PutFailsafe(ctx context.Context, members map[string]string, revision int64) (bool, error) {
	value, leader := dcs.EncodeFailsafe(members), s.key(dcs.KeyLeader)
	w := putAt(s.key(dcs.KeyFailsafe), value, revision)
	w.guard, w.compares = leader, append(w.compares, valueIs(leader, s.name))
	out, err := s.write(ctx, w, entry{KV: dcs.KV{Key: dcs.KeyFailsafe, Value: value}})
	return out.ok, err
}

// putLeading writes a key that belongs to the leader.
func (s *Session) putLeading(ctx context.Context, name string, value []byte) (bool, error) {
	return s.putOwn(ctx, own{name: name, value: value, leading: true})
}

// own is a key that nobody else has a business to write.
type own struct {
	name    string
	value   []byte
	lease   int64 // zero: none
	leading bool  // only while the leader key holds our name
}

// putOwn writes a key of our own unless it is so already. It compares the revision that we know, although
// nobody else writes it, because of ourselves:
//
//  1. we write A, the request hangs in a frozen member of etcd, and we repeat it at the next one;
//  2. we write B;
//  3. the member thaws and the old request writes A.
//
// With the compare, 3 does nothing. When what we know is old the write is tried again with what was read
// back; twice, for each round but the first begins with the present revision.
func (s *Session) putOwn(ctx context.Context, o own) (bool, error) {
	ctx, cancel := s.within(ctx)
	defer cancel()
	key, leader := s.key(o.name), s.key(dcs.KeyLeader)
	for range 3 {
		kv, there := s.known(o.name)
		if there && kv.Lease == o.lease && bytes.Equal(kv.Value, o.value) {
			return true, nil
		}
		w := write{
			what: "write " + key, key: key, compares: []*pb.Compare{revisionIs(key, kv.ModRevision)},
			ops: []*pb.RequestOp{put(key, o.value, o.lease)},
		}
		if o.leading {
			w.guard, w.compares = leader, append(w.compares, valueIs(leader, s.name))
		}
		out, err := s.write(ctx, w, entry{KV: dcs.KV{Key: o.name, Value: o.value, Lease: o.lease}})
		if err != nil || out.ok {
			return out.ok, err
		}
		if o.leading && (out.guard == nil || string(out.guard.Value) != s.name) {
			return false, nil
		}
	}
	return false, fmt.Errorf("write %s: somebody else writes it again and again: %w", key, dcs.ErrRefused)
}

func (s *Session) putAt(ctx context.Context, name string, value []byte, revision int64) (bool, error) {
	out, err := s.write(ctx, putAt(s.key(name), value, revision), entry{KV: dcs.KV{Key: name, Value: value}})
	return out.ok, err
}

func (s *Session) remove(ctx context.Context, name string, compares []*pb.Compare) (bool, error) {
	key := s.key(name)
	out, err := s.write(ctx, write{
		what: "delete " + key, key: key, compares: compares, ops: []*pb.RequestOp{remove(key)}, done: gone,
	}, entry{KV: dcs.KV{Key: name}, deleted: true})
	return out.ok, err
}

// known gives a key as the local copy has it.
func (s *Session) known(name string) (dcs.KV, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mirror.get(name)
}
