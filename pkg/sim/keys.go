package sim

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// The writes of dcs.Store.

// Renew implements dcs.Store.
func (s *store) Renew(ctx context.Context, ttl time.Duration, lead bool) (dcs.Lease, bool, error) {
	for s.busy {
		s.w.sleep(glance) // another renewal, which ends within the budget
	}
	s.busy = true
	defer func() { s.busy = false }()
	if err := s.renewLease(ctx, ttl); err != nil {
		return s.lease, false, err
	}
	holds := false
	if lead {
		var err error
		if holds, err = s.claim(ctx); err != nil {
			return s.lease, false, err
		}
	}
	if s.member != nil && s.mirror.known {
		_ = s.putMember(ctx, *s.member) // the next renewal tries again
	}
	return s.lease, holds, nil
}

func (s *store) renewLease(ctx context.Context, ttl time.Duration) error {
	if l := s.lease; l.ID != 0 && l.TTL == ttl {
		a, err := s.call(ctx, "renew lease", func(e *etcd) answer { return answer{ok: s.keep(e, l.ID), rev: e.rev} })
		if err != nil {
			return err
		}
		if a.ok {
			if l.ID != s.forsaken {
				s.lease = dcs.NewLease(l.ID, ttl, a.sent)
			}
			return nil
		}
		if s.lease.ID == l.ID {
			s.lease = dcs.Lease{}
		}
	}
	a, err := s.call(ctx, "grant lease", func(e *etcd) answer {
		id := e.grant(ttl)
		s.w.check.renewed(s.n, e.leases[id])
		return answer{ok: true, id: id}
	})
	if err != nil {
		return err
	}
	s.lease = dcs.NewLease(a.id, ttl, a.sent)
	return nil
}

// keep renews a lease of the member.
func (s *store) keep(e *etcd, id int64) bool {
	if !e.keep(id) {
		return false
	}
	s.w.check.renewed(s.n, e.leases[id])
	return true
}

func (s *store) leaderKey(id int64) []dcs.KV {
	return []dcs.KV{{Key: dcs.KeyLeader, Value: []byte(s.n.name), Lease: id}}
}

// putLeader writes the leader key on a lease, which must be there.
func (s *store) putLeader(id int64) func(*etcd) error {
	return func(e *etcd) error {
		if _, ok := e.leases[id]; !ok {
			return errLease
		}
		e.put(dcs.KeyLeader, []byte(s.n.name), id)
		return nil
	}
}

// AcquireLeader implements dcs.Store.
func (s *store) AcquireLeader(ctx context.Context, failsafe int64) (bool, error) {
	id := s.lease.ID
	if id == 0 {
		return false, fmt.Errorf("acquire leader: there is no lease: %w", dcs.ErrNotSent)
	}
	mine := func(kv *dcs.KV) bool { return kv != nil && string(kv.Value) == s.n.name && kv.Lease == id }
	a, err := s.write(ctx, write{
		what: "acquire leader", key: dcs.KeyLeader, own: s.leaderKey(id), done: mine,
		guard:  dcs.KeyFailsafe,
		holds:  func(e *etcd) bool { return e.get(dcs.KeyLeader) == nil && e.revision(dcs.KeyFailsafe) == failsafe },
		change: s.putLeader(id),
	})
	if err != nil || a.ok || mine(a.current) {
		return err == nil, err
	}
	if a.current != nil && string(a.current.Value) == s.n.name {
		return s.claim(ctx)
	}
	return false, nil
}

// claim proves that the leader key is ours and brings it to our lease.
func (s *store) claim(ctx context.Context) (bool, error) {
	id := s.lease.ID
	if id == 0 {
		return false, fmt.Errorf("prove leader: there is no lease: %w", dcs.ErrNotSent)
	}
	a, err := s.write(ctx, write{what: "prove leader", key: dcs.KeyLeader, holds: func(e *etcd) bool {
		kv := e.get(dcs.KeyLeader)
		return kv != nil && string(kv.Value) == s.n.name && kv.Lease == id
	}})
	if err != nil || a.ok {
		return a.ok, err
	}
	if a.current == nil || string(a.current.Value) != s.n.name {
		return false, nil
	}
	rev := a.current.ModRevision
	a, err = s.write(ctx, write{
		what: "move leader", key: dcs.KeyLeader, own: s.leaderKey(id), change: s.putLeader(id),
		holds: func(e *etcd) bool { kv := e.get(dcs.KeyLeader); return kv != nil && kv.ModRevision == rev },
		done:  func(kv *dcs.KV) bool { return kv != nil && string(kv.Value) == s.n.name && kv.Lease == id },
	})
	return a.ok && err == nil, err
}

// ReleaseLeader implements dcs.Store.
func (s *store) ReleaseLeader(ctx context.Context, status *cluster.Status) (bool, error) {
	for range 2 {
		known, _ := s.mirror.get(dcs.KeyLeader)
		w := write{
			what: "release leader", key: dcs.KeyLeader, gone: []string{dcs.KeyLeader},
			holds: func(e *etcd) bool {
				kv := e.get(dcs.KeyLeader)
				return kv != nil && string(kv.Value) == s.n.name && kv.CreateRevision == known.CreateRevision
			},
			done: func(kv *dcs.KV) bool { return kv == nil },
		}
		w.change = func(e *etcd) error {
			s.w.check.released(s.n)
			if status != nil {
				e.put(dcs.KeyStatus, dcs.EncodeStatus(*status), 0)
			}
			e.remove(dcs.KeyLeader)
			return nil
		}
		if status != nil {
			w.own = []dcs.KV{{Key: dcs.KeyStatus, Value: dcs.EncodeStatus(*status)}}
		}
		a, err := s.write(ctx, w)
		if err != nil || a.ok || a.current == nil || string(a.current.Value) != s.n.name {
			return a.ok, err
		}
	}
	return false, fmt.Errorf("release leader: created anew again and again: %w", dcs.ErrRefused)
}

// PutMember implements dcs.Store.
func (s *store) PutMember(ctx context.Context, m cluster.Member) error {
	s.member = &m
	return s.putMember(ctx, m)
}

func (s *store) putMember(ctx context.Context, m cluster.Member) error {
	if s.lease.ID == 0 {
		return fmt.Errorf("write member: there is no lease: %w", dcs.ErrNotSent)
	}
	_, err := s.putOwn(ctx, dcs.MemberKey(s.n.name), dcs.EncodeMember(m), s.lease.ID, false)
	return err
}

// putOwn writes a key that nobody else writes, unless it is so already.
func (s *store) putOwn(ctx context.Context, key string, value []byte, id int64, leading bool) (bool, error) {
	for range 3 {
		old, there := s.mirror.get(key)
		if there && old.Lease == id && bytes.Equal(old.Value, value) {
			return true, nil
		}
		w := write{what: "write " + key, key: key, own: []dcs.KV{{Key: key, Value: value, Lease: id}}}
		if leading {
			w.guard = dcs.KeyLeader
		}
		w.holds = func(e *etcd) bool {
			return e.revision(key) == old.ModRevision && (!leading || e.text(dcs.KeyLeader) == s.n.name)
		}
		w.change = func(e *etcd) error {
			if _, ok := e.leases[id]; id != 0 && !ok {
				return errLease
			}
			e.put(key, value, id)
			return nil
		}
		a, err := s.write(ctx, w)
		if err != nil || a.ok {
			return a.ok, err
		}
		if leading && (a.guard == nil || string(a.guard.Value) != s.n.name) {
			return false, nil
		}
	}
	return false, fmt.Errorf("write %s: somebody else writes it again and again: %w", key, dcs.ErrRefused)
}

// putAt writes a key that is still of a revision.
func (s *store) putAt(ctx context.Context, key string, value []byte, revision int64) (bool, error) {
	a, err := s.write(ctx, write{
		what: "write " + key, key: key, own: []dcs.KV{{Key: key, Value: value}},
		holds:  func(e *etcd) bool { return e.revision(key) == revision },
		change: func(e *etcd) error { e.put(key, value, 0); return nil },
		done:   func(kv *dcs.KV) bool { return kv != nil && len(value) > 0 && bytes.Equal(kv.Value, value) },
	})
	return a.ok, err
}

func (s *store) drop(ctx context.Context, key string, holds func(*etcd) bool) (bool, error) {
	a, err := s.write(ctx, write{
		what: "delete " + key, key: key, gone: []string{key}, holds: holds,
		change: func(e *etcd) error { e.remove(key); return nil },
		done:   func(kv *dcs.KV) bool { return kv == nil },
	})
	return a.ok, err
}

// revision gives the revision of a key, zero if it is absent.
func (e *etcd) revision(key string) int64 {
	if kv := e.get(key); kv != nil {
		return kv.ModRevision
	}
	return 0
}

// DeleteMember implements dcs.Store.
func (s *store) DeleteMember(ctx context.Context) error {
	s.member = nil
	_, err := s.drop(ctx, dcs.MemberKey(s.n.name), func(*etcd) bool { return true })
	return err
}

// CreateInitialize implements dcs.Store.
func (s *store) CreateInitialize(ctx context.Context, systemID string) (bool, error) {
	id := int64(0)
	if systemID == "" {
		if id = s.lease.ID; id == 0 {
			return false, fmt.Errorf("create initialize: there is no lease: %w", dcs.ErrNotSent)
		}
	}
	a, err := s.write(ctx, write{
		what: "create initialize", key: dcs.KeyInitialize,
		own:   []dcs.KV{{Key: dcs.KeyInitialize, Value: []byte(systemID), Lease: id}},
		holds: func(e *etcd) bool { return e.get(dcs.KeyInitialize) == nil },
		change: func(e *etcd) error {
			if id != 0 && e.leases[id] == nil {
				return errLease
			}
			e.put(dcs.KeyInitialize, []byte(systemID), id)
			return nil
		},
		done: func(kv *dcs.KV) bool { return kv != nil && string(kv.Value) == systemID && kv.Lease == id },
	})
	return a.ok, err
}

// PutInitialize implements dcs.Store.
func (s *store) PutInitialize(ctx context.Context, systemID string, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyInitialize, []byte(systemID), revision)
}

// DeleteInitialize implements dcs.Store.
func (s *store) DeleteInitialize(ctx context.Context, revision int64) (bool, error) {
	return s.drop(ctx, dcs.KeyInitialize, func(e *etcd) bool {
		kv := e.get(dcs.KeyInitialize)
		return kv != nil && len(kv.Value) == 0 && kv.ModRevision == revision
	})
}

// PutConfig implements dcs.Store.
func (s *store) PutConfig(ctx context.Context, raw []byte, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyConfig, raw, revision)
}

// PutFailover implements dcs.Store.
func (s *store) PutFailover(ctx context.Context, req cluster.FailoverRequest, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeyFailover, dcs.EncodeFailover(req), revision)
}

// PutStatus implements dcs.Store.
func (s *store) PutStatus(ctx context.Context, status cluster.Status) (bool, error) {
	return s.putOwn(ctx, dcs.KeyStatus, dcs.EncodeStatus(status), 0, true)
}

// PutHistory implements dcs.Store.
func (s *store) PutHistory(ctx context.Context, h cluster.History) (bool, error) {
	return s.putOwn(ctx, dcs.KeyHistory, dcs.EncodeHistory(h), 0, true)
}

// PutFailsafe implements dcs.Store.
func (s *store) PutFailsafe(ctx context.Context, members map[string]string, revision int64) (bool, error) {
	value := dcs.EncodeFailsafe(members)
	a, err := s.write(ctx, write{
		what: "write failsafe", key: dcs.KeyFailsafe, guard: dcs.KeyLeader, own: []dcs.KV{{Key: dcs.KeyFailsafe, Value: value}},
		holds: func(e *etcd) bool {
			return e.revision(dcs.KeyFailsafe) == revision && e.text(dcs.KeyLeader) == s.n.name
		},
		change: func(e *etcd) error { e.put(dcs.KeyFailsafe, value, 0); return nil },
		done:   func(kv *dcs.KV) bool { return kv != nil && bytes.Equal(kv.Value, value) },
	})
	return a.ok, err
}

// PutSync implements dcs.Store.
func (s *store) PutSync(ctx context.Context, state cluster.SyncState, revision int64) (bool, error) {
	return s.putAt(ctx, dcs.KeySync, dcs.EncodeSync(state), revision)
}

// DeleteSync implements dcs.Store.
func (s *store) DeleteSync(ctx context.Context, revision int64) (bool, error) {
	return s.drop(ctx, dcs.KeySync, func(e *etcd) bool { return e.revision(dcs.KeySync) == revision })
}
