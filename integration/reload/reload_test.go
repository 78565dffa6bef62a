// Package reload changes the file of a running node and holds the agent to what it says then.
package reload

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
	"github.com/hathi-ha/hathi/integration/testport"
)

// edit changes the file of a node by replacing texts, each of which must be there.
func edit(t *testing.T, n *testcluster.Node, changes ...string) {
	t.Helper()
	raw, err := os.ReadFile(n.Config)
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("no %q in\n%s", changes[i], text)
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	if err := os.WriteFile(n.Config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// One node goes through a life of reloads: the file is broken, mended, and then changed in its log, restapi, ctl and etcd
// sections at once; PostgreSQL is not disturbed and the lock not lost by any of it.
func TestReload(t *testing.T) {
	c := testcluster.Start(t, testcluster.Options{Nodes: 1, TTL: 10, LoopWait: 2, Retry: 3, Postgres: "use_unix_socket: true"})
	node := c.Nodes[0]
	postmaster, leader := node.Postmaster(), c.View().Leader

	edit(t, node, "use_unix_socket", "use_unix_socket: 7 #")
	status, text, err := node.REST("POST", "/reload", "")
	if err != nil || status != 422 || !strings.Contains(text, "postgresql.use_unix_socket") || strings.Contains(text, "secret-super") {
		t.Errorf("reload of a broken file: %d %s %v", status, text, err)
	}
	edit(t, node, "use_unix_socket: 7 #", "use_unix_socket")

	// By SIGHUP, to the process that the user has started.
	moved := testport.Take(t)
	logs := logDirectory(t, node)
	edit(
		t, node, fmt.Sprintf("127.0.0.1:%d\n", node.RESTPort), fmt.Sprintf("127.0.0.1:%d\n", moved),
		"etcd3:", "  authentication: {username: admin, password: secret-api}\nlog: {level: DEBUG, type: json, dir: "+logs+
			", static_fields: {site: north}}\ntags: {zone: a}\nnamespace: elsewhere\netcd3:\n  username: someone\n  password: secret-etcd",
	)
	if err := syscall.Kill(node.Guard(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.WaitFor(60*time.Second, "the new address in the member key", func() bool {
		m, ok := c.View().Member(node.Name)
		return ok && m.APIURL == fmt.Sprintf("http://127.0.0.1:%d/patroni", moved) && m.Tags["zone"] == "a"
	})
	if conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", node.RESTPort), time.Second); err == nil {
		conn.Close()
		t.Errorf("the REST API still listens on the old port %d", node.RESTPort)
	}
	node.RESTPort = moved
	if status, text, err := node.REST("PATCH", "/config", `{"ttl": 11}`); err != nil || status != 401 {
		t.Errorf("a change without the new password: %d %s %v", status, text, err)
	}
	c.WaitFor(60*time.Second, "JSON lines in the new directory", func() bool { return jsonLines(t, logs) > 0 })
	if log := node.LogTail(10000); !strings.Contains(log, "namespace: elsewhere: was changed, and is read at the start of the agent only") {
		t.Errorf("nothing is said about the namespace:\n%s", log)
	}

	// Once more, with nothing changed.
	if status, text, err := node.REST("GET", "/primary", ""); err != nil || status != 200 {
		t.Errorf("primary: %d %s %v", status, text, err)
	}
	if err := syscall.Kill(node.Guard(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	c.WaitFor(60*time.Second, "the word that nothing was changed", func() bool {
		return strings.Contains(read(t, logs), "No local configuration items changed.")
	})
	if now := node.Postmaster(); now != postmaster {
		t.Errorf("the postmaster is %d, was %d", now, postmaster)
	}
	if now := c.View().Leader; now != leader {
		t.Errorf("the leader key is %+v, was %+v", now, leader)
	}
	for _, secret := range []string{"secret-api", "secret-etcd", "secret-super", "secret-repl"} {
		if strings.Contains(read(t, logs)+node.LogTail(100000), secret) {
			t.Errorf("%s is in the log", secret)
		}
	}
}

// logDirectory makes a directory that the node may write its log to, and shows that log if the test fails.
func logDirectory(t *testing.T, node *testcluster.Node) string {
	t.Helper()
	logs := filepath.Join(node.Dir, "logs")
	if err := os.Mkdir(logs, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(logs, 0o777); err != nil { // whatever the umask was
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("patroni.log:\n%s", read(t, logs))
		}
	})
	return logs
}

func read(t *testing.T, dir string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// jsonLines counts the lines of the log file, which all must be JSON of the configured kind.
func jsonLines(t *testing.T, dir string) int {
	t.Helper()
	n := 0
	for line := range strings.Lines(read(t, dir)) {
		var fields struct{ Asctime, Levelname, Message, Site string }
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields.Site != "north" || fields.Message == "" || fields.Levelname == "" {
			t.Errorf("line %q: %v", line, err)
		}
		n++
	}
	return n
}
