// Package doctor lets hathi doctor look at a running cluster in which something is wrong.
package doctor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/integration/testcluster"
)

// finding is one of hathi doctor --format json.
type finding struct{ Level, Where, Key, What, Why, Fix string }

// The second node's connect_address leads to the first one's server, as a copied file has it.
func TestRunningCluster(t *testing.T) {
	c := testcluster.Prepare(t, testcluster.Options{Nodes: 2, TTL: 10, LoopWait: 2, Retry: 3})
	first, second := c.Nodes[0], c.Nodes[1]
	text, err := os.ReadFile(second.Config)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := strings.Replace(string(text), fmt.Sprintf("connect_address: 127.0.0.1:%d\n  data_dir", second.Port),
		fmt.Sprintf("connect_address: 127.0.0.1:%d\n  data_dir", first.Port), 1)
	if spoilt == string(text) {
		t.Fatalf("no connect_address to spoil in\n%s", text)
	}
	if err := os.WriteFile(second.Config, []byte(spoilt), 0o644); err != nil {
		t.Fatal(err)
	}
	first.Run()
	c.WaitFor(90*time.Second, "a leader", func() bool { return c.Leader() == first })
	second.Run()
	c.WaitFor(90*time.Second, "a running replica", func() bool {
		m, ok := c.View().Member(second.Name)
		return ok && m.ReplicationState == "streaming"
	})

	out, code := c.RunAs("hathi", "", nil, "doctor", "--format", "json", first.Config, second.Config)
	if code != 1 {
		t.Errorf("exit code %d beside mistakes, want 1", code)
	}
	var list []finding
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	for _, want := range []finding{
		{Level: "mistake", Where: "member " + second.Name, Key: "postgresql.connect_address", What: "leads to another server"},
		{Level: "mistake", Where: second.Config + ":", Key: "postgresql.connect_address", What: "is the address of " + first.Name},
		{Level: "risk", Where: "etcd", What: "single member"},
		{Level: "risk", Where: "member " + first.Name, What: "slots have no limit"},
	} {
		if !contains(list, want) {
			t.Errorf("not found: %+v in\n%s", want, out)
		}
	}
	for _, f := range list {
		if f.Where == "member "+first.Name && f.Level == "mistake" {
			t.Errorf("a mistake of the node that is right: %+v", f)
		}
	}
	// The agent has told at its start what it saw in its own file.
	if log := first.LogTail(10000); !strings.Contains(log, "open to every address") {
		t.Errorf("the agent's log has nothing about pg_hba:\n%s", log)
	}
	t.Run("run --generate-config", func(t *testing.T) { generate(t, c) })
}

// generate takes a configuration from servers that run; from a replica, too, and then nothing of what makes it one is in
// there.
func generate(t *testing.T, c *testcluster.Cluster) {
	for _, node := range c.Nodes {
		dsn := fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=secret-super", node.Port)
		path := filepath.Join(t.TempDir(), "made", node.Name+".yml")
		if out, code := c.RunAs("hathi", "", nil, "run", "--generate-config", "--dsn", dsn, path); code != 0 || out != "" {
			t.Fatalf("exit code %d\n%s", code, out)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v", info.Mode())
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(raw)
		for _, want := range []string{
			"scope: " + c.Scope, "data_dir: " + node.Data, "max_connections: '50'", fmt.Sprintf("listen: 127.0.0.1:%d", node.Port),
			"username: postgres", "password: secret-super", "- local all all trust", "shared_buffers: 16MB", "bin_dir: /",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		for _, no := range []string{"primary_conninfo", "primary_slot_name", "secret-repl"} {
			if strings.Contains(text, no) {
				t.Errorf("%q is in\n%s", no, text)
			}
		}
		whole := strings.NewReplacer("#FIXME:2379", "etcd:2379", "#FIXME", "x").Replace(text)
		if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := c.RunAs("hathi", "", nil, "run", "--validate-config", "-i", path); code != 0 {
			t.Errorf("the file does not pass the check, code %d:\n%s", code, out)
		}
	}
	for dsn, want := range map[string]string{
		"nonsense": "Failed to parse DSN string",
		fmt.Sprintf("host=127.0.0.1 port=%d user=postgres password=wrong", c.Nodes[0].Port):         "Failed to establish PostgreSQL connection: ",
		fmt.Sprintf("host=127.0.0.1 port=%d user=replicator password=secret-repl", c.Nodes[0].Port): "The provided user does not have superuser privilege",
	} {
		if out, code := c.RunAs("hathi", "", nil, "run", "--generate-config", "--dsn", dsn); code != 1 || !strings.Contains(out, want) || strings.Contains(out, "wrong") {
			t.Errorf("%s: exit code %d\n%s", dsn, code, out)
		}
	}
}

func contains(list []finding, want finding) bool {
	for _, f := range list {
		if f.Level == want.Level && strings.HasPrefix(f.Where, want.Where) && f.Key == want.Key && strings.Contains(f.What, want.What) {
			return f.Why != "" && f.Fix != ""
		}
	}
	return false
}
