package etcd

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// mirror is the local copy of a cluster's keys. It is fed from three sides: whole reads, the events of the
// watch, and single keys that a request of our own wrote or read. A key never goes back to an older
// revision, so it does not matter in which order the three arrive. It is not safe for concurrent use.
type mirror struct {
	revision int64 // all events up to this revision are in
	entries  map[string]entry
	count    uint64 // of learned keys, ever; orders them against the beginning of a read
	// expected are the writes of our own that are under way: their event may come before their answer, and
	// is no news then either.
	expected map[string]entry
	decoder  dcs.Decoder
}

type entry struct {
	dcs.KV
	// deleted entries stay, at the revision at which the key was known to be absent, until the revision of
	// the whole has passed it: an event from before may still arrive.
	deleted bool
	learned uint64
}

// install replaces the copy by a whole read that began when count was since. What was learned from our own
// requests after that may be newer than the read and is kept if it is. Revisions from before the read count
// for nothing: an etcd that was restored from a backup begins again lower.
func (m *mirror) install(revision int64, kvs []dcs.KV, since uint64) {
	entries := make(map[string]entry, len(kvs))
	for _, kv := range kvs {
		entries[kv.Key] = entry{KV: kv}
	}
	for key, e := range m.entries {
		if e.learned > since && e.ModRevision > revision {
			entries[key] = e
		}
	}
	m.revision, m.entries = revision, entries
}

// event takes over one event of the watch. It reports whether that was news that matters.
func (m *mirror) event(kv dcs.KV, deleted bool) bool {
	if kv.ModRevision <= m.revision {
		return false
	}
	own, expected := m.expected[kv.Key]
	expected = expected && own.deleted == deleted && own.Lease == kv.Lease && bytes.Equal(own.Value, kv.Value)
	return m.set(entry{KV: kv, deleted: deleted}) && !expected
}

// expect announces writes of our own; settled takes them back when the outcome is known.
func (m *mirror) expect(own []entry) {
	if m.expected == nil {
		m.expected = map[string]entry{}
	}
	for _, e := range own {
		m.expected[e.Key] = e
	}
}

func (m *mirror) settled(own []entry) {
	for _, e := range own {
		delete(m.expected, e.Key)
	}
}

// advance says that all events up to a revision have been delivered.
func (m *mirror) advance(revision int64) {
	m.revision = max(m.revision, revision)
	maps.DeleteFunc(m.entries, func(_ string, e entry) bool { return e.deleted && e.ModRevision <= m.revision })
}

// learn takes over what a request of our own wrote or read: the key as it was at a revision. It reports
// whether that was news that matters.
func (m *mirror) learn(kv dcs.KV, deleted bool) bool {
	m.count++
	return m.set(entry{KV: kv, deleted: deleted, learned: m.count})
}

func (m *mirror) set(e entry) bool {
	old, known := m.entries[e.Key]
	// At the same revision it is the same content, but what etcd tells knows the creation of the key, which
	// is only assumed after a write of our own.
	if known && old.ModRevision > e.ModRevision {
		return false
	}
	if m.entries == nil {
		m.entries = map[string]entry{}
	}
	if e.deleted && !known {
		old.deleted = true
	}
	m.entries[e.Key] = e
	return m.matters(old, e)
}

// get gives a key that exists; the zero value if it does not.
func (m *mirror) get(key string) (dcs.KV, bool) {
	if e, ok := m.entries[key]; ok && !e.deleted {
		return e.KV, true
	}
	return dcs.KV{}, false
}

func (m *mirror) view() *cluster.View {
	kvs := make([]dcs.KV, 0, len(m.entries))
	for _, key := range slices.Sorted(maps.Keys(m.entries)) {
		if e := m.entries[key]; !e.deleted {
			kvs = append(kvs, e.KV)
		}
	}
	return m.decoder.View(m.revision, kvs)
}

// matters reports whether a change is a reason to wake the loop. A put of the same value is not (a lease
// was moved), and a member whose log positions moved on is not either: each member writes its position in
// each turn, and members that woke each other by that would never rest again.
func (m *mirror) matters(old, now entry) bool {
	switch {
	case old.deleted != now.deleted:
		return true
	case now.deleted, old.Key == now.Key && bytes.Equal(old.Value, now.Value):
		return false
	case old.Key == now.Key && strings.HasPrefix(now.Key, dcs.MembersPrefix):
		was, is := m.decoder.Member(old.Key, old.Value), m.decoder.Member(now.Key, now.Value)
		return !reflect.DeepEqual(was.WithoutPositions(), is.WithoutPositions())
	}
	return true
}
