package etcd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testetcd"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
)

// certificate makes a self-signed certificate for 127.0.0.1 and gives it and the file with it and its key.
func certificate(t *testing.T) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// serveTLS puts TLS before an etcd that has none, and demands a certificate of the client.
func serveTLS(t *testing.T, target string, server tls.Certificate) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{server}, NextProtos: []string{"h2"}, ClientAuth: tls.RequireAnyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			go func() { _, _ = io.Copy(upstream, client); upstream.Close() }()
			go func() { _, _ = io.Copy(client, upstream); client.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestTLS(t *testing.T) {
	e := testetcd.Start(t)
	server, serverFile := certificate(t)
	_, otherFile := certificate(t)
	addr := serveTLS(t, e.Addresses()[0], server)
	for _, c := range []struct {
		name    string
		options etcd.Options
		want    string // in the error; empty: it works
	}{
		{"verified, key in the certificate's file", etcd.Options{CACert: serverFile, Cert: otherFile}, ""},
		{"not verified without cacert", etcd.Options{Cert: otherFile, Key: otherFile}, ""},
		{"another authority", etcd.Options{CACert: otherFile, Cert: otherFile}, "certificate"},
		// The server says so only after the handshake, and may have hung up before that is read.
		{"no certificate of the client", etcd.Options{CACert: serverFile}, addr},
	} {
		c.options.Hosts, c.options.Protocol, c.options.Timeout = []string{addr}, "https", 2*time.Second
		_, err := openWith(t, c.options).Snapshot(ctxFor(t), "batman")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
