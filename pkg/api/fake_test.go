package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

var wall = time.Date(2027, 3, 1, 9, 10, 12, 0, time.UTC)

// world is a node and its etcd, as far as the API sees them.
type world struct {
	clock *clock.Fake

	mu         sync.Mutex
	snapshot   Snapshot
	view       *cluster.View
	updated    chan struct{}
	woken      int
	calls      []string
	err        error // what restart and reinitialize answer
	storeErr   error // what reads and writes of etcd answer
	races      int   // writes that lose their race
	peers      map[string]cluster.PeerStatus
	onFailover func(w *world, req cluster.FailoverRequest)
	look       func(*cluster.Server) // how the server has gone on since the snapshot
	hang       chan struct{}         // if not nil, the server and etcd answer when it is closed
}

func newWorld() *world {
	w := &world{clock: clock.NewFake(clock.Instant(time.Hour), wall), updated: make(chan struct{})}
	w.view = &cluster.View{
		Revision: 10,
		Config:   cluster.Document{Present: true, Raw: []byte(`{"ttl":30,"loop_wait":10}`), Revision: 3},
		Leader:   cluster.Leader{Present: true, Name: "db1"},
		Status:   cluster.Status{Present: true, Optime: 67393056},
		Members: []cluster.Member{
			{Name: "db1", ConnURL: "postgres://192.0.2.11:5432/postgres", APIURL: "http://192.0.2.11:8008/patroni", State: cluster.StateRunning, Timeline: 3},
			{
				Name: "db2", ConnURL: "postgres://192.0.2.12:5432/postgres", APIURL: "http://192.0.2.12:8008/patroni", State: cluster.StateRunning,
				ReplicationState: "streaming", Timeline: 3, Tags: cluster.Tags{"zone": "b"}, XLogLocation: 67393056, ReceiveLSN: 67393056, ReplayLSN: 67393056,
			},
		},
	}
	w.peers = map[string]cluster.PeerStatus{"db2": {Reachable: true, InRecovery: true, Position: 67393056}}
	w.snapshot = primarySnapshot(w.clock.Now())
	w.snapshot.View = w.view
	return w
}

func primarySnapshot(now clock.Instant) Snapshot {
	return Snapshot{
		Scope: "shop", Name: "db1", Taken: now, State: cluster.StateRunning, Role: cluster.RolePrimary,
		Settings: cluster.DefaultSettings(), ViewConfirmed: now, LockUntil: now.Add(20 * time.Second), NextRun: now.Add(10 * time.Second),
		DCSLastSeen: time.Unix(1803974999, 0),
		Server: cluster.Server{
			Data: cluster.DataPresent, SystemID: "7400000000000000017", Version: 170002, State: cluster.StateRunning, Process: cluster.ProcessRunning,
			PostmasterStart: time.Date(2027, 3, 1, 8, 0, 12, 104233000, time.UTC), Answered: true, Timeline: 3, FlushLSN: 67393056,
			Senders: []cluster.Sender{{User: "repl", ApplicationName: "db2", ClientAddr: "192.0.2.12", State: "streaming", SyncState: "sync", SyncPriority: 1}},
		},
	}
}

// asReplica turns the world's own node into the replica db2.
func (w *world) asReplica() {
	s := &w.snapshot
	s.Name, s.Role, s.LockUntil = "db2", cluster.RoleReplica, 0
	s.DCSLastSeen = time.Unix(1803975001, 0)
	s.Server.PostmasterStart = time.Date(2027, 3, 1, 8, 1, 2, 501000, time.UTC)
	s.Server.InRecovery, s.Server.FlushLSN, s.Server.Senders = true, 0, nil
	s.Server.ReceiveLSN, s.Server.ReplayLSN = 67393056, 67393056
	s.Server.ReplayTimestamp = time.Date(2027, 3, 1, 9, 10, 11, 500012000, time.UTC)
	s.Server.ReceiverStatus = "streaming"
}

func (w *world) Snapshot() *Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.snapshot
	return &s
}

// Look sees a server that has gone on since the loop last looked.
func (w *world) Look(context.Context) *Snapshot {
	s := w.Snapshot()
	if w.hang != nil {
		<-w.hang
	}
	if w.look != nil {
		w.look(&s.Server)
	}
	return s
}

func (w *world) Updated() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.updated
}

func (w *world) Wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.woken++
}

// change changes the view as another member would, and tells those who wait.
func (w *world) change(f func(v *cluster.View)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changeLocked(f)
}

func (w *world) changeLocked(f func(v *cluster.View)) {
	v := *w.view
	v.Revision++
	f(&v)
	w.view = &v
	w.snapshot.View = &v
	close(w.updated)
	w.updated = make(chan struct{})
}

func (w *world) call(name string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, name)
	return w.err
}

func (w *world) called() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.calls, " ")
}

func (w *world) Restart(context.Context, RestartRequest) error { return w.call("restart") }
func (w *world) ScheduleRestart(cluster.ScheduledRestart, time.Time) error {
	return w.call("plan")
}
func (w *world) CancelScheduledRestart() error                  { return w.call("cancel") }
func (w *world) Reinitialize(context.Context, bool, bool) error { return w.call("reinitialize") }
func (w *world) Reload()                                        { _ = w.call("reload") }
func (w *world) Failsafe(q cluster.FailsafeQuestion) (cluster.LSN, error) {
	return 77, w.call("failsafe " + q.Name + " " + q.TTL.String())
}

func (w *world) Ask(_ context.Context, members []cluster.Member) (l []cluster.PeerStatus) {
	for _, m := range members {
		l = append(l, w.peers[m.Name])
	}
	return l
}

func (w *world) Latest() (*cluster.View, dcs.Health) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view, dcs.Health{}
}

func (w *world) Refresh(context.Context) (*cluster.View, error) {
	if w.hang != nil {
		<-w.hang
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.view, w.storeErr
}

func (w *world) lost() bool {
	if w.races == 0 {
		return false
	}
	w.races--
	return true
}

func (w *world) PutConfig(_ context.Context, raw []byte, revision int64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil || w.lost() || revision != w.view.Config.Revision {
		return false, w.storeErr
	}
	w.changeLocked(func(v *cluster.View) {
		v.Config = cluster.Document{Present: true, Raw: raw, Revision: v.Revision}
	})
	return true, nil
}

func (w *world) PutFailover(_ context.Context, req cluster.FailoverRequest, revision int64) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.storeErr != nil || w.lost() || revision != w.view.Failover.Revision {
		return false, w.storeErr
	}
	w.changeLocked(func(v *cluster.View) {
		v.Failover = req
		v.Failover.Revision = v.Revision
	})
	if w.onFailover != nil {
		go w.onFailover(w, req)
	}
	return true, nil
}

// start serves the world on a port of its own and gives its address.
func (w *world) start(t *testing.T, settings Settings) string {
	t.Helper()
	address, _ := w.serve(t, settings)
	return address
}

// serve is start for those who change the server's settings later.
func (w *world) serve(t *testing.T, settings Settings) (string, *Server) {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	return l.Addr().String(), w.serveOn(t, l, settings)
}

// serveOn is serve on a listener of the test's own.
func (w *world) serveOn(t *testing.T, l net.Listener, settings Settings) *Server {
	t.Helper()
	server, err := New(Options{
		Node: w, Store: w, Peers: w, Clock: w.clock, Version: "1.2.3", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		MergePatch: func(stored, patch []byte) ([]byte, bool, error) {
			var s, p map[string]any
			if err := errors.Join(json.Unmarshal(stored, &s), json.Unmarshal(patch, &p)); err != nil {
				return nil, false, err
			}
			for k, v := range p {
				s[k] = v
			}
			merged, err := json.Marshal(s)
			return merged, string(merged) != string(stored), err
		},
		Validate: func(raw []byte) error {
			if strings.Contains(string(raw), `"abc"`) {
				return errors.New(`ttl "abc" is not a number`)
			}
			return nil
		},
	}, settings)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- server.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return server
}

// answer is one HTTP answer.
type answer struct {
	status int
	body   string
	header http.Header
}

// exchange sends raw bytes on a new connection and reads one answer.
func exchange(t *testing.T, address, method, raw string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	return exchangeOn(t, conn, bufio.NewReader(conn), method, raw)
}

func exchangeOn(t *testing.T, conn net.Conn, r *bufio.Reader, method, raw string) answer {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	return readAnswer(t, r, method, raw)
}

func readAnswer(t *testing.T, r *bufio.Reader, method, raw string) answer {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("after %q: %v", raw, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("after %q: read body: %v", raw, err)
	}
	return answer{resp.StatusCode, string(body), resp.Header}
}

// send makes one request with an optional body.
func send(t *testing.T, address, method, path, body string, headers ...string) answer {
	t.Helper()
	raw := method + " " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	if body != "" {
		raw += "Content-Length: " + itoa(len(body)) + "\r\n"
	}
	for _, h := range headers {
		raw += h + "\r\n"
	}
	return exchange(t, address, method, raw+"\r\n"+body)
}
