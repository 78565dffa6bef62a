package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// stranger makes a certificate that nobody has signed, and its key.
func stranger(t *testing.T) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	if certificate, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// TestRESTCertificates: whose certificates are believed. The test's server has one for example.com and 127.0.0.1.
func TestRESTCertificates(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	ca, other, key := filepath.Join(dir, "ca"), filepath.Join(dir, "other"), filepath.Join(dir, "key")
	certificate, private := stranger(t)
	for path, block := range map[string]pem.Block{
		ca: {Type: "CERTIFICATE", Bytes: server.Certificate().Raw}, other: {Type: "CERTIFICATE", Bytes: certificate}, key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(&block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	named := "https://localhost" + server.URL[len("https://127.0.0.1"):] // the certificate does not say localhost
	for name, c := range map[string]struct {
		ctl      config.Ctl
		insecure bool
		url      string
		ok       bool
	}{
		"unknown issuer":                      {url: server.URL},
		"-k":                                  {insecure: true, url: server.URL, ok: true},
		"ctl.insecure":                        {ctl: config.Ctl{Insecure: true}, url: named, ok: true},
		"ctl.cacert":                          {ctl: config.Ctl{CACert: ca}, url: server.URL, ok: true},
		"another CA":                          {ctl: config.Ctl{CACert: other}, url: server.URL},
		"another name":                        {ctl: config.Ctl{CACert: ca}, url: named},
		"-k, own certificate":                 {ctl: config.Ctl{CACert: ca, CertFile: other, KeyFile: key}, insecure: true, url: named, ok: true},
		"-k, own certificate, unknown issuer": {ctl: config.Ctl{CACert: other, CertFile: other, KeyFile: key}, insecure: true, url: server.URL},
	} {
		secure, err := restTLS(c.ctl, c.insecure)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		answer, err := ctl.NewHTTP(secure, "", "").Do(t.Context(), http.MethodGet, c.url, nil)
		if ok := err == nil && answer.Status == http.StatusOK; ok != c.ok {
			t.Errorf("%s: answered %t (%v), want %t", name, ok, err, c.ok)
		}
	}
	for name, c := range map[string]config.Ctl{"no file": {CACert: "missing"}, "no certificate": {CACert: key}, "no key": {CertFile: other, KeyFile: ca}} {
		if _, err := restTLS(c, false); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
