package ha

import (
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestScheduledRestart: what becomes of a restart for later. Source: ha.md 14.4, 14.5.
func TestScheduledRestart(t *testing.T) {
	began := time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	server := func(o *Observation) {
		o.Server.PostmasterStart = began
		o.Server.PendingRestart = []cluster.PendingRestart{{Parameter: "max_connections"}}
	}
	restarted := func(o *Observation) { o.Server.PostmasterStart = began.Add(time.Hour) }
	for _, c := range []struct {
		name string
		left time.Duration // until its time
		with RestartConditions
		see  []change
		want RestartFate
		line string
	}{
		{"not yet", time.Second, RestartConditions{}, nil, RestartKept, ""},
		{"due", 0, RestartConditions{}, nil, RestartDue, "Manual scheduled restart at 2027-03-01T08:00:00+00:00"},
		{"a loop and a half late", -15 * time.Second, RestartConditions{}, nil, RestartDue, "Manual scheduled restart"},
		{"stale", -15*time.Second - 1, RestartConditions{}, nil, RestartDropped, "Found a stale restart value, cleaning up: 2027-03-01T07:59:44"},
		{"in pause it stays", 0, RestartConditions{}, []change{paused}, RestartKept, ""},
		{"however late", -9 * time.Hour, RestartConditions{}, []change{paused}, RestartKept, ""},
		{"restarted meanwhile", time.Hour, RestartConditions{}, []change{restarted}, RestartDropped, "postgres restart has already happened at 2027-02-01T01:00:00"},
		{"restarted meanwhile, in pause", time.Hour, RestartConditions{}, []change{paused, restarted}, RestartDropped, "has already happened"},
		{"while nobody leads it waits", 0, RestartConditions{}, []change{orphan}, RestartKept, ""},
		{"while something runs it waits", 0, RestartConditions{}, []change{running(JobCopySlots)}, RestartKept, ""},
		{"while the server is down it waits", 0, RestartConditions{}, []change{func(o *Observation) { o.Server.PostmasterStart = time.Time{} }}, RestartKept, ""},
		{"before the first view it waits", 0, RestartConditions{}, []change{firstView}, RestartKept, ""},
		{"of a replica", 0, RestartConditions{}, []change{replica}, RestartDue, "Manual scheduled restart"},
		{"of that role", 0, RestartConditions{Role: "primary", OlderThan: 150005, Pending: true}, nil, RestartDue, "Manual scheduled restart"},
		{"of another role", 0, RestartConditions{Role: "replica"}, nil, RestartDropped, "not proceeding with the restart: the role is not replica"},
		{"not older", 0, RestartConditions{OlderThan: 150004}, nil, RestartDropped, "not proceeding with the restart: PostgreSQL is not older"},
		{"nothing pending", 0, RestartConditions{Pending: true}, []change{func(o *Observation) { o.Server.PendingRestart = nil }}, RestartDropped, "not proceeding with the restart: no setting"},
		{"conditions are asked when it is due", time.Second, RestartConditions{Role: "replica"}, nil, RestartKept, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := see(append([]change{server}, c.see...)...)
			got, line := ScheduledRestart(o, cluster.RolePrimary, PlannedRestart{RestartConditions: c.with, At: o.Wall.Add(c.left), Start: began})
			if got != c.want || !strings.Contains(line, c.line) || line != "" && c.line == "" {
				t.Errorf("%d, %q; want %d, %q", got, line, c.want, c.line)
			}
		})
	}
}
