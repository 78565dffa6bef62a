package keypair

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs the program whose files we have to read.
func openssl(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput(); err != nil {
		t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// Files as OpenSSL writes them, in each form that it writes.
func TestFilesOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=db1", "-keyout", at("clear"), "-out", at("cert"))
	const password = "pass:s3 cret"
	forms := map[string][]string{
		"aes256":       {"pkcs8", "-topk8", "-v2", "aes-256-cbc"},
		"aes192":       {"pkcs8", "-topk8", "-v2", "aes-192-cbc"},
		"aes128, sha1": {"pkcs8", "-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
		"sha512":       {"pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"},
		"3des":         {"pkcs8", "-topk8", "-v2", "des3"},
		"old form":     {"rsa", "-aes256", "-traditional"},
	}
	for name, args := range forms {
		key := at(name)
		openssl(t, append(args, "-in", at("clear"), "-out", key, "-passout", password)...)
		if pair, err := Load(at("cert"), key, "s3 cret"); err != nil || pair.PrivateKey == nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Load(at("cert"), key, ""); !errors.Is(err, ErrNoPassword) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s without a password: %v", name, err)
		}
		if _, err := Load(at("cert"), key, "s3 cre"); !errors.Is(err, ErrWrongPassword) || strings.Contains(err.Error(), "s3 cre") {
			t.Errorf("%s with a wrong password: %v", name, err)
		}
	}
	openssl(t, "pkcs8", "-topk8", "-scrypt", "-in", at("clear"), "-out", at("scrypt"), "-passout", password)
	if _, err := Load(at("cert"), at("scrypt"), "s3 cret"); err == nil || !strings.Contains(err.Error(), "openssl pkcs8 -topk8 -v2") {
		t.Errorf("scrypt, which is not supported: %v", err)
	}
	if _, err := Load(at("cert"), at("clear"), "not needed"); err != nil {
		t.Errorf("a clear key with a password: %v", err)
	}
}

// One file may hold the certificate and, before or after it, the encrypted key.
func TestOneFile(t *testing.T) {
	dir := t.TempDir()
	key, cert, both := filepath.Join(dir, "key"), filepath.Join(dir, "cert"), filepath.Join(dir, "both")
	openssl(t, "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:x", "-subj", "/CN=db1", "-keyout", key, "-out", cert)
	var text []byte
	for _, name := range []string{cert, key} {
		part, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, part...)
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(both, "", "x"); err != nil {
		t.Error(err)
	}
}

// Whatever is in a file, reading it ends with an error and not with a crash.
func FuzzDecrypted(f *testing.F) {
	f.Add([]byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n"))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMAA=\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(_ *testing.T, text []byte) { _, _ = decrypted(text, "x") })
}
