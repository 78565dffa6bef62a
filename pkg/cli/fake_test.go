package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// fakeCluster stands for etcd and the members. The REST API of a member that has no answer can't be reached.
type fakeCluster struct {
	views   []*cluster.View
	down    error // of etcd
	reads   int
	written []cluster.FailoverRequest
	configs []string                // as they were written to /config
	sent    []string                // requests other than GET
	lost    int                     // so many writes of /config lose the race
	removed []string                // scopes
	answers map[string][]ctl.Answer // by "METHOD host/path", the last one again and again
}

func (f *fakeCluster) Snapshot(context.Context, string) (*cluster.View, error) {
	if f.down != nil {
		return nil, f.down
	}
	v := f.views[min(f.reads, len(f.views)-1)]
	f.reads++
	return v, nil
}

func (f *fakeCluster) PutFailover(_ context.Context, _ string, r cluster.FailoverRequest, _ int64) (bool, error) {
	f.written = append(f.written, r)
	return true, nil
}

func (f *fakeCluster) PutConfig(_ context.Context, _ string, raw []byte, _ int64) (bool, error) {
	if f.lost > 0 {
		f.lost--
		return false, nil
	}
	f.configs = append(f.configs, string(raw))
	return true, nil
}

func (f *fakeCluster) DeleteCluster(_ context.Context, scope string) (int64, error) {
	f.removed = append(f.removed, scope)
	return 7, nil
}

func (f *fakeCluster) Do(_ context.Context, method, url string, _ []byte) (ctl.Answer, error) {
	key := method + " " + strings.Replace(strings.TrimPrefix(url, "http://"), ":8008", "", 1)
	if method != "GET" {
		f.sent = append(f.sent, key)
	}
	list := f.answers[key]
	if len(list) == 0 {
		return ctl.Answer{}, ctl.NotSent(fmt.Errorf("connection refused"))
	}
	if len(list) > 1 {
		f.answers[key] = list[1:]
	}
	return list[0], nil
}

func answer(status int, body string) []ctl.Answer { return []ctl.Answer{{Status: status, Body: body}} }

// demo is a cluster of three with node1 leading.
func demo(change func(v *cluster.View)) *cluster.View {
	v := &cluster.View{
		Initialize: cluster.Initialize{Present: true, Value: "7593529639153778709"},
		Leader:     cluster.Leader{Present: true, Name: "node1"},
		Status:     cluster.Status{Optime: 0x4000060},
	}
	for i, name := range []string{"node1", "node2", "node3"} {
		m := cluster.Member{
			Name: name, APIURL: "http://" + name + ":8008/patroni", ConnURL: fmt.Sprintf("postgres://10.0.0.%d:5432/postgres", i+1),
			State: "running", Timeline: 1,
		}
		if i > 0 {
			m.ReplicationState, m.ReceiveLSN, m.ReplayLSN = "streaming", 0x4000060, 0x4000060
		}
		v.Members = append(v.Members, m)
	}
	if change != nil {
		change(v)
	}
	return v
}

func led(name string) *cluster.View { return demo(func(v *cluster.View) { v.Leader.Name = name }) }

// run executes one command line as the program of that name, with everything it prints in one text.
func run(t *testing.T, f *fakeCluster, program, input string, args ...string) (string, int) {
	t.Helper()
	var all bytes.Buffer
	code := runApart(t, f, program, input, &all, &all, args...)
	return all.String(), code
}

// runApart keeps the two streams apart.
func runApart(t *testing.T, f *fakeCluster, program, input string, out, errs io.Writer, args ...string) int {
	t.Helper()
	e := newEnv(program, strings.NewReader(input), out, errs)
	e.getenv = func(string) string { return "" }
	e.now = func() time.Time { return time.Date(2026, 11, 23, 2, 30, 30, 332649000, time.Local) }
	e.connect = func(context.Context) (*session, error) {
		control := &ctl.Control{Store: f, REST: f, Now: e.now, Log: newLogger(errs, e.getenv)}
		scopes := func(context.Context) ([]string, error) { return []string{"demo", "other"}, nil }
		return &session{scope: "demo", api: "http://node2:8008/patroni", control: control, scopes: scopes, close: func() {}}, nil
	}
	return e.execute(t.Context(), args)
}

// withoutTables replaces each table by one line.
func withoutTables(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "+") || strings.HasPrefix(line, "|") {
			if len(lines) == 0 || lines[len(lines)-1] != "…\n" {
				lines = append(lines, "…\n")
			}
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}
