package cli

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// --validate-config tells of a port in use, and -i keeps quiet about it.
func TestValidatePorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	path := filepath.Join(t.TempDir(), "node.yml")
	text := fmt.Sprintf(`scope: shop
name: db1
restapi: {listen: '127.0.0.1:%[1]d', connect_address: '127.0.0.1:%[1]d'}
etcd3: {host: '192.0.2.1:2379'}
postgresql:
  listen: 127.0.0.1:%[1]d
  connect_address: 127.0.0.1:%[1]d
  data_dir: nowhere
  authentication: {superuser: {username: a}, replication: {username: b}}
`, port)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (code int, stderr string) {
		var out, errs strings.Builder
		code = newEnv("hathi", strings.NewReader(""), &out, &errs).execute(t.Context(), append([]string{"run", path}, args...))
		return code, errs.String()
	}
	code, told := run("--validate-config")
	for _, key := range []string{"postgresql.listen", "restapi.listen"} {
		want := fmt.Sprintf("%s 127.0.0.1:%d didn't pass validation: Port %d is already in use.\n", key, port, port)
		if code != 1 || !strings.Contains(told, want) {
			t.Errorf("exit code %d, no %q in\n%s", code, want, told)
		}
	}
	if code, told := run("--validate-config", "-i"); code != 0 || told != "" {
		t.Errorf("with -i: exit code %d\n%s", code, told)
	}
	if code, _ := run("--validate-config", "--generate-sample-config"); code != 2 {
		t.Errorf("two modes at once: exit code %d, want 2", code)
	}
}

// TestMistypedKey: where a key is missing the one that was meant by it is told, too.
func TestMistypedKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yml")
	if err := os.WriteFile(path, []byte("scpoe: shop\nname: db1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := loadNode(path)
	for _, want := range []string{":1: scope: required, but missing; add it\n", ":1: scpoe: shop: unknown key, it has no effect; did you mean scope?"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}
