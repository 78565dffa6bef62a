package api

import (
	"bufio"
	"crypto/tls"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// presented is the name in the certificate that a new connection gets.
func presented(t *testing.T, address string) (name string, conn *tls.Conn) {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, conn
}

// A reload takes a renewed certificate for new connections and keeps those that are open; a broken file changes nothing.
func TestCertificateIsRenewedLive(t *testing.T) {
	file, renewed := certificate(t, "old"), certificate(t, "new")
	settings := Settings{TLS: TLS{CertFile: file}}
	address, server := newWorld().serve(t, settings)
	name, open := presented(t, address)
	if name != "old" {
		t.Fatalf("certificate %q, want old", name)
	}
	text, err := os.ReadFile(renewed)
	if err != nil {
		t.Fatal(err)
	}
	put := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(text)
	if name, _ := presented(t, address); name != "old" {
		t.Errorf("certificate %q before the reload, want old", name)
	}
	if err := server.Configure(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	if name, _ := presented(t, address); name != "new" {
		t.Errorf("certificate %q after the reload, want new", name)
	}
	if got := exchangeOn(t, open, bufio.NewReader(open), "GET", "GET /primary HTTP/1.1\r\n\r\n"); got.status != 200 {
		t.Errorf("the connection from before the reload: %d", got.status)
	}

	put([]byte("half a fi"))
	if err := server.Configure(t.Context(), settings); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("reload with a broken certificate: %v, want an error that names the file", err)
	}
	if name, _ := presented(t, address); name != "new" {
		t.Errorf("certificate %q after a failed reload, want new", name)
	}
}

// What is too large is refused by its first bytes; nobody waits for the rest, or keeps it.
func TestHugeRequests(t *testing.T) {
	address := newWorld().start(t, Settings{})
	long := strings.Repeat("x", 2*maxHead)
	for _, c := range []struct {
		name, raw string
		want      int
	}{
		{"request line", "GET /" + long, 431},
		{"header", "GET / HTTP/1.1\r\nX: " + long, 431},
		{"many headers", "GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", maxHead/3), 431},
		{"body", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n{\"x\": \"" + strings.Repeat("x", maxBody), 413},
		{"length beyond all bounds", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n{}", 400},
		{"negative length", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{}", 400},
		{"two lengths", "PATCH /config HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ", 400},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},
		{"NUL in a header", "GET / HTTP/1.1\r\nX: a\x00b\r\n\r\n", 400},
	} {
		began := time.Now()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		sent := make(chan struct{})
		go func() { // the server may stop reading in the middle
			defer close(sent)
			_, _ = conn.Write([]byte(c.raw))
		}()
		_ = conn.SetReadDeadline(began.Add(5 * time.Second))
		if got := readAnswer(t, bufio.NewReader(conn), "GET", c.name); got.status != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, got.status, got.body, c.want)
		}
		_ = conn.Close()
		<-sent
	}
	if got := exchange(t, address, "GET", "GET /primary HTTP/1.0\r\n\r\n"); got.status != 200 {
		t.Errorf("health check after all this: %d", got.status)
	}
}
