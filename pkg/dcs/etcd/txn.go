package etcd

import (
	"context"

	"go.etcd.io/etcd/api/v3/mvccpb"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// write is a conditional write of one key: ops if all compares hold, otherwise key is read.
type write struct {
	what     string
	compares []*pb.Compare
	ops      []*pb.RequestOp
	key      string // absolute; read back when the compares do not hold
	guard    string // absolute; another key that the compares look at, read back as well. May be empty
	// done tells from the key's present state whether an earlier attempt, which got no answer, was the one
	// that made the compares fail. Nil where repeating is harmless. Without it that would look as if somebody
	// else had been quicker.
	done func(current *mvccpb.KeyValue) bool
}

// outcome is how a write ended.
type outcome struct {
	ok       bool // the compares held, for this attempt or an unanswered one before
	earlier  bool // it was an unanswered one before
	revision int64
	// current is the key as it was read back; nil if it is absent. Only without ok, or with earlier.
	current *mvccpb.KeyValue
	guard   *mvccpb.KeyValue // the same of the guard
	header  *pb.ResponseHeader
}

func (c *Client) write(ctx context.Context, l limits, w write) (outcome, error) {
	req := &pb.TxnRequest{Compare: w.compares, Success: w.ops, Failure: []*pb.RequestOp{get(w.key)}}
	if w.guard != "" {
		req.Failure = append(req.Failure, get(w.guard))
	}
	var out outcome
	err := c.call(ctx, l, w.what, func(ctx context.Context, a *attempt) error {
		resp, err := c.kv.Txn(ctx, req, a.unary()...)
		if err != nil {
			return err
		}
		out = outcome{ok: resp.Succeeded, revision: resp.Header.Revision, header: resp.Header}
		if resp.Succeeded {
			return nil
		}
		out.current = only(resp.Responses[0])
		if w.guard != "" {
			out.guard = only(resp.Responses[1])
		}
		if a.retried && w.done != nil && w.done(out.current) {
			out.ok, out.earlier = true, true
		}
		return nil
	})
	return out, err
}

// only gives the one key of a response, nil if it is absent.
func only(resp *pb.ResponseOp) *mvccpb.KeyValue {
	if kvs := resp.GetResponseRange().GetKvs(); len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

// rangeAll reads all keys under a prefix linearizably and gives them relative to it.
func (c *Client) rangeAll(ctx context.Context, l limits, what, prefix string) (*pb.RangeResponse, error) {
	var resp *pb.RangeResponse
	req := &pb.RangeRequest{Key: []byte(prefix), RangeEnd: prefixEnd(prefix)}
	err := c.call(ctx, l, what, func(ctx context.Context, a *attempt) (err error) {
		resp, err = c.kv.Range(ctx, req, a.unary()...)
		return err
	})
	return resp, err
}

// prefixEnd gives the first key after all that begin with a prefix. Ours end with a slash, so the last
// byte can be counted up.
func prefixEnd(prefix string) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	return end
}

func relative(prefix string, kvs []*mvccpb.KeyValue) []dcs.KV {
	out := make([]dcs.KV, 0, len(kvs))
	for _, kv := range kvs {
		out = append(out, toKV(prefix, kv))
	}
	return out
}

func toKV(prefix string, kv *mvccpb.KeyValue) dcs.KV {
	return dcs.KV{
		Key: string(kv.Key[len(prefix):]), Value: kv.Value,
		CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease,
	}
}

func valueIs(key, value string) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_VALUE, TargetUnion: &pb.Compare_Value{Value: []byte(value)}}
}

func leaseIs(key string, id int64) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_LEASE, TargetUnion: &pb.Compare_Lease{Lease: id}}
}

// revisionIs compares the revision of the last write; zero holds for an absent key.
func revisionIs(key string, revision int64) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_MOD, TargetUnion: &pb.Compare_ModRevision{ModRevision: revision}}
}

// createdIs compares the revision that created the key; zero holds for an absent key.
func createdIs(key string, revision int64) *pb.Compare {
	return &pb.Compare{Key: []byte(key), Target: pb.Compare_CREATE, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: revision}}
}

func get(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte(key)}}}
}

func put(key string, value []byte, lease int64) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
		RequestPut: &pb.PutRequest{Key: []byte(key), Value: value, Lease: lease},
	}}
}

func remove(key string) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{
		RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte(key)},
	}}
}

// holds gives the done function of a put.
func holds(value []byte) func(*mvccpb.KeyValue) bool {
	return func(current *mvccpb.KeyValue) bool { return current != nil && string(current.Value) == string(value) }
}

// gone is the done function of a deletion.
func gone(current *mvccpb.KeyValue) bool { return current == nil }
