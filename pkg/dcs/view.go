package dcs

import (
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
	v := &cluster.View{Revision: revision}
	var legacy cluster.Status
	for _, kv := range kvs {
		if kv.Key == KeyLegacyOptime {
			legacy = cluster.Status{Present: true, Optime: cluster.LSN(readUnsigned(kv.Value))}
			continue
		}
		decodeKey(v, kv)
	}
	if !v.Status.Present {
		v.Status = legacy
	}
	slices.SortFunc(v.Members, func(a, b cluster.Member) int { return strings.Compare(a.Name, b.Name) })
	return v
}

func decodeKey(v *cluster.View, kv KV) {
	switch kv.Key {
	case KeyInitialize:
		v.Initialize = cluster.Initialize{Present: true, Value: string(kv.Value), Revision: kv.ModRevision}
	case KeyConfig:
		v.Config = cluster.Document{Present: true, Raw: kv.Value, Revision: kv.ModRevision}
	case KeyLeader:
		v.Leader = cluster.Leader{Present: true, Name: string(kv.Value), Revision: kv.ModRevision, Lease: kv.Lease}
	case KeyStatus:
		v.Status = DecodeStatus(kv.Value)
	case KeyFailover:
		v.Failover = DecodeFailover(kv.Value)
		v.Failover.Revision = kv.ModRevision
	case KeySync:
		v.Sync = DecodeSync(kv.Value)
		v.Sync.Revision = kv.ModRevision
	case KeyHistory:
		v.History = DecodeHistory(kv.Value)
	case KeyFailsafe:
		v.Failsafe, v.FailsafeRevision = DecodeFailsafe(kv.Value), kv.ModRevision
	default:
		if name, ok := memberName(kv.Key); ok {
			m := DecodeMember(name, kv.Value)
			m.Lease = kv.Lease
			v.Members = append(v.Members, m)
		}
	}
}
