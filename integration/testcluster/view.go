package testcluster

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

func (c *Cluster) etcdClient() (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: c.etcdAddresses(), DialTimeout: time.Second, Logger: zap.NewNop()})
}

// viewer keeps a client for Look, as a test looks many times a second; until a request fails, as one that has lost its way to
// etcd may take long to find it again.
type viewer struct {
	mu     sync.Mutex
	client *clientv3.Client
}

func (c *Cluster) viewClient() (*clientv3.Client, error) {
	c.viewer.mu.Lock()
	defer c.viewer.mu.Unlock()
	if c.viewer.client == nil {
		client, err := c.etcdClient()
		if err != nil {
			return nil, err
		}
		c.viewer.client = client
	}
	return c.viewer.client, nil
}

func (v *viewer) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.client != nil {
		_ = v.client.Close()
		v.client = nil
	}
}

// prefix is that of all keys of the cluster.
func (c *Cluster) prefix() string { return "/service/" + c.Scope + "/" }

// View reads the cluster's keys from etcd. It fails the test if etcd does not answer within viewLimit, which may be a moment
// after etcd has begun to serve: a client that has lost it tries again only once a second.
func (c *Cluster) View() *cluster.View {
	c.T.Helper()
	var v *cluster.View
	c.WaitFor(viewLimit, fmt.Sprintf("answer of etcd at %s", c.etcdAddresses()), func() bool { v = c.Look(); return v != nil })
	return v
}

// viewLimit is more than a busy machine needs to answer.
const viewLimit = 30 * time.Second

// Look is View for a test that has taken etcd away, or that may not fail here: nil if etcd does not answer within a second.
func (c *Cluster) Look() *cluster.View {
	client, err := c.viewClient()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	base := c.prefix()
	answer, err := client.Get(ctx, base, clientv3.WithPrefix())
	if err != nil {
		c.viewer.close()
		return nil
	}
	var kvs []dcs.KV
	for _, kv := range answer.Kvs {
		kvs = append(kvs, dcs.KV{Key: string(kv.Key)[len(base):], Value: kv.Value, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease})
	}
	return dcs.DecodeView(answer.Header.Revision, kvs)
}

// Put writes a key of the cluster as a person would; Delete removes it.
func (c *Cluster) Put(key, value string) {
	c.T.Helper()
	c.etcd(func(ctx context.Context, client *clientv3.Client, base string) error {
		_, err := client.Put(ctx, base+key, value)
		return err
	})
}

// Delete removes a key of the cluster.
func (c *Cluster) Delete(key string) {
	c.T.Helper()
	c.etcd(func(ctx context.Context, client *clientv3.Client, base string) error {
		_, err := client.Delete(ctx, base+key)
		return err
	})
}

func (c *Cluster) etcd(do func(ctx context.Context, client *clientv3.Client, base string) error) {
	c.T.Helper()
	client, err := c.etcdClient()
	if err != nil {
		c.T.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := do(ctx, client, c.prefix()); err != nil {
		c.T.Fatal(err)
	}
}

// LeaseLeft gives how much longer the leader's lease lives. etcd tells whole seconds only, so the end of
// one is waited for.
func (c *Cluster) LeaseLeft() time.Duration {
	c.T.Helper()
	v := c.View()
	if v.Leader.Lease == 0 {
		c.T.Fatal("no leader lease to look at")
	}
	client, err := c.etcdClient()
	if err != nil {
		c.T.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for last := int64(0); ; {
		answer, err := client.TimeToLive(ctx, clientv3.LeaseID(v.Leader.Lease))
		if err != nil {
			c.T.Fatal(err)
		}
		if answer.TTL < last {
			return time.Duration(answer.TTL+1) * time.Second // it has just lost a whole second
		}
		last = answer.TTL
		time.Sleep(5 * time.Millisecond) // etcd has no event for this
	}
}

// EtcdCalls gives the number of calls that the etcd members have answered so far.
func (c *Cluster) EtcdCalls() float64 {
	c.T.Helper()
	var sum float64
	for _, e := range c.Etcd.Endpoints() {
		answer, err := http.Get(e + "/metrics")
		if err != nil {
			c.T.Fatal(err)
		}
		for s := bufio.NewScanner(answer.Body); s.Scan(); {
			if line := s.Text(); strings.HasPrefix(line, "grpc_server_started_total{") {
				value, _ := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
				sum += value
			}
		}
		answer.Body.Close()
	}
	return sum
}
