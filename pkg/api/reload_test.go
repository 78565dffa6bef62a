package api

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// A reload may renew the certificate, switch TLS off and on, and change who is let in, on the listener that is open.
func TestReloadOfTheServer(t *testing.T) {
	first, second := certificate(t, "first"), certificate(t, "second")
	address, server := newWorld().serve(t, Settings{TLS: TLS{CertFile: first}})
	speaker := func() string {
		plain, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(exchangeMaybe(plain, "GET /liveness HTTP/1.0\r\n\r\n"), "HTTP/1.") {
			return "no TLS"
		}
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	for _, c := range []struct {
		name     string
		settings Settings
		want     string
		fails    bool
	}{
		{"renewed", Settings{TLS: TLS{CertFile: second}}, "second", false},
		{"a file that is not there", Settings{TLS: TLS{CertFile: "/nowhere"}}, "second", true},
		{"off", Settings{}, "no TLS", false},
		{"on", Settings{TLS: TLS{CertFile: first}}, "first", false},
	} {
		if err := server.Configure(t.Context(), c.settings); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := speaker(); got != c.want {
			t.Errorf("%s: %s answers, want %s", c.name, got, c.want)
		}
	}
	if err := server.Configure(t.Context(), Settings{Username: "a", Password: "b"}); err != nil {
		t.Fatal(err)
	}
	if got := send(t, address, "POST", "/reload", ""); got.status != 401 {
		t.Errorf("with a password from now on: %d", got.status)
	}
}

// POST /reload says what is wrong with the files, and then nothing is reloaded.
func TestReloadOfBrokenFiles(t *testing.T) {
	w := newWorld()
	address, server := w.serve(t, Settings{})
	var broken error
	server.o.CheckFiles = func() error { return broken }
	if got := send(t, address, "POST", "/reload", ""); got.status != 202 || got.body != "reload scheduled" || w.called() != "reload" {
		t.Errorf("%d %s after %q", got.status, got.body, w.called())
	}
	broken = errors.New("node.yml:3: name: required, but missing")
	if got := send(t, address, "POST", "/reload", ""); got.status != 422 || got.body != "the configuration stays as it is: "+broken.Error() || w.called() != "reload" {
		t.Errorf("%d %s after %q", got.status, got.body, w.called())
	}
}

// Other members are called with the credentials of the last reload.
func TestReloadOfTheClient(t *testing.T) {
	var user, password string
	member := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ = r.BasicAuth()
		_, _ = io.WriteString(w, `{"role": "replica", "xlog": {"replayed_location": 7}}`)
	}))
	defer member.Close()
	list := []cluster.Member{{Name: "db2", APIURL: member.URL}}
	client, err := NewClient(ClientOptions{Username: "old", Password: "1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"old", "new"} {
		if want == "new" {
			if err := client.Configure(ClientOptions{Username: "new", Password: "2"}); err != nil {
				t.Fatal(err)
			}
			if err := client.Configure(ClientOptions{CertFile: "/nowhere"}); err == nil {
				t.Error("a certificate that is not there was taken")
			}
		}
		if s := client.Ask(t.Context(), list)[0]; !s.Reachable || user != want || password == "" {
			t.Errorf("as %s: %+v, and the member saw %s", want, s, user)
		}
	}
}

// restapi.request_queue_size bounds the connections that wait for a server that accepts none.
func TestQueueSize(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waiting := connectsWithin(t, 100*time.Millisecond, l.Addr().String(), 8)
	if waiting > 2 {
		t.Errorf("%d connections wait in a queue of none", waiting)
	}
	wide, err := Listen(t.Context(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer wide.Close()
	if waiting := connectsWithin(t, 5*time.Second, wide.Addr().String(), 8); waiting != 8 {
		t.Errorf("%d of 8 connections wait in the kernel's queue", waiting)
	}
}

// connectsWithin counts how many of n connections are made, each within the limit, without anybody who accepts them.
func connectsWithin(t *testing.T, limit time.Duration, address string, n int) int {
	t.Helper()
	made := 0
	for range n {
		conn, err := net.DialTimeout("tcp", address, limit)
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = conn.Close() })
		made++
	}
	return made
}
