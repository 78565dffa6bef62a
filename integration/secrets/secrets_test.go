// Package secrets looks for the passwords of a cluster in everything that others can see of it.
package secrets

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// passwords are all that a node knows; their texts stand nowhere else on the machine.
var passwords = map[string]string{
	"PATRONI_SUPERUSER_PASSWORD":   "pw-superuser-7f31c2",
	"PATRONI_REPLICATION_PASSWORD": "pw-replication-7f31c2",
	"PATRONI_REWIND_PASSWORD":      "pw-rewind-7f31c2",
	"PATRONI_RESTAPI_PASSWORD":     "pw-restapi-7f31c2",
	"PATRONI_ETCD3_PASSWORD":       "pw-etcd-7f31c2",
}

// misplaced is a password where people put it by mistake.
const misplaced = "pw-misplaced-7f31c2"

// leaks gives the passwords in a text.
func leaks(text string) (found []string) {
	for name, p := range passwords {
		if strings.Contains(text, p) {
			found = append(found, name)
		}
	}
	if strings.Contains(text, misplaced) {
		found = append(found, "bootstrap.dcs.users")
	}
	return found
}

// watchProcesses looks at the command lines of all processes until it is stopped, and says where a password was.
func watchProcesses() (stop func() []string) {
	done, ended := make(chan struct{}), make(chan []string)
	go func() {
		seen := map[string]bool{}
		for {
			select {
			case <-done:
				var list []string
				for line := range seen {
					list = append(list, line)
				}
				ended <- list
				return
			case <-time.After(5 * time.Millisecond): // processes tell nobody that they begin
			}
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, f := range files {
				raw, err := os.ReadFile(f)
				if line := string(bytes.ReplaceAll(raw, []byte{0}, []byte{' '})); err == nil && len(leaks(line)) > 0 {
					seen[line] = true
				}
			}
		}
	}()
	return func() []string { close(done); return <-ended }
}

// A cluster is founded, a member cloned, and mistakes are made at its REST API, all with the log at its loudest.
func TestPasswordsAreNotShown(t *testing.T) {
	for name, p := range passwords {
		t.Setenv(name, p)
	}
	t.Setenv("PATRONI_RESTAPI_USERNAME", "admin")
	t.Setenv("PATRONI_REWIND_USERNAME", "rewinder")
	t.Setenv("PATRONI_ETCD3_USERNAME", "hathi")
	t.Setenv("PATRONI_LOG_LEVEL", "DEBUG")
	stop := watchProcesses()
	c := testcluster.Start(t, testcluster.Options{
		Nodes: 2, TTL: 10, LoopWait: 2, Retry: 3, DCS: "users:\n  app:\n    password: " + misplaced,
	})
	leader := c.WaitHealthy(time.Minute)
	look := func(what, text string) {
		if text == "" {
			t.Errorf("%s is empty", what)
		}
		for _, name := range leaks(text) {
			t.Errorf("the password of %s is in %s:\n%s", name, what, text)
		}
	}
	for _, n := range c.Nodes {
		for _, path := range []string{"/config", "/patroni", "/cluster", "/history", "/metrics", "/explain", "/failsafe", "/primary"} {
			_, text := n.Get(path)
			look("GET "+path+" of "+n.Name, text)
		}
	}
	for path, body := range map[string]string{"/config": `{"ttl": "` + passwords["PATRONI_RESTAPI_PASSWORD"][:2] + `x"}`, "/restart": "{", "/reinitialize": ""} {
		for _, password := range []string{"", passwords["PATRONI_RESTAPI_PASSWORD"]} {
			look("the answer to a change of "+path, refusal(t, leader, path, body, password))
		}
	}
	for _, command := range [][]string{{"list"}, {"show-config"}, {"explain"}, {"dsn"}, {"history"}, {"version"}} {
		look("hathi "+command[0], c.Hathi(command...))
	}
	out, _ := c.RunAs("hathi", "", nil, "doctor", c.Nodes[0].Config)
	look("hathi doctor", out)
	for _, n := range c.Nodes {
		look("the log of "+n.Name, n.Log())
		look("the configuration files of "+n.Name, files(t, n.Data))
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", n.Postmaster()))
		if err != nil {
			t.Fatal(err)
		}
		look("the environment of the postmaster of "+n.Name, "x"+string(environ))
	}
	for _, line := range stop() {
		t.Errorf("a password is in a command line: %s", line)
	}
	shown(t, c, leader)
}

// shown holds what the documentation says about where a password can be seen after all: what somebody has put into the
// configuration of the cluster is there for everybody to read, as with Patroni.
func shown(t *testing.T, c *testcluster.Cluster, leader *testcluster.Node) {
	t.Helper()
	request(t, leader, "PATCH", "/config", `{"postgresql": {"parameters": {"archive_command": "push --key=`+misplaced+`"}}}`, passwords["PATRONI_RESTAPI_PASSWORD"])
	if _, text := leader.Get("/config"); !strings.Contains(text, misplaced) {
		t.Errorf("GET /config hides what is stored, and so can't be written back: %s", text)
	}
	if _, text := leader.Get("/patroni"); strings.Contains(text, misplaced) {
		t.Errorf("GET /patroni shows an archive_command: %s", text)
	}
}

// files gives the files of a data directory that are made from the configuration.
func files(t *testing.T, data string) string {
	t.Helper()
	var all strings.Builder
	for _, pattern := range []string{"*.conf", "*.json", "*.signal", "postmaster.opts"} {
		names, err := filepath.Glob(filepath.Join(data, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(text)
		}
	}
	return all.String()
}

// refusal makes a change that has to be refused and gives the answer.
func refusal(t *testing.T, n *testcluster.Node, path, body, password string) string {
	t.Helper()
	method := "POST"
	if path == "/config" {
		method = "PATCH"
	}
	status, text := request(t, n, method, path, body, password)
	if status < 400 {
		t.Errorf("%s %s: %d %s", method, path, status, text)
	}
	return text
}

// request makes a change; without a password, as nobody.
func request(t *testing.T, n *testcluster.Node, method, path, body, password string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("http://127.0.0.1:%d%s", n.RESTPort, path), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if password != "" {
		req.SetBasicAuth("admin", password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, text.String()
}
