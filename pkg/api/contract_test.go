package api

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Where each part of the contract (rest-api.md) is held:
//
//	1.1 transport, 1.2 routing        TestRawRequests, TestKeepAliveWithoutHost, TestOddRequests, TestSocketOptions
//	1.3, 1.4 shapes and headers       TestShapes, TestExtraHeaders
//	1.5 bodies                        TestRawRequests, TestHugeRequests, TestMalformedReinitializeChangesNothing
//	1.6 many and slow clients         TestIdleConnectionsDoNotBlock, TestGate, TestEviction, TestQueueSize, integration/hostile
//	2.1, 2.2 access                   TestAccess, TestAllowlist
//	2.3 TLS                           TestTLS, TestUntrustedCertificate, TestCiphers, TestEncryptedKeys, TestCertificateIsRenewedLive,
//	                                  TestReloadOfTheServer
//	2.4 calls between nodes           TestAsk, TestFailsafeAnswers, TestReloadOfTheClient
//	4 health checks                   TestHealthByKindOfNode, TestHealthEdges, TestHealthNeverWaits
//	4.7, 4.8 /liveness, /readiness    TestHealthByKindOfNode, TestHealthEdges
//	5 /patroni                        TestDocuments, TestStatusOfAHungServer
//	6 /metrics                        TestPrometheusReadsTheMetrics, TestMetricsOfADeadServer, TestMetrics
//	7 /cluster, 8 /history            TestDocuments, TestNothingKnown, TestWithoutEtcd
//	9 /config GET, PATCH, PUT         TestDocuments, TestChanges, TestNothingKnown
//	10 /switchover, /failover         TestChanges, TestOutcome, TestHangUp
//	11 /restart, 12 /reload           TestChanges, TestReloadOfBrokenFiles, integration/reload
//	13 /reinitialize                  TestChanges, TestMalformedReinitializeChangesNothing
//	14 /failsafe                      TestDocuments, TestChanges, TestNothingKnown, TestFailsafeTellsThePosition
//	15 /sigterm, /citus, /mpp         TestChanges, TestAccess
//	18.22 secrets in answers          integration/secrets

// Requests that no client should send, each with the status of the contract.
func TestOddRequests(t *testing.T) {
	address := newWorld().start(t, Settings{})
	for raw, want := range map[string]int{
		"get /primary HTTP/1.0\r\n\r\n":                                    501, // methods are told apart by case
		"GET /Primary HTTP/1.0\r\n\r\n":                                    503, // paths, too
		"GET /primary/x HTTP/1.0\r\n\r\n":                                  200,
		"GET /xprimaryx HTTP/1.0\r\n\r\n":                                  200,
		"GET /patroni/any/thing HTTP/1.0\r\n\r\n":                          200,
		"GET /config/foo HTTP/1.0\r\n\r\n":                                 200,
		"GET ///leader;x=1 HTTP/1.0\r\n\r\n":                               200,
		"GET /replica?lag=1&lag=x HTTP/1.0\r\n\r\n":                        503, // the first one counts
		"GET /primary HTTP/2.0\r\n\r\n":                                    505,
		"GET /" + strings.Repeat("x", 70<<10) + " HTTP/1.1\r\n\r\n":        431,
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", 70<<10) + "\r\n\r\n": 431,
		"TRACE / HTTP/1.1\r\n\r\n":                                         501,
		"PATCH /leader HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}":            501,
		"POST /restart HTTP/1.1\r\nContent-Length: x\r\n\r\n":              400,
		"POST /restart HTTP/1.0\r\n\r\n":                                   200, // the body may be left out
		"PUT /config HTTP/1.0\r\n\r\n":                                     411,
	} {
		method, _, _ := strings.Cut(raw, " ")
		if got := exchange(t, address, method, raw); got.status != want {
			t.Errorf("%.60q: %d %s, want %d", raw, got.status, got.body, want)
		}
	}
	got := send(t, address, "POST", "/nothing", "")
	if got.status != 501 || !strings.Contains(got.body, "Server does not support this operation") {
		t.Errorf("what patronictl looks for: %d %s", got.status, got.body)
	}
}

// What comes with an answer, by its kind.
func TestShapes(t *testing.T) {
	w := newWorld()
	address := w.start(t, Settings{Headers: map[string]string{"X-Cell": "5"}, ServerTokens: "minimal"})
	for _, c := range []struct {
		method, path, kind string
		body, extra        bool
	}{
		{"GET", "/primary", "application/json", true, true},
		{"GET", "/nothing", "application/json", true, true},
		{"GET", "/patroni", "application/json", true, true},
		{"GET", "/cluster", "application/json", true, true},
		{"GET", "/history", "application/json", true, true},
		{"GET", "/config", "application/json", true, true},
		{"GET", "/metrics", "text/plain", true, true},
		{"GET", "/liveness", "", false, false},
		{"GET", "/readiness", "", false, false},
		{"HEAD", "/primary", "", false, false},
		{"OPTIONS", "/replica", "", false, false},
		{"POST", "/reload", "text/html", true, true},
		{"DELETE", "/restart", "text/html", true, true},
		{"POST", "/sigterm", "text/html", true, true},
	} {
		got := send(t, address, c.method, c.path, "")
		if kind := got.header.Get("Content-Type"); kind != c.kind || (got.body != "") != c.body || (got.header.Get("X-Cell") == "5") != c.extra {
			t.Errorf("%s %s: type %q, body %q, headers %v", c.method, c.path, kind, got.body, got.header)
		}
		if server := got.header.Get("Server"); server != "hathi/1.2.3" {
			t.Errorf("%s %s: Server %q", c.method, c.path, server)
		}
		if strings.HasSuffix(got.body, "\n") != (c.path == "/metrics") {
			t.Errorf("%s %s: ends in a line break: %q", c.method, c.path, got.body)
		}
	}
}

// Before anything is known, and where keys are missing, there is an answer at once that says so.
func TestNothingKnown(t *testing.T) {
	none := func(w *world) {
		w.view, w.snapshot.View, w.snapshot.ViewConfirmed, w.snapshot.LockUntil = nil, nil, 0, 0
	}
	for _, c := range []struct {
		path string
		with func(*world)
		want int
		text string
	}{
		{"/cluster", none, 503, "etcd has not been read yet"},
		{"/history", none, 503, "etcd has not been read yet"},
		{"/config", none, 503, "etcd has not been read yet"},
		{"/failsafe", none, 503, "etcd has not been read yet"},
		{"/patroni", none, 200, `"cluster_unlocked": true`},
		{"/metrics", none, 200, "patroni_cluster_unlocked"},
		{"/primary", none, 503, `"cluster_unlocked": true`},
		{"/health", none, 200, ""},
		{"/sync", none, 503, ""},
		{"/config", func(w *world) { w.view.Config = cluster.Document{} }, 502, "no valid configuration"},
		{"/config", func(w *world) { w.view.Config.Raw = []byte(`"x"`) }, 502, "no valid configuration"},
		{"/failsafe", func(*world) {}, 502, "failsafe mode is off"},
		{"/cluster", func(w *world) { w.view.Members = nil }, 200, `{"members": [], "scope": "shop"}`},
	} {
		w := newWorld()
		c.with(w)
		if got := send(t, w.start(t, Settings{}), "GET", c.path, ""); got.status != c.want || !strings.Contains(got.body, c.text) {
			t.Errorf("GET %s: %d %s, want %d with %q", c.path, got.status, got.body, c.want, c.text)
		}
	}
}

// A health check never asks PostgreSQL or etcd; neither do the documents that are made from the view.
func TestHealthNeverWaits(t *testing.T) {
	w := newWorld()
	w.hang = make(chan struct{})
	defer close(w.hang)
	address := w.start(t, Settings{})
	for _, path := range []string{
		"/", "/primary", "/leader", "/replica", "/read-only?lag=1MB", "/standby-leader", "/sync", "/async", "/quorum", "/health", "/liveness",
		"/readiness", "/metrics", "/cluster", "/history", "/config",
	} {
		for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
			took := lookLimit
			for try := 0; try < 2 && took > lookLimit/2; try++ { // the machine may be busy
				begun := time.Now()
				got := send(t, address, method, path, "")
				if took = time.Since(begun); got.status == 0 {
					t.Errorf("%s %s: no status", method, path)
				}
			}
			if took > lookLimit/2 {
				t.Errorf("%s %s: answered after %s", method, path, took)
			}
		}
	}
}

// Addresses are looked up as the contract says, and IPv4 clients of a socket for both families are known.
func TestAllowlist(t *testing.T) {
	member := func(w *world) { w.view.Members[1].APIURL = "http://127.0.0.1:8008/patroni" }
	for _, c := range []struct {
		name     string
		settings Settings
		with     func(*world)
		want     int
	}{
		{"an address", Settings{Allowlist: []string{"127.0.0.1"}}, nil, 202},
		{"a network with host bits", Settings{Allowlist: []string{"127.9.9.9/8"}}, nil, 202},
		{"a name", Settings{Allowlist: []string{"localhost"}}, nil, 202},
		{"another network", Settings{Allowlist: []string{"10.0.0.0/8"}}, nil, 403},
		{"members", Settings{AllowMembers: true}, member, 202},
		{"members, none of them here", Settings{AllowMembers: true}, nil, 403},
		{"either", Settings{Allowlist: []string{"10.0.0.0/8"}, AllowMembers: true}, member, 202},
	} {
		w := newWorld()
		if c.with != nil {
			c.with(w)
		}
		if got := send(t, w.start(t, c.settings), "POST", "/reload", ""); got.status != c.want {
			t.Errorf("%s: %d, want %d", c.name, got.status, c.want)
		}
	}
	if both := allowedFrom(t, "[::ffff:127.0.0.1]:4711", "127.0.0.0/8"); !both {
		t.Error("an IPv4 client of a socket for both families is not in its network")
	}
}

// allowedFrom asks for the judgement about a client's address.
func allowedFrom(t *testing.T, client, entry string) bool {
	t.Helper()
	server, err := New(Options{Store: newWorld(), Log: slog.New(slog.DiscardHandler)}, Settings{Allowlist: []string{entry}})
	if err != nil {
		t.Fatal(err)
	}
	return server.allowed(&http.Request{RemoteAddr: client}, server.settings.Load())
}

// A certificate that is not trusted ends the handshake, of a health check too, where one is asked for.
func TestUntrustedCertificate(t *testing.T) {
	server, trusted, stranger := certificate(t, "server"), certificate(t, "trusted"), certificate(t, "stranger")
	for verify, want := range map[string]bool{"none": true, "optional": false, "required": false} {
		address := newWorld().start(t, Settings{TLS: TLS{CertFile: server, CAFile: trusted, VerifyClient: verify}})
		pair, err := tls.LoadX509KeyPair(stranger, stranger)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		// A client that only offers what the server's list of authorities has would keep the certificate to itself.
		own := func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, GetClientCertificate: own}); err == nil {
			got = exchangeMaybe(conn, "GET /liveness HTTP/1.0\r\n\r\n")
		}
		if strings.HasPrefix(got, "HTTP/1.0 200") != want {
			t.Errorf("verify_client %s: %q", verify, got)
		}
	}
	w := newWorld()
	if _, err := New(Options{Node: w, Store: w, Log: slog.New(slog.DiscardHandler)}, Settings{TLS: TLS{CertFile: server, VerifyClient: "maybe"}}); err == nil {
		t.Error("verify_client: maybe was taken")
	}
}

// restapi.ciphers chooses among those of TLS 1.2; what Go does not have is told and left out.
func TestCiphers(t *testing.T) {
	var told strings.Builder
	log := slog.New(slog.NewTextHandler(&told, nil))
	got := cipherSuites("ECDHE-ECDSA-AES256-GCM-SHA384:DES-CBC3-SHA:!aNULL", log)
	if len(got) != 1 || got[0] != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 || !strings.Contains(told.String(), "DES-CBC3-SHA") || !strings.Contains(told.String(), "!aNULL") {
		t.Errorf("suites %v, told %s", got, told.String())
	}
	address := newWorld().start(t, Settings{TLS: TLS{CertFile: certificate(t, "server"), Ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384"}})
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if suite := conn.ConnectionState().CipherSuite; suite != tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 {
		t.Errorf("spoken: %s", tls.CipherSuiteName(suite))
	}
	if _, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if got := exchangeMaybe(plain, "GET /primary HTTP/1.0\r\n\r\n"); strings.Contains(got, "HTTP/1") {
		t.Errorf("HTTP on a port of HTTPS is answered: %q", got)
	}
}
