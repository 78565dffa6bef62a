// Package doctor lets hathi doctor look at a running cluster in which something is wrong.
package doctor

import (
	"encoding/json"
	"fmt"
	"os"
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
}

func contains(list []finding, want finding) bool {
	for _, f := range list {
		if f.Level == want.Level && strings.HasPrefix(f.Where, want.Where) && f.Key == want.Key && strings.Contains(f.What, want.What) {
			return f.Why != "" && f.Fix != ""
		}
	}
	return false
}
