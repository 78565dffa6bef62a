package dcs

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// KV is one stored key.
type KV struct {
	Key            string // relative to the base path of the cluster
	Value          []byte
	CreateRevision int64 // the revision that created the key
	ModRevision    int64 // the revision that last wrote it
	Lease          int64 // zero: none
}

// DecodeView makes a view of all the keys of a cluster as they were at a revision. It never fails: keys
// that are not known are left out, and values that can't be read count as the documentation of the
// decoders says. The view keeps the values' memory.
func DecodeView(revision int64, kvs []KV) *cluster.View {
	return new(Decoder).View(revision, kvs)
}

// Decoder makes views one after the other, and decodes only values that have changed since the one before: with
// many members each change is that of one of them. What two views have in common they share, so nothing in a view
// may be changed. The zero value is ready. It is not safe for concurrent use.
type Decoder struct {
	members map[string]decoded[cluster.Member] // by key
	status  decoded[cluster.Status]
	sync    decoded[cluster.SyncState]
	history decoded[cluster.History]
}

// decoded is a value and what it was made from.
type decoded[T any] struct {
	raw   []byte
	value T
}

// of gives what raw stands for.
func (d *decoded[T]) of(raw []byte, decode func([]byte) T) T {
	if d.raw == nil || !bytes.Equal(d.raw, raw) {
		d.raw, d.value = raw, decode(raw)
	}
	return d.value
}

// View makes a view as DecodeView does.
func (d *Decoder) View(revision int64, kvs []KV) *cluster.View {
	v := &cluster.View{Revision: revision}
	var legacy cluster.Status
	for _, kv := range kvs {
		if kv.Key == KeyLegacyOptime {
			legacy = cluster.Status{Present: true, Optime: cluster.LSN(readUnsigned(kv.Value))}
			continue
		}
		d.key(v, kv)
	}
	if !v.Status.Present {
		v.Status = legacy
	}
	slices.SortFunc(v.Members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	if len(d.members) > len(v.Members) { // of those that have left
		maps.DeleteFunc(d.members, func(key string, _ decoded[cluster.Member]) bool {
			name, _ := memberName(key)
			_, there := v.Member(name)
			return !there
		})
	}
	return v
}

// Member gives the member of a key of the members.
func (d *Decoder) Member(key string, value []byte) cluster.Member {
	name, _ := memberName(key)
	m := d.members[key]
	member := m.of(value, func(raw []byte) cluster.Member { return DecodeMember(name, raw) })
	if d.members == nil {
		d.members = map[string]decoded[cluster.Member]{}
	}
	d.members[key] = m
	return member
}

func (d *Decoder) key(v *cluster.View, kv KV) {
	switch kv.Key {
	case KeyInitialize:
		v.Initialize = cluster.Initialize{Present: true, Value: string(kv.Value), Revision: kv.ModRevision, Lease: kv.Lease}
	case KeyConfig:
		v.Config = cluster.Document{Present: true, Raw: kv.Value, Revision: kv.ModRevision}
	case KeyLeader:
		v.Leader = cluster.Leader{
			Present: true, Name: string(kv.Value), Revision: kv.ModRevision, Created: kv.CreateRevision, Lease: kv.Lease,
		}
	case KeyStatus:
		v.Status = d.status.of(kv.Value, DecodeStatus)
		v.Status.Revision = kv.ModRevision
	case KeyFailover:
		v.Failover = DecodeFailover(kv.Value)
		v.Failover.Revision = kv.ModRevision
	case KeySync:
		v.Sync = d.sync.of(kv.Value, DecodeSync)
		v.Sync.Revision = kv.ModRevision
	case KeyHistory:
		v.History = d.history.of(kv.Value, DecodeHistory)
	case KeyFailsafe:
		v.Failsafe, v.FailsafeRevision = DecodeFailsafe(kv.Value), kv.ModRevision
	default:
		if _, ok := memberName(kv.Key); ok {
			m := d.Member(kv.Key, kv.Value)
			m.Lease = kv.Lease
			v.Members = append(v.Members, m)
		}
	}
}
