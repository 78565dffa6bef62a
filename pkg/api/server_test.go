package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func itoa(n int) string { return strconv.Itoa(n) }

// What load balancers send, to the byte.
func TestRawRequests(t *testing.T) {
	address := newWorld().start(t, Settings{})
	for _, c := range []struct {
		name, raw string
		want      int
	}{
		{"HAProxy httpchk", "OPTIONS / HTTP/1.0\r\n\r\n", 200},
		{"HTTP/1.1 without Host", "GET /primary HTTP/1.1\r\n\r\n", 200},
		{"HTTP/1.1 without Host, bare line feeds", "GET /primary HTTP/1.1\n\n", 200},
		{"HEAD without Host", "HEAD /leader HTTP/1.1\r\nUser-Agent: x\r\n\r\n", 200},
		{"with Host", "GET /primary HTTP/1.1\r\nhost: a\r\n\r\n", 200},
		{"two slashes", "GET //leader HTTP/1.0\r\n\r\n", 200},
		{"slash at the end", "GET /leader/ HTTP/1.1\r\n\r\n", 200},
		{"whole URL", "GET http://x/liveness HTTP/1.1\r\n\r\n", 200},
		{"percent escapes are not decoded", "GET /%6ceader HTTP/1.0\r\n\r\n", 503},
		{"unknown path", "GET /nothing HTTP/1.0\r\n\r\n", 503},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\n\r\n", 503},
		{"HEAD is evaluated", "HEAD /liveness HTTP/1.0\r\n\r\n", 200},
		{"unknown method", "BREW / HTTP/1.0\r\n\r\n", 501},
		{"unknown POST", "POST /leader HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 501},
		{"DELETE failover", "DELETE /failover HTTP/1.0\r\n\r\n", 501},
		{"no length", "PATCH /config HTTP/1.1\r\n\r\n", 411},
		{"empty body", "PATCH /config HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400},
		{"nothing in it", "PATCH /config HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400},
		{"NaN", "PATCH /config HTTP/1.1\r\nContent-Length: 11\r\n\r\n{\"ttl\":NaN}", 400},
		{"chunked", "PATCH /config HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\na\r\n{\"ttl\":31}\r\n0\r\n\r\n", 200},
	} {
		method, _, _ := strings.Cut(c.raw, " ")
		if got := exchange(t, address, method, c.raw); got.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.want)
		}
	}
}

// Pipelined requests, with and without Host and with bodies between them, on one connection that dribbles.
func TestKeepAliveWithoutHost(t *testing.T) {
	address := newWorld().start(t, Settings{})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	body := "{\"x\": \"GET / HTTP/1.1\\r\\n\\r\\n\"}"
	raw := "GET /primary HTTP/1.1\r\n\r\n" +
		"POST /citus HTTP/1.1\r\nContent-Length: " + itoa(len(body)) + "\r\n\r\n" + body +
		"GET /replica HTTP/1.1\r\nHost: y\r\n\r\n" +
		"GET /leader HTTP/1.1\r\nX: 1\r\n\r\n"
	go func() {
		for i := range raw { // byte by byte, so that every border between reads is met
			if _, err := io.WriteString(conn, raw[i:i+1]); err != nil {
				return
			}
		}
	}()
	r := bufio.NewReader(conn)
	for i, want := range []int{200, 200, 503, 200} {
		if got := readAnswer(t, r, "GET", raw); got.status != want {
			t.Errorf("answer %d: %d %s, want %d", i, got.status, got.body, want)
		}
	}
}

// heldListener accepts nobody before it is let go.
type heldListener struct {
	net.Listener
	ctx context.Context
	let chan struct{}
}

func (l heldListener) Accept() (net.Conn, error) {
	select {
	case <-l.let:
	case <-l.ctx.Done():
	}
	return l.Listener.Accept()
}

// The connections are accepted when everything was sent: what a busy machine takes from one to the other is not the
// client's silence.
func TestIdleConnectionsDoNotBlock(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	held := heldListener{l, t.Context(), make(chan struct{})}
	newWorld().serveOn(t, held, Settings{})
	connect := func(raw string) net.Conn {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, raw); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	for range 2 * maxConns {
		connect("GET /prim")
	}
	const check = "GET /primary HTTP/1.0\r\n\r\n"
	conn := connect(check)
	close(held.let)
	_ = conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	if got := readAnswer(t, bufio.NewReader(conn), "GET", check); got.status != 200 {
		t.Errorf("health check beside silent clients: %d", got.status)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, err = Listen(t.Context(), l.Addr().String(), -1)
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "port is in use") {
		t.Errorf("error of a taken port: %v", err)
	}
}

func TestAccess(t *testing.T) {
	const good = "Authorization: Basic YWRtaW46c2VjcmV0" // admin:secret
	auth := Settings{Username: "admin", Password: "secret"}
	walled := auth
	walled.Allowlist = []string{"192.0.2.0/24"}
	home := auth
	home.Allowlist = []string{"127.0.0.1/8"}
	for _, c := range []struct {
		name           string
		settings       Settings
		method, header string
		path           string
		want           int
		text           string
	}{
		{"reading is free", walled, "GET", "", "/config", 200, ""},
		{"no header", auth, "POST", "", "/reload", 401, "no auth header received"},
		{"wrong password", auth, "POST", "Authorization: Basic YQ==", "/reload", 401, "not authenticated"},
		{"scheme is case-sensitive", auth, "POST", "Authorization: basic YWRtaW46c2VjcmV0", "/reload", 401, "not authenticated"},
		{"right", auth, "POST", good, "/reload", 202, "reload scheduled"},
		{"address comes first", walled, "POST", "", "/reload", 403, "Access is denied"},
		{"address, then credentials", home, "POST", "", "/reload", 401, "no auth header received"},
		{"mpp is checked too", auth, "POST", "", "/mpp", 401, "no auth header received"},
		{"unknown path is not", auth, "POST", "", "/x", 501, "Server does not support this operation: POST /x"},
		{"members only", Settings{AllowMembers: true}, "POST", "", "/reload", 403, "Access is denied"},
		{"a list of nothing usable lets nobody in", Settings{Allowlist: []string{"10.0.0.0/99"}}, "POST", "", "/reload", 403, "Access is denied"},
	} {
		var headers []string
		if c.header != "" {
			headers = append(headers, c.header)
		}
		got := send(t, newWorld().start(t, c.settings), c.method, c.path, "", headers...)
		if got.status != c.want || c.text != "" && got.body != c.text {
			t.Errorf("%s: %d %q, want %d %q", c.name, got.status, got.body, c.want, c.text)
		}
		if challenge := got.header.Get("WWW-Authenticate"); (c.want == 401) != (challenge == `Basic realm="Patroni"`) {
			t.Errorf("%s: WWW-Authenticate %q", c.name, challenge)
		}
	}
}

// Source: rest-api.md 4.6.
func TestHealthByKindOfNode(t *testing.T) {
	kinds := []func(w *world){
		func(*world) {},
		(*world).asReplica,
		func(w *world) {
			w.asReplica()
			w.snapshot.Settings.SynchronousMode = cluster.SyncOn
			w.view.Sync.Standbys = []string{"DB2"}
		},
		func(w *world) {
			w.asReplica()
			w.snapshot.Settings.SynchronousMode = cluster.SyncQuorum
			w.view.Sync.Standbys = []string{"db2"}
		},
		func(w *world) {
			until := w.snapshot.LockUntil
			w.asReplica()
			w.snapshot.LockUntil, w.snapshot.Role = until, cluster.RoleStandbyLeader
			w.snapshot.Settings.StandbyCluster = &cluster.StandbyCluster{Host: "x"}
		},
		func(w *world) { w.asReplica(); w.snapshot.Settings.StandbyCluster = &cluster.StandbyCluster{Host: "x"} },
	}
	table := map[string]string{ // y: 200; columns as in the source
		"/ /primary /read-write /master //primary": "y-----",
		"/leader":                         "y---y-",
		"/standby-leader /standby_leader": "----y-",
		"/replica /replica?lag=10MB /replica?replication_state=streaming": "-yyy-y",
		"/replica?replication_state=x":                                    "------",
		"/read-only":                                                      "yyyyyy",
		"/sync /synchronous /sync/":                                       "--y---",
		"/read-only-sync":                                                 "y-y-y-",
		"/quorum":                                                         "---y--",
		"/read-only-quorum":                                               "y--yy-",
		"/async /asynchronous":                                            "-y---y",
		"/health /healthz":                                                "yyyyyy",
		"/liveness /readiness /patroni":                                   "yyyyyy",
		"/health?tag_zone=a":                                              "------",
		"/health?tag_zone=":                                               "yyyyyy",
	}
	for column, kind := range kinds {
		w := newWorld()
		kind(w)
		address := w.start(t, Settings{})
		for paths, results := range table {
			for _, path := range strings.Fields(paths) {
				want := 503
				if results[column] == 'y' {
					want = 200
				}
				if got := send(t, address, "GET", path, ""); got.status != want {
					t.Errorf("%s on kind %d: %d, want %d: %s", path, column, got.status, want, got.body)
				}
			}
		}
	}
}

func TestHealthEdges(t *testing.T) {
	for _, c := range []struct {
		name, path string
		with       func(w *world)
		want       int
	}{
		{"lock, not yet promoted", "/primary", func(w *world) { w.snapshot.Server.InRecovery = true }, 503},
		{"lock, not yet promoted", "/leader", func(w *world) { w.snapshot.Server.InRecovery = true }, 200},
		{"lock, stopping", "/primary", func(w *world) { w.snapshot.State = cluster.StateStopping }, 503},
		{"one slow query", "/primary", func(w *world) { s := &w.snapshot.Server; s.Answered, s.SilentFor = false, 2*time.Second }, 200},
		{"silent for long", "/primary", func(w *world) { s := &w.snapshot.Server; s.Answered, s.SilentFor = false, 6*time.Second }, 503},
		{"killed", "/primary", func(w *world) { s := &w.snapshot.Server; s.Answered, s.Process = false, cluster.ProcessNone }, 503},
		{"lock ran out", "/leader", func(w *world) { w.clock.Advance(21 * time.Second) }, 503},
		{"unlocked primary", "/primary", func(w *world) { w.snapshot.LockUntil = 0 }, 503},
		{"paused without view", "/primary", func(w *world) { w.snapshot.Settings.Pause, w.snapshot.LockUntil, w.snapshot.ViewConfirmed = true, 0, 0 }, 200},
		{"lagging", "/replica?lag=1kB", func(w *world) { w.asReplica(); w.snapshot.Server.ReplayLSN -= 1025 }, 503},
		{"not lagging", "/replica?lag=1kB", func(w *world) { w.asReplica(); w.snapshot.Server.ReplayLSN -= 1024 }, 200},
		{"unreadable lag", "/replica?lag=10%20foo", (*world).asReplica, 400},
		{"unreadable lag", "/readiness?lag=10K", (*world).asReplica, 400},
		{"units", "/replica?lag=1MiB", (*world).asReplica, 200},
		{"noloadbalance", "/replica", func(w *world) { w.asReplica(); w.snapshot.Tags = cluster.Tags{"noloadbalance": true} }, 503},
		{"tag", "/replica?tag_a=true", func(w *world) { w.asReplica(); w.snapshot.Tags = cluster.Tags{"a": true} }, 200},
		{"sync without view", "/read-only-sync", func(w *world) { w.snapshot.ViewConfirmed = 0 }, 503},
		{"stuck loop", "/liveness", func(w *world) { w.clock.Advance(41 * time.Second) }, 503},
		{"archive recovery", "/readiness", func(w *world) { w.asReplica(); w.snapshot.Server.ReceiverStatus = "" }, 503},
		{"far behind", "/readiness", func(w *world) { w.asReplica(); w.snapshot.Server.ReplayLSN -= 2 << 20 }, 503},
		{"far behind, by write", "/readiness?mode=write", func(w *world) { w.asReplica(); w.snapshot.Server.ReplayLSN -= 2 << 20 }, 200},
	} {
		w := newWorld()
		c.with(w)
		if got := send(t, w.start(t, Settings{}), "GET", c.path, ""); got.status != c.want {
			t.Errorf("%s, %s: %d %s, want %d", c.name, c.path, got.status, got.body, c.want)
		}
	}
}
