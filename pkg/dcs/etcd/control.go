package etcd

import (
	"context"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// The operations of the control commands. Each is one request in the normal case.

func (c *Client) base(scope string) string { return dcs.Base(c.namespace, scope) }

func (c *Client) once() limits { return limits{budget: c.budget} }

// Snapshot reads all keys of a cluster at one revision, linearizably. A cluster that does not exist gives
// an empty view.
func (c *Client) Snapshot(ctx context.Context, scope string) (*cluster.View, error) {
	base := c.base(scope)
	resp, err := c.rangeAll(ctx, c.once(), fmt.Sprintf("read cluster %q", scope), base)
	if err != nil {
		return nil, err
	}
	return dcs.DecodeView(resp.Header.Revision, relative(base, resp.Kvs)), nil
}

// Scopes gives the names of the clusters in the namespace, sorted.
func (c *Client) Scopes(ctx context.Context) ([]string, error) {
	req := &pb.RangeRequest{Key: []byte(c.namespace), RangeEnd: prefixEnd(c.namespace), KeysOnly: true}
	var resp *pb.RangeResponse
	err := c.call(ctx, c.once(), "list clusters under "+c.namespace, func(ctx context.Context, a *attempt) (err error) {
		resp, err = c.kv.Range(ctx, req, a.unary()...)
		return err
	})
	if err != nil {
		return nil, err
	}
	var scopes []string
	for _, kv := range resp.Kvs { // sorted by key, so keys of one cluster are neighbours
		scope, _, ok := strings.Cut(string(kv.Key[len(c.namespace):]), "/")
		if ok && (len(scopes) == 0 || scopes[len(scopes)-1] != scope) {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return scopes, nil
}

// PutConfig writes /config if its revision is still the one given; zero means it must not exist.
func (c *Client) PutConfig(ctx context.Context, scope string, raw []byte, revision int64) (bool, error) {
	return c.put(ctx, scope, dcs.KeyConfig, raw, revision)
}

// PutFailover writes /failover if its revision is still the one given; zero means it must not exist. An
// empty request is written as {}.
func (c *Client) PutFailover(ctx context.Context, scope string, req cluster.FailoverRequest, revision int64) (bool, error) {
	return c.put(ctx, scope, dcs.KeyFailover, dcs.EncodeFailover(req), revision)
}

func (c *Client) put(ctx context.Context, scope, name string, value []byte, revision int64) (bool, error) {
	out, err := c.write(ctx, c.once(), putAt(c.base(scope)+name, value, revision))
	return out.ok, err
}

// putAt is a write of a key that must still be of a revision.
func putAt(key string, value []byte, revision int64) write {
	return write{
		what: "write " + key, key: key, compares: []*pb.Compare{revisionIs(key, revision)},
		ops: []*pb.RequestOp{put(key, value, 0)}, done: holds(value),
	}
}

// DeleteCluster removes every key of a cluster and gives how many there were.
func (c *Client) DeleteCluster(ctx context.Context, scope string) (int64, error) {
	base := c.base(scope)
	if scope == "" {
		return 0, fmt.Errorf("remove cluster: the name is empty, which would remove all under %s", c.namespace)
	}
	var deleted int64
	req := &pb.DeleteRangeRequest{Key: []byte(base), RangeEnd: prefixEnd(base)}
	err := c.call(ctx, c.once(), fmt.Sprintf("remove cluster %q", scope), func(ctx context.Context, a *attempt) error {
		resp, err := c.kv.DeleteRange(ctx, req, a.unary()...)
		if err == nil {
			deleted = resp.Deleted
		}
		return err
	})
	return deleted, err
}

// ReleaseLeader deletes the leader key if it holds the name and hangs on the lease. It is for whoever acts
// in the place of an agent that is gone: a new agent of the same name has another lease and is safe from it.
func (c *Client) ReleaseLeader(ctx context.Context, scope, name string, lease int64) (bool, error) {
	key := c.base(scope) + dcs.KeyLeader
	out, err := c.write(ctx, c.once(), write{
		what: "release " + key, key: key, compares: []*pb.Compare{valueIs(key, name), leaseIs(key, lease)},
		ops: []*pb.RequestOp{remove(key)}, done: gone,
	})
	return out.ok, err
}

// RevokeLease ends a lease with all keys on it: the leader key, if it hangs there, and the member key. A lease
// that is gone already is as good. It is for whoever acts in the place of an agent that no longer may: unlike
// the deletion of the key, it can't hit a later reign, because a lease never comes back.
func (c *Client) RevokeLease(ctx context.Context, lease int64) error {
	err := c.call(ctx, c.once(), fmt.Sprintf("revoke lease %x", lease), func(ctx context.Context, a *attempt) error {
		_, err := c.lease.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease}, a.unary()...)
		return err
	})
	if isLeaseLost(err) {
		return nil
	}
	return err
}
