package sim

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// mirror is a watched copy of the keys. A key never goes back to an older revision, whichever way the news
// come: by a read of everything, by the watch, by a request of our own.
type mirror struct {
	known    bool // everything was read once
	revision int64
	entries  []entry // sorted by key
	count    int
	expected []entry // own writes under way, whose events are no news
	cached   *cluster.View
	decoder  *dcs.Decoder
	bare     *bareMembers
}

type entry struct {
	dcs.KV
	deleted bool
	learned int
}

func copyKeys(kvs []dcs.KV) []dcs.KV { return append([]dcs.KV(nil), kvs...) }

func (m *mirror) find(key string) (int, bool) {
	return slices.BinarySearchFunc(m.entries, key, func(e entry, key string) int { return strings.Compare(e.Key, key) })
}

func (m *mirror) get(key string) (dcs.KV, bool) {
	if i, found := m.find(key); found && !m.entries[i].deleted {
		return m.entries[i].KV, true
	}
	return dcs.KV{}, false
}

// install takes over a read of everything that began when count was since. It reports whether it was used.
func (m *mirror) install(revision int64, kvs []dcs.KV, since int) bool {
	if m.known && revision < m.revision {
		return false
	}
	old := m.entries
	m.entries = make([]entry, 0, len(kvs))
	for _, kv := range kvs {
		m.entries = append(m.entries, entry{KV: kv})
	}
	m.known, m.revision, m.cached = true, revision, nil
	for _, e := range old {
		if e.learned > since && e.ModRevision > revision {
			m.set(e)
		}
	}
	return true
}

// expect announces own writes, or takes them back.
func (m *mirror) expect(own []dcs.KV, gone []string, under bool) {
	if !under {
		m.expected = nil
		return
	}
	for _, kv := range own {
		m.expected = append(m.expected, entry{KV: kv})
	}
	for _, key := range gone {
		m.expected = append(m.expected, entry{KV: dcs.KV{Key: key}, deleted: true})
	}
}

// event takes over one event of the watch and reports whether it is a reason to look.
func (m *mirror) event(kv dcs.KV, deleted bool) bool {
	if kv.ModRevision <= m.revision {
		return false
	}
	m.revision = kv.ModRevision
	for _, own := range m.expected {
		if own.Key == kv.Key && own.deleted == deleted && own.Lease == kv.Lease && bytes.Equal(own.Value, kv.Value) {
			m.set(entry{KV: kv, deleted: deleted})
			return false
		}
	}
	return m.set(entry{KV: kv, deleted: deleted})
}

// learn takes over what a request of our own wrote or read.
func (m *mirror) learn(kv dcs.KV, deleted bool) bool {
	m.count++
	return m.set(entry{KV: kv, deleted: deleted, learned: m.count})
}

func (m *mirror) set(e entry) bool {
	i, found := m.find(e.Key)
	if !found {
		m.entries, m.cached = slices.Insert(m.entries, i, e), nil
		return !e.deleted
	}
	old := m.entries[i]
	if old.ModRevision > e.ModRevision {
		return false
	}
	m.entries[i], m.cached = e, nil
	return m.matters(old, e)
}

// matters reports whether a change is a reason to wake the loop; see dcs.Store, Changed.
func (m *mirror) matters(old, now entry) bool {
	switch {
	case old.deleted != now.deleted:
		return true
	case now.deleted, bytes.Equal(old.Value, now.Value):
		return false
	case strings.HasPrefix(now.Key, dcs.MembersPrefix):
		return !bytes.Equal(m.bare.of(old.Value), m.bare.of(now.Value))
	}
	return true
}

// bareMembers are values of member keys without log positions. All mirrors of a world share them, because each
// value comes to each of them.
type bareMembers struct{ known map[string][]byte }

func (b *bareMembers) of(value []byte) []byte {
	bare, ok := b.known[string(value)]
	if ok {
		return bare
	}
	bare = dcs.EncodeMember(dcs.DecodeMember("", value).WithoutPositions())
	if len(b.known) == 0 || len(b.known) > 100 {
		b.known = map[string][]byte{}
	}
	b.known[string(value)] = bare
	return bare
}

// view gives the copy; nil before everything was read once.
func (m *mirror) view() *cluster.View {
	if m.known && m.cached == nil {
		kvs := make([]dcs.KV, 0, len(m.entries))
		for _, e := range m.entries {
			if !e.deleted {
				kvs = append(kvs, e.KV)
			}
		}
		m.cached = m.decoder.View(m.revision, kvs)
	}
	return m.cached
}

// send lets the watch carry one event to the agent.
func (s *store) send(kv dcs.KV, deleted bool) {
	d, arrives := s.w.net.carry(s.w.etcdHost(), s.n.number)
	if !arrives || s.behind {
		s.behind = true
		return
	}
	s.arrives = max(s.arrives, s.w.now+d)
	s.w.at(s.arrives, func() {
		s.p.run(func() {
			if s.mirror.event(kv, deleted) {
				s.n.wake()
			}
		})
	})
}

// watch looks after the watch: it is found to be broken when nothing has come over it for a while, and then
// everything is read anew.
func (s *store) watch() {
	if s.p.dead {
		return
	}
	s.w.after(s.w.between(time.Second, 2*time.Second), func() { s.p.run(s.watch) })
	if !s.w.etcd.up || !s.w.net.linked(s.n.number, s.w.etcdHost()) {
		s.behind = true
		if s.mirror.known {
			s.failed(&s.watching)
		}
		return
	}
	if s.behind {
		s.resync()
	}
}

// is takes down which etcd has answered. Revisions of another one count for nothing.
func (s *store) is(id int) {
	if s.etcd != id {
		s.etcd, s.mirror.known, s.mirror.revision = id, false, 0
	}
}

// resync reads everything and watches on from there.
func (s *store) resync() {
	d, arrives := s.w.net.carry(s.w.etcdHost(), s.n.number)
	if !arrives {
		return
	}
	s.behind = false
	e := s.w.etcd
	rev, kvs, began, id := e.rev, copyKeys(e.kvs), s.mirror.count, e.id
	s.arrives = max(s.arrives, s.w.now+2*d)
	s.w.at(s.arrives, func() {
		s.p.run(func() {
			s.lastSeen = s.n.clock.Wall()
			s.recovered(&s.watching)
			s.is(id)
			if s.mirror.install(rev, kvs, began) {
				s.n.wake()
			}
		})
	})
}
