package api

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/explain"
	"github.com/hathi-ha/hathi/pkg/ha"
)

func TestExplain(t *testing.T) {
	if a := send(t, newWorld().start(t, Settings{}), "GET", "/explain", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("before the first decision: %d %s", a.status, a.body)
	}
	w := newWorld()
	w.snapshot.Observation = &ha.Observation{
		Now: w.clock.Now(), Self: ha.Self{Name: "db1", Tags: cluster.Tags{"zone": "a"}}, Server: w.snapshot.Server,
		Store: ha.Store{View: w.view}, Memory: ha.Memory{FormerLeader: "db2"},
	}
	w.snapshot.Server.RestoreCommand = "fetch --password=hush"
	w.snapshot.Decision = ha.Decision{
		Action:  ha.Demote{Mode: ha.DemoteGraceful},
		Reasons: []ha.Reason{{Rule: "request-demote", Text: "switchover: demoting myself"}},
	}
	w.look = func(s *cluster.Server) { s.FlushLSN = 77 }
	w.clock.Advance(1500 * time.Millisecond)

	a := send(t, w.start(t, Settings{}), "GET", "/explain", "")
	var got explain.Statement
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	want := explain.Reason{Rule: "request-demote", Text: "switchover: demoting myself"}
	if got.Action != "Demote" || string(got.Arguments) != `{"Mode": "graceful"}` || len(got.Reasons) != 1 || got.Reasons[0] != want || got.AgeMS != 1500 {
		t.Errorf("decision: %+v", got)
	}
	o := got.Observation
	if o.Server.FlushLSN != 77 || o.Store.View.Leader.Name != "db1" || o.Memory.FormerLeader != "db2" || o.Self.Tags["zone"] != "a" {
		t.Errorf("observation: %+v", o)
	}
	if strings.Contains(a.body, "hush") {
		t.Error("the restore command is told to everybody")
	}
}
