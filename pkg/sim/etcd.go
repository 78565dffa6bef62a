package sim

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// etcd is the simulated store: keys with revisions, leases, transactions. It is one machine; its faults are
// those that a client can see: no answer, no connection, a late answer.
type etcd struct {
	w      *world
	up     bool
	id     int   // another one after it was restored
	skew   int64 // of its clock, in units of 2^-20
	rev    int64
	kvs    []dcs.KV // sorted by key
	leases map[int64]*lease
	lastID int64
}

// lease is one lease of etcd.
type lease struct {
	ttl      time.Duration
	earliest time.Duration // true moment before which it does not end
	end      *event
	renewed  time.Duration // when its owner last did that
}

// put writes a key.
func (e *etcd) put(key string, value []byte, lease int64) {
	e.rev++
	kv := dcs.KV{Key: key, Value: bytes.Clone(value), CreateRevision: e.rev, ModRevision: e.rev, Lease: lease}
	i, found := e.find(key)
	if found {
		kv.CreateRevision = e.kvs[i].CreateRevision
		e.kvs[i] = kv
	} else {
		e.kvs = slices.Insert(e.kvs, i, kv)
	}
	e.tell(kv, false)
}

// remove deletes a key if it is there.
func (e *etcd) remove(key string) {
	if i, found := e.find(key); found {
		e.rev++
		e.kvs = slices.Delete(e.kvs, i, i+1)
		e.tell(dcs.KV{Key: key, ModRevision: e.rev}, true)
	}
}

func (e *etcd) find(key string) (int, bool) {
	return slices.BinarySearchFunc(e.kvs, key, func(kv dcs.KV, key string) int { return strings.Compare(kv.Key, key) })
}

// get gives a key; nil if it is absent.
func (e *etcd) get(key string) *dcs.KV {
	if i, found := e.find(key); found {
		kv := e.kvs[i]
		return &kv
	}
	return nil
}

// text gives the value of a key, empty if it is absent.
func (e *etcd) text(key string) string {
	if kv := e.get(key); kv != nil {
		return string(kv.Value)
	}
	return ""
}

// tell sends a change to all watchers and shows it to the checks.
func (e *etcd) tell(kv dcs.KV, deleted bool) {
	if kv.Key == dcs.KeyLeader {
		if deleted {
			e.w.tracef(nil, "etcd", "leader key is gone (revision %d)", e.rev)
		} else {
			e.w.tracef(nil, "etcd", "leader key = %s on lease %d (revision %d)", kv.Value, kv.Lease, e.rev)
		}
	}
	e.w.sees(e.w, kv, deleted)
	e.w.check.key(kv, deleted)
	for _, n := range e.w.nodes {
		if n.store != nil {
			n.store.send(kv, deleted)
		}
	}
}

// grant makes a lease.
func (e *etcd) grant(ttl time.Duration) int64 {
	e.lastID++
	e.leases[e.lastID] = &lease{ttl: ttl}
	e.keep(e.lastID)
	return e.lastID
}

// keep renews a lease; false if there is none.
func (e *etcd) keep(id int64) bool {
	l, ok := e.leases[id]
	if !ok {
		return false
	}
	if l.end != nil {
		l.end.dead = true
	}
	// Expired leases are looked for every 500 ms. Source: etcd 3.6, server/lease/lessor.go.
	ttl := l.ttl - time.Duration(int64(l.ttl)>>20*e.skew)
	l.earliest = e.w.now + ttl
	l.end = e.w.after(ttl+e.w.between(0, 500*time.Millisecond), func() { e.expire(id) })
	return true
}

// expire ends a lease with everything that hangs on it.
func (e *etcd) expire(id int64) {
	if !e.up {
		return // nobody is there to count; see restart
	}
	e.w.tracef(nil, "etcd", "lease %d has expired", id)
	e.revoke(id)
}

// revoke ends a lease, if it is there, with everything that hangs on it.
func (e *etcd) revoke(id int64) {
	if l := e.leases[id]; l != nil {
		l.end.dead = true
	}
	delete(e.leases, id)
	for _, kv := range slices.Clone(e.kvs) {
		if kv.Lease == id {
			e.remove(kv.Key)
		}
	}
}

// restart brings etcd back. A new leader of etcd gives each lease its whole time again.
func (e *etcd) restart() {
	e.up = true
	for id := int64(1); id <= e.lastID; id++ {
		e.keep(id)
	}
}
