package sim

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What the model of Patroni reads and writes in etcd (keyspace.md 2 and 3): one lease for both keys, kept alive once
// per cycle and with each renewal of the lock; a lock that is its by name; writes without a compare where Patroni
// makes none.

// renew keeps the lease alive, or gets another one.
func (a *patroni) renew() error {
	if err := a.store.renewLease(context.Background(), a.settings.TTL); err != nil {
		return err
	}
	a.renewed = true
	return nil
}

// single is a call that is not tried again: its time is one attempt's.
func (a *patroni) single() (end func()) {
	a.store.SetTimeouts(min(time.Second, a.settings.RetryTimeout))
	return func() { a.store.SetTimeouts(a.settings.RetryTimeout) }
}

// touch writes the member key, at the end of a cycle or when something has changed.
func (a *patroni) touch() {
	defer a.single()()
	if !a.renewed && a.renew() != nil {
		return
	}
	m := dcs.EncodeMember(a.describe())
	kv, there := a.store.mirror.get(dcs.MemberKey(a.n.name))
	if there && kv.Lease == a.store.lease.ID && a.lease == kv.Lease && bytes.Equal(m, a.member) {
		return
	}
	id := a.store.lease.ID
	if id == 0 {
		return
	}
	if a.write(dcs.MemberKey(a.n.name), m, id, nil) == nil {
		a.member, a.lease = m, id
	}
}

// describe is the member key (4.2).
func (a *patroni) describe() cluster.Member {
	s := &a.server
	m := cluster.Member{
		Name: a.n.name, ConnURL: "postgres://" + a.n.name + ":5432/postgres", APIURL: "http://" + a.n.name + ":8008/patroni",
		State: s.State, Role: a.role, Version: cluster.PatroniVersion, Tags: a.tags(), Pause: a.settings.Pause,
		CheckpointPending: a.leads && !a.checkpoint,
	}
	known := s.State == cluster.StateRunning || s.State == cluster.StateRestarting || s.State == cluster.StateStarting
	if known && s.Answered && (a.action == "" || a.action == "promote") {
		m.XLogLocation, m.Timeline = s.Position(), s.Timeline
		if s.InRecovery {
			m.ReplayLSN, m.ReceiveLSN, m.ReplicationState = s.ReplayLSN, s.ReceiveLSN, s.ReplicationState()
		}
	}
	return m
}

// tags are the node's, and those with which a synchronous standby asks to be let go.
func (a *patroni) tags() cluster.Tags {
	if a.releasing == 0 {
		return a.n.tags
	}
	return cluster.Tags{"nosync": true, "sync_priority": 0}
}

// write puts a key if holds says so; nil is no compare. It gives errConflict if it does not hold, errStore if etcd can't
// be reached.
func (a *patroni) write(key string, value []byte, lease int64, holds func(*etcd) bool) error {
	if holds == nil {
		holds = func(*etcd) bool { return true }
	}
	ans, err := a.store.write(context.Background(), write{
		what: "write " + key, key: key, holds: holds, own: []dcs.KV{{Key: key, Value: value, Lease: lease}},
		change: func(e *etcd) error {
			if _, ok := e.leases[lease]; lease != 0 && !ok {
				return errLease
			}
			e.put(key, value, lease)
			return nil
		},
	})
	switch {
	case errors.Is(err, dcs.ErrRefused):
		return errConflict
	case err != nil:
		return errStore
	case !ans.ok:
		return errConflict
	}
	return nil
}

// put writes a key without a compare and without a lease, unless it is so already, and says whether it is so now.
func (a *patroni) put(key string, value []byte) bool {
	if kv, there := a.store.mirror.get(key); there && bytes.Equal(kv.Value, value) {
		return true
	}
	defer a.single()()
	return a.write(key, value, 0, nil) == nil
}

// updateLock renews the lock. With the same lease that is the renewal of the lease and nothing else: the key is not
// looked at. False: etcd says no.
func (a *patroni) updateLock() (bool, error) {
	if err := a.renew(); errors.Is(err, dcs.ErrRefused) {
		return false, nil
	} else if err != nil {
		return false, errStore
	}
	id, me := a.store.lease.ID, a.n.name
	stale := a.store.behind && !a.w.weak(weakCopy)
	if kv, there := a.store.mirror.get(dcs.KeyLeader); stale || !there || kv.Lease != id || string(kv.Value) != me {
		err := a.write(dcs.KeyLeader, []byte(me), id, func(e *etcd) bool {
			kv := e.get(dcs.KeyLeader)
			return kv == nil && !a.succeeded() || kv != nil && string(kv.Value) == me
		})
		if err != nil {
			a.leads = a.leads && errors.Is(err, errStore)
			return false, notConflict(err)
		}
	}
	if !a.leads {
		a.leadsSince = a.now()
	}
	a.leads, a.leaderUntil = true, a.now().Add(a.settings.TTL)
	if a.settings.FailsafeMode {
		a.writeFailsafe()
	}
	return true, nil
}

// notConflict is an error that is more than a compare that failed.
func notConflict(err error) error {
	if errors.Is(err, errConflict) {
		return nil
	}
	return err
}

// writeStatus follows a renewal of the lock (4.5).
func (a *patroni) writeStatus() {
	if a.server.Answered {
		s := a.view.Status
		s.Present, s.Optime = true, a.server.Position()
		a.put(dcs.KeyStatus, dcs.EncodeStatus(s))
	}
}

// acquire tries for the lock. After an answer that was lost it says no although the lock may be its.
func (a *patroni) acquire() (bool, error) {
	if !a.renewed {
		if a.renew() != nil {
			return false, errStore
		}
	}
	id := a.store.lease.ID
	err := a.write(dcs.KeyLeader, []byte(a.n.name), id, func(e *etcd) bool { return e.get(dcs.KeyLeader) == nil })
	if err == nil {
		a.leads, a.leadsSince, a.leaderUntil = true, a.now(), a.now().Add(a.settings.TTL)
	}
	return err == nil, notConflict(err)
}

// release gives the lock up, with the position of a shutdown checkpoint if there is one.
func (a *patroni) release(optime cluster.LSN) {
	if optime != 0 && a.view != nil {
		s := a.view.Status
		s.Present, s.Optime = true, optime
		a.put(dcs.KeyStatus, dcs.EncodeStatus(s))
	}
	end := a.single()
	_, _ = a.store.write(context.Background(), write{
		what: "release leader", key: dcs.KeyLeader, gone: []string{dcs.KeyLeader},
		holds: func(e *etcd) bool { return e.text(dcs.KeyLeader) == a.n.name },
		change: func(e *etcd) error {
			a.w.check.released(a.n)
			e.remove(dcs.KeyLeader)
			return nil
		},
	})
	end()
	a.leads = false
	a.touch()
}

// clearFailover writes {} if the request is still the one that was read.
func (a *patroni) clearFailover() {
	defer a.single()()
	rev := a.view.Failover.Revision
	_ = a.write(dcs.KeyFailover, []byte("{}"), 0, func(e *etcd) bool { return e.revision(dcs.KeyFailover) == rev })
}

// writeHistory is 4.9.
func (a *patroni) writeHistory() {
	s, known := &a.server, a.view.History
	if len(s.History) == 0 {
		if known.Present && len(known.Entries) > 0 {
			a.put(dcs.KeyHistory, dcs.EncodeHistory(cluster.History{}))
		}
		return
	}
	if n := len(known.Entries); n > 0 && known.Entries[n-1].Timeline == s.Timeline-1 && known.Entries[n-1].NewLeader != "" {
		return
	}
	h := cluster.History{Present: true}
	for _, e := range s.History {
		for _, old := range known.Entries {
			if old.Timeline == e.Timeline && old.LSN == e.LSN {
				e = old
			}
		}
		h.Entries = append(h.Entries, e)
	}
	h.Entries[len(h.Entries)-1].Timestamp, h.Entries[len(h.Entries)-1].NewLeader = cluster.FormatISO(s.HistoryTime), a.n.name
	a.put(dcs.KeyHistory, dcs.EncodeHistory(h))
}
