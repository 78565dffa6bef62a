//go:build patroni

package patroni

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// watchHeirs follows the keys of a cluster, each change of them, and reports everybody who took the lock without
// being named by /sync at that very revision. The test ends if none has taken it. It is over when the function that
// it gives is called.
func watchHeirs(c *testcluster.Cluster) (stop func()) {
	c.T.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: c.Etcd.Endpoints(), Logger: zap.NewNop()})
	if err != nil {
		c.T.Fatal(err)
	}
	v := c.View()
	sync, leader := v.Sync, v.Leader.Name
	ctx, cancel := context.WithCancel(context.Background())
	var strangers, heirs []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		base := "/service/" + c.Scope + "/"
		for answer := range client.Watch(ctx, base, clientv3.WithPrefix(), clientv3.WithRev(v.Revision+1)) {
			// Two keys of one transaction have one revision, so the second counts for the first.
			for _, e := range answer.Events {
				if string(e.Kv.Key) == base+"sync" {
					sync = dcs.DecodeSync(e.Kv.Value)
				}
			}
			for _, e := range answer.Events {
				name := string(e.Kv.Value)
				if string(e.Kv.Key) != base+"leader" || name == "" || name == leader {
					continue
				}
				leader, heirs = name, append(heirs, name)
				if sync.Leader != "" && !sync.Has(name) {
					strangers = append(strangers, name+" beside "+sync.Leader+" with "+strings.Join(sync.Standbys, ","))
				}
			}
		}
	}()
	return func() {
		c.T.Helper()
		cancel()
		<-done
		client.Close()
		c.T.Logf("took the lock: %v", heirs)
		if len(heirs) == 0 {
			c.T.Error("nobody has taken the lock")
		}
		for _, s := range strangers {
			c.T.Errorf("took the lock without being named by /sync: %s", s)
		}
	}
}
