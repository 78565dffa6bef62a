package testetcd

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// Fill writes to member 0 until its database is as large as its quota allows, which raises etcd's alarm NOSPACE. What it
// gives makes room again and takes the alarm away, as a person does.
func (c *Cluster) Fill() (relieve func()) {
	c.t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatalf("testetcd: %v", err)
	}
	c.t.Cleanup(func() { client.Close() })
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	for value := strings.Repeat("x", 64<<10); err == nil; {
		_, err = client.Put(ctx, "/filler", value)
	}
	if !errors.Is(err, rpctypes.ErrNoSpace) {
		c.t.Fatalf("testetcd: fill the database: %v", err)
	}
	return func() {
		c.t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		last, err := client.Delete(ctx, "/filler")
		if err == nil {
			_, err = client.Compact(ctx, last.Header.Revision, clientv3.WithCompactPhysical())
		}
		for _, e := range c.Endpoints() {
			if err == nil {
				_, err = client.Defragment(ctx, e)
			}
		}
		if err == nil {
			_, err = client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		}
		if err != nil {
			c.t.Fatalf("testetcd: make room: %v", err)
		}
	}
}
