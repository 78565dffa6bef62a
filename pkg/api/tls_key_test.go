package api

import (
	"crypto/tls"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// encrypted makes a certificate whose key is encrypted with a password.
func encrypted(t *testing.T, name, password string) (cert, key string) {
	t.Helper()
	dir := t.TempDir()
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	args := []string{"req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:" + password, "-subj", "/CN=" + name, "-keyout", key, "-out", cert}
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return cert, key
}

// Both ends may have encrypted keys: restapi.keyfile_password and ctl.keyfile_password.
func TestEncryptedKeys(t *testing.T) {
	serverCert, serverKey := encrypted(t, "server", "s3")
	clientCert, clientKey := encrypted(t, "client", "c4")
	address := newWorld().start(t, Settings{TLS: TLS{
		CertFile: serverCert, KeyFile: serverKey, KeyPassword: "s3", CAFile: clientCert, VerifyClient: "required",
	}})
	peers, err := NewClient(ClientOptions{CertFile: clientCert, KeyFile: clientKey, KeyPassword: "c4", CAFile: serverCert})
	if err != nil {
		t.Fatal(err)
	}
	if s := peers.Ask(t.Context(), []cluster.Member{{Name: "db1", APIURL: "https://" + address + "/patroni"}})[0]; !s.Reachable {
		t.Errorf("%+v", s)
	}
	if conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}); err == nil {
		if got := exchangeMaybe(conn, "GET /liveness HTTP/1.0\r\n\r\n"); got != "" {
			t.Errorf("required, and without a certificate: %q", got)
		}
	}
	for _, wrong := range []string{"", "s4"} {
		_, err := NewClient(ClientOptions{CertFile: clientCert, KeyFile: clientKey, KeyPassword: wrong})
		if err == nil || !strings.Contains(err.Error(), clientKey) || !strings.Contains(err.Error(), "keyfile_password") {
			t.Errorf("with password %q: %v", wrong, err)
		}
	}
}
