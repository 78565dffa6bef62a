package etcd

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// Members gives the number of voting members of the etcd cluster.
func (c *Client) Members(ctx context.Context) (int, error) {
	voting := 0
	err := c.call(ctx, c.once(), "list the members of etcd", func(ctx context.Context, a *attempt) error {
		resp, err := c.peers.MemberList(ctx, &pb.MemberListRequest{}, a.unary()...)
		voting = 0
		for _, m := range resp.GetMembers() {
			if !m.IsLearner {
				voting++
			}
		}
		return err
	})
	return voting, err
}
