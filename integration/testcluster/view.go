package testcluster

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// View reads the cluster's keys from etcd; nil while etcd does not answer.
func (c *Cluster) View() *cluster.View {
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Etcd.Endpoints(), DialTimeout: time.Second, Logger: zap.NewNop()})
	if err != nil {
		return nil
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	base := "/service/" + c.Scope + "/"
	answer, err := client.Get(ctx, base, clientv3.WithPrefix())
	if err != nil {
		return nil
	}
	var kvs []dcs.KV
	for _, kv := range answer.Kvs {
		kvs = append(kvs, dcs.KV{Key: string(kv.Key)[len(base):], Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease})
	}
	return dcs.DecodeView(answer.Header.Revision, kvs)
}
