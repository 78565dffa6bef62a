package postgres

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const keySecret = "key-secret"

// authority makes certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir string) *authority {
	a := &authority{t: t, dir: dir}
	a.cert, a.key = a.issue("ca", "authority", "")
	return a
}

// issue writes NAME.crt and NAME.key, the key encrypted if there is a password.
func (a *authority) issue(name, subject, password string) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: subject},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: a.cert == nil, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	block := &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}
	if password != "" {
		//lint:ignore SA1019 the form that both libpq and pgx read
		if block, err = x509.EncryptPEMBlock(rand.Reader, block.Type, der, []byte(password), x509.PEMCipherAES256); err != nil {
			a.t.Fatal(err)
		}
	}
	for file, b := range map[string]*pem.Block{name + ".crt": {Type: "CERTIFICATE", Bytes: raw}, name + ".key": block} {
		if err := os.WriteFile(a.path(file), pem.EncodeToMemory(b), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// client gives the credentials of a user who shows a certificate and has no password but that of the key.
func (a *authority) client(user, password string) Credentials {
	a.issue(user, user, password)
	c := Credentials{Username: user, TLS: []Parameter{
		{"sslmode", "verify-ca"}, {"sslrootcert", a.path("ca.crt")}, {"sslcert", a.path(user + ".crt")}, {"sslkey", a.path(user + ".key")},
	}}
	if password != "" {
		c.TLS = append(c.TLS, Parameter{sslPassword, password})
	}
	return c
}

// TestClientCertificates: a cluster in which nobody has a password is founded, copied, streams, and is rewound; each user
// shows a certificate, and the password of a key is on no command line.
func TestClientCertificates(t *testing.T) {
	a := newAuthority(t, t.TempDir())
	a.issue("server", "localhost", "")
	super, replication, rewind := a.client("postgres", ""), a.client("replicator", keySecret), a.client("rewind_user", keySecret)
	configured := func(name string) Config {
		cfg := with(newConfig(t, name), Parameter{"ssl", "on"}, Parameter{"ssl_ca_file", a.path("ca.crt")},
			Parameter{"ssl_cert_file", a.path("server.crt")}, Parameter{"ssl_key_file", a.path("server.key")})
		cfg.Superuser, cfg.Replication, cfg.Rewind = super, replication, rewind
		cfg.UseUnixSocket = false
		cfg.HBA = []string{"hostssl all all 127.0.0.1/32 cert", "hostssl replication replicator 127.0.0.1/32 cert"}
		cfg.InitdbArgs = []string{"--no-sync", "--auth=reject"}
		return cfg
	}
	p := newInstance(t, configured("node1"))
	must(t, p, p.Bootstrap(t.Context(), nil))
	r := newInstance(t, configured("node2"))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" && caughtUp(p)(s) })
	if got := sql(t, p, `SELECT client_dn FROM pg_stat_ssl JOIN pg_stat_replication USING (pid)`); got != "/CN=replicator" {
		t.Errorf("the replica shows the certificate %q", got)
	}

	must(t, r, r.Promote(t.Context()))
	must(t, r, r.Checkpoint(t.Context()))
	sql(t, p, `CREATE TABLE public.lost (n int)`)
	_, err := p.Stop(t.Context(), cluster.StopFast, true)
	must(t, p, err)
	d, err := p.CheckDivergence(t.Context(), address(r))
	must(t, p, err)
	if !d.Needed {
		t.Errorf("diverged, but %+v", d)
	}
	must(t, p, p.Rewind(t.Context(), address(r)))
	must(t, p, p.StartReplica(t.Context(), address(r)))
	eventually(t, p, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })

	for _, c := range []Credentials{replication, rewind} {
		if got := keywords(p.cfg.remote(c, address(r), "postgres")); strings.Contains(got, keySecret) || !strings.Contains(got, "service=") {
			t.Errorf("on a command line: %s", got)
		}
	}
	if got := fmt.Sprint(p.cfg.configMode(), Config{ConfigDir: "/etc/x", DataDir: "/x"}.configMode()); got != "-rw------- -rw-r--r--" {
		t.Errorf("modes of the configuration: %s", got)
	}
	outside := p.cfg
	outside.ConfigDir = filepath.Dir(p.cfg.DataDir)
	if outside.configMode() != 0o600 {
		t.Error("a file with the password of the key could be read by anybody")
	}
}
