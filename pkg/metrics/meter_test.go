package metrics

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// turn is one turn of the member db2 at a number of milliseconds.
type turn struct {
	at      int
	leader  string
	request bool
	primary bool
	blind   bool // etcd has never answered
}

func observation(t turn) ha.Observation {
	o := ha.Observation{Now: clock.Instant(time.Hour).Add(time.Duration(t.at) * time.Millisecond)}
	o.Server.Answered, o.Server.InRecovery, o.Server.Process = true, !t.primary, cluster.ProcessRunning
	if t.blind {
		return o
	}
	o.Store.View = &cluster.View{Leader: cluster.Leader{Present: t.leader != "", Name: t.leader}}
	if t.request {
		o.Store.View.Failover = cluster.FailoverRequest{Leader: "db1", Candidate: "db2", Revision: 3}
	}
	return o
}

func TestTakeovers(t *testing.T) {
	for _, c := range []struct {
		name  string
		turns []turn
		want  string // kind and seconds; empty: none was counted
	}{
		{"failover", []turn{{0, "db1", false, false, false}, {100, "", false, false, false}, {150, "db2", false, false, false}, {400, "db2", false, true, false}}, "failover 0.3"},
		{"the key is handed over", []turn{{0, "db1", true, false, false}, {100, "db2", false, false, false}, {300, "db2", false, true, false}}, "switchover 0.2"},
		{"counted once", []turn{{0, "db1", false, false, false}, {100, "", false, false, false}, {400, "db2", false, true, false}, {500, "db2", false, true, false}}, "failover 0.3"},
		{"somebody else was quicker", []turn{{0, "db1", false, false, false}, {100, "", false, false, false}, {150, "db3", false, false, false}, {200, "db3", false, false, false}}, ""},
		{"a new cluster had no leader to lose", []turn{{0, "", false, false, true}, {10, "", false, false, false}, {20, "db2", false, true, false}}, ""},
		{"own lock lost and taken back", []turn{{0, "db2", false, true, false}, {10, "", false, true, false}, {20, "db2", false, true, false}}, ""},
	} {
		m := New()
		for _, one := range c.turns {
			m.Turn("db2", observation(one), ha.Decision{Action: ha.Wait{}}, time.Millisecond)
		}
		if c.want == "" {
			if n := testutil.CollectAndCount(m.takeovers); n != 0 {
				t.Errorf("%s: %d takeovers counted, want none", c.name, n)
			}
			continue
		}
		kind, seconds, _ := strings.Cut(c.want, " ")
		text, err := testutil.CollectAndFormat(m.takeovers, expfmt.TypeTextPlain, "hathi_takeover_duration_seconds")
		for _, line := range []string{`_sum{kind="` + kind + `"} ` + seconds, `_count{kind="` + kind + `"} 1`} {
			if err != nil || !strings.Contains(string(text), line) {
				t.Errorf("%s: no %s in\n%s (%v)", c.name, line, text, err)
			}
		}
	}
}

func TestTurnsAreCounted(t *testing.T) {
	m := New()
	d := ha.Decision{Action: ha.Wait{}, Reasons: []ha.Reason{{Rule: "leader"}}}
	m.Turn("db2", observation(turn{leader: "db1"}), d, 20*time.Millisecond)
	m.Turn("db2", observation(turn{leader: "db1"}), d, 20*time.Millisecond)
	if got := testutil.ToFloat64(m.decisions.WithLabelValues("Wait", "leader")); got != 2 {
		t.Errorf("decisions: %v, want 2", got)
	}
	text, err := testutil.CollectAndFormat(m, expfmt.TypeTextPlain, "hathi_turn_duration_seconds")
	if err != nil || !strings.Contains(string(text), "hathi_turn_duration_seconds_count 2") {
		t.Errorf("turns: %s (%v)", text, err)
	}
}
