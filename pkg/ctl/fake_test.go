package ctl_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// fakeStore gives one view after the other and stays with the last.
type fakeStore struct {
	views   []*cluster.View
	reads   int
	written []cluster.FailoverRequest
	refuse  bool
}

func (s *fakeStore) Snapshot(context.Context, string) (*cluster.View, error) {
	v := s.views[min(s.reads, len(s.views)-1)]
	s.reads++
	return v, nil
}

func (s *fakeStore) PutFailover(_ context.Context, _ string, r cluster.FailoverRequest, revision int64) (bool, error) {
	if s.refuse || revision != s.views[min(s.reads, len(s.views))-1].Failover.Revision {
		return false, nil
	}
	s.written = append(s.written, r)
	return true, nil
}

func (s *fakeStore) PutConfig(context.Context, string, []byte, int64) (bool, error) {
	return false, errors.New("nobody should write the configuration")
}

func (s *fakeStore) DeleteCluster(context.Context, string) (int64, error) {
	return 0, errors.New("nobody should remove a cluster")
}

// fakeREST answers by host; it keeps the requests.
type fakeREST struct {
	answers  map[string][]any // ctl.Answer or error, the last one again and again
	requests []string
}

func (r *fakeREST) Do(_ context.Context, method, url string, body []byte) (ctl.Answer, error) {
	r.requests = append(r.requests, strings.TrimSpace(method+" "+url+" "+string(body)))
	host := strings.Split(url, "/")[2]
	list := r.answers[host]
	if len(list) == 0 {
		return ctl.Answer{}, ctl.NotSent(fmt.Errorf("connection to %s refused", host))
	}
	if len(list) > 1 {
		r.answers[host] = list[1:]
	}
	if err, ok := list[0].(error); ok {
		return ctl.Answer{}, err
	}
	return list[0].(ctl.Answer), nil
}

var errLost = errors.New("connection reset after the request was sent")

// demo is a cluster of three with node1 leading.
func demo(change func(v *cluster.View)) *cluster.View {
	v := &cluster.View{Leader: cluster.Leader{Present: true, Name: "node1"}}
	for _, n := range []string{"node1", "node2", "node3"} {
		v.Members = append(v.Members, cluster.Member{Name: n, APIURL: "http://" + n + ":8008/patroni", State: "running"})
	}
	if change != nil {
		change(v)
	}
	return v
}

func led(name string) *cluster.View { return demo(func(v *cluster.View) { v.Leader.Name = name }) }

func config(v *cluster.View, text string) {
	v.Config = cluster.Document{Present: true, Raw: []byte(text)}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	got := ""
	if err != nil {
		got = err.Error()
	}
	if got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func wantEqual(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
