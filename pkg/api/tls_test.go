package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// certificate writes a self-signed certificate and its key to one file.
func certificate(t *testing.T, name string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".pem")
	content := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTLS(t *testing.T) {
	server, client := certificate(t, "server"), certificate(t, "client")
	address := newWorld().start(t, Settings{TLS: TLS{CertFile: server, CAFile: client, VerifyClient: "Optional"}})
	pair, err := tls.LoadX509KeyPair(client, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		certs []tls.Certificate
		raw   string
		want  int
		text  string
	}{
		{"reading needs no certificate", nil, "GET /primary HTTP/1.1\r\n\r\n", 200, ""},
		{"changing does", nil, "POST /reload HTTP/1.1\r\n\r\n", 403, "client certificate required"},
		{"changing with one", []tls.Certificate{pair}, "POST /reload HTTP/1.1\r\n\r\n", 202, "reload scheduled"},
	} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, Certificates: c.certs})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := exchangeRaw(t, conn, c.raw)
		if !strings.HasPrefix(got, "HTTP/1.1 "+itoa(c.want)+" "+http.StatusText(c.want)) || !strings.HasSuffix(got, c.text) {
			t.Errorf("%s: %q, want %d %q", c.name, got, c.want, c.text)
		}
	}

	m := []cluster.Member{{Name: "db1", APIURL: "https://" + address + "/patroni"}}
	for ca, want := range map[string]bool{server: true, client: false} {
		peers, err := NewClient(ClientOptions{CertFile: client, CAFile: ca})
		if err != nil {
			t.Fatal(err)
		}
		if s := peers.Ask(t.Context(), m)[0]; s.Reachable != want {
			t.Errorf("with CA %s: %+v", filepath.Base(ca), s)
		}
	}
}

// exchangeRaw sends a request after which the connection is idle, and gives what came back within it.
func exchangeRaw(t *testing.T, conn net.Conn, raw string) string {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	raw = strings.Replace(raw, "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
	if _, err := io.WriteString(conn, raw); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// exchangeMaybe is for connections that may be refused; then it gives nothing.
func exchangeMaybe(conn net.Conn, raw string) string {
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, raw); err != nil {
		return ""
	}
	answer, _ := io.ReadAll(conn) // what came before the refusal
	return string(answer)
}

// With etcd away reading goes on from what is known, at once, and changes are refused.
func TestWithoutEtcd(t *testing.T) {
	w := newWorld()
	w.storeErr = io.ErrUnexpectedEOF
	address := w.start(t, Settings{})
	for _, path := range []string{"/cluster", "/config", "/history", "/patroni"} {
		if got := send(t, address, "GET", path, ""); got.status != 200 {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
	if got := send(t, address, "POST", "/switchover", `{"leader": "db1"}`); got.status != 503 {
		t.Errorf("switchover: %d %s", got.status, got.body)
	}
}

func TestExtraHeaders(t *testing.T) {
	address := newWorld().start(t, Settings{Headers: map[string]string{"X-Cell": "5"}, ServerTokens: "ProductOnly"})
	got := send(t, address, "GET", "/patroni", "")
	if got.header.Get("X-Cell") != "5" || got.header.Get("Server") != "hathi" {
		t.Errorf("headers: %v", got.header)
	}
}
