package testcluster

import (
	"context"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Event is one change of a key of the cluster. Name is the key's without the prefix.
type Event struct {
	Revision int64
	Name     string
	Value    []byte
	Deleted  bool
}

// Past gives every change of the cluster's keys since it was founded, in order: an etcd of a test forgets nothing. So
// nobody has to watch while things happen, and none is missed.
func (c *Cluster) Past() []Event {
	c.T.Helper()
	var past []Event
	c.etcd(func(ctx context.Context, client *clientv3.Client, base string) error {
		ctx, cancel := context.WithTimeout(ctx, 9*time.Second)
		defer cancel()
		// Beside the cluster's keys, where nobody looks, is where to stop.
		end := strings.TrimSuffix(base, "/") + "-end"
		mark, err := client.Put(ctx, end, "")
		if err != nil {
			return err
		}
		for answer := range client.Watch(ctx, strings.TrimSuffix(base, "/"), clientv3.WithPrefix(), clientv3.WithRev(1)) {
			if err := answer.Err(); err != nil {
				return err
			}
			for _, e := range answer.Events {
				if name, ok := strings.CutPrefix(string(e.Kv.Key), base); ok {
					past = append(past, Event{
						Revision: e.Kv.ModRevision, Name: name, Value: e.Kv.Value, Deleted: e.Type == clientv3.EventTypeDelete,
					})
				}
				if e.Kv.ModRevision == mark.Header.Revision {
					return nil
				}
			}
		}
		return context.Cause(ctx)
	})
	return past
}
