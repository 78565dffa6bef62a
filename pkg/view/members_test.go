package view_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

const optime = cluster.LSN(0x30002D8)

// demo is a healthy cluster of three; each case changes what it is about.
func demo(change func(v *cluster.View)) *cluster.View {
	v := &cluster.View{
		Initialize: cluster.Initialize{Present: true, Value: "7593529639153778709"},
		Leader:     cluster.Leader{Present: true, Name: "node1"},
		Status:     cluster.Status{Present: true, Optime: optime},
		Members: []cluster.Member{
			{Name: "node1", ConnURL: "postgres://10.0.0.1:5432/postgres", State: "running", Timeline: 2, Role: "primary"},
			replica("node2", "10.0.0.2"),
			replica("node3", "10.0.0.3"),
		},
	}
	if change != nil {
		change(v)
	}
	return v
}

func replica(name, host string) cluster.Member {
	return cluster.Member{
		Name: name, ConnURL: "postgres://" + host + ":5432/postgres", State: "running", Role: "replica", Timeline: 2,
		ReplicationState: "streaming", ReceiveLSN: optime, ReplayLSN: optime, XLogLocation: optime,
	}
}

func archived(v *cluster.View) {
	m := &v.Members[2]
	m.ReplicationState = "in archive recovery"
	m.ReceiveLSN, m.ReplayLSN = 0x2B3B798, 0x2676C58
	m.Tags = cluster.Tags{"nofailover": true, "clonefrom": true}
}

func stopped(v *cluster.View) {
	v.Members[2] = cluster.Member{Name: "node3", ConnURL: "postgres://10.0.0.3:5433/postgres", State: "stopped"}
}

func article(leader string, timeline cluster.Timeline, at cluster.LSN) *cluster.View {
	v := demo(nil)
	v.Leader.Name, v.Status.Optime = leader, at
	v.Members = []cluster.Member{replica("node1", "node1"), replica("node2", "node2")}
	for i := range v.Members {
		m := &v.Members[i]
		m.Timeline, m.ReceiveLSN, m.ReplayLSN = timeline, at, at
		if m.Name == leader {
			m.ReplicationState, m.Role = "", "primary"
		}
	}
	return v
}

func TestMembers(t *testing.T) {
	later := time.Date(2027, 1, 12, 3, 16, 0, 0, time.FixedZone("", 9*3600))
	scheduled := &cluster.ScheduledRestart{Schedule: "2027-01-12T03:16:00+00:00"}
	reason := cluster.PendingRestart{Parameter: "max_connections", OldValue: "100", NewValue: "200"}
	for golden, c := range map[string]struct {
		name     string
		view     *cluster.View
		group    *int
		extended bool
	}{
		"article.pretty":   {name: "demo-cluster", view: article("node2", 10, 0x303CA90)},
		"article.topology": {name: "demo-cluster", view: article("node1", 11, 0x303CCD0)},
		"tags.pretty":      {view: demo(archived)},
		"tags.tsv":         {view: demo(archived)},
		"empty.pretty":     {name: "nosuch", view: &cluster.View{}},
		"footer.pretty": {view: demo(func(v *cluster.View) {
			stopped(v)
			v.Config = cluster.Document{Present: true, Raw: []byte(`{"pause": true}`)}
			v.Failover = cluster.FailoverRequest{Leader: "node1", Candidate: "node2", ScheduledAt: later}
		})},
		"extended.pretty": {extended: true, view: demo(func(v *cluster.View) {
			v.Members[0].PendingRestart = true
			v.Members[0].PendingRestartReason = []cluster.PendingRestart{reason}
			v.Members[0].ScheduledRestart = scheduled
		})},
		"reasons.pretty": {view: demo(func(v *cluster.View) {
			v.Members = v.Members[:2]
			m := &v.Members[1]
			m.PendingRestart = true
			m.PendingRestartReason = []cluster.PendingRestart{reason, {
				Parameter: "shared_preload_libraries", OldValue: "pg_stat_statements", NewValue: "pg_stat_statements,auto_explain",
			}}
			m.ScheduledRestart = &cluster.ScheduledRestart{Schedule: scheduled.Schedule, PostgresVersion: "16.4"}
		})},
		"quorum.pretty": {view: demo(func(v *cluster.View) {
			stopped(v)
			v.Config = cluster.Document{Present: true, Raw: []byte(`{"synchronous_mode": "quorum"}`)}
			v.Sync = cluster.SyncState{Leader: "node1", Standbys: []string{"NODE2"}}
		})},
		"leaderless.topology": {view: demo(func(v *cluster.View) {
			v.Leader = cluster.Leader{}
			v.Members = []cluster.Member{
				{Name: "node1", State: "running"},
				{Name: "node2"},
				{Name: "node3", State: "running", ConnURL: "postgres://10.0.0.3:5432/x", Timeline: 2},
			}
		})},
		"tree.topology": {view: demo(func(v *cluster.View) {
			v.Members = append(v.Members, replica("node4", "10.0.0.4"), replica("node5", "10.0.0.5"))
			for i, from := range []string{"", "node3", "", "node2", "gone"} {
				if from != "" {
					v.Members[i].Tags = cluster.Tags{"replicatefrom": from}
				}
			}
		})},
		"circle.topology": {view: demo(func(v *cluster.View) {
			v.Members[1].Tags = cluster.Tags{"replicatefrom": "node3"}
			v.Members[2].Tags = cluster.Tags{"replicatefrom": "node2"}
			v.Members = append(v.Members, replica("node4", "10.0.0.4"))
			v.Members[3].Tags = cluster.Tags{"replicatefrom": "node3"}
		})},
		"ports.json": {view: demo(func(v *cluster.View) {
			stopped(v)
			v.Members = []cluster.Member{v.Members[0], v.Members[2]}
		})},
		"progress.pretty": {view: demo(copying)}, "progress.json": {view: demo(copying)}, "progress.tsv": {view: demo(copying)},
		"pending.yaml": {view: demo(func(v *cluster.View) {
			v.Members = v.Members[:1]
			v.Members[0].PendingRestart = true
			v.Members[0].PendingRestartReason = []cluster.PendingRestart{reason}
			v.Members[0].ScheduledRestart = scheduled
		})},
		"group.pretty": {name: "cit", group: new(int), view: demo(func(v *cluster.View) {
			v.Initialize.Value = "12341"
			v.Leader.Name = "c1-a"
			v.Members = []cluster.Member{v.Members[0], replica("c1-b", "10.1.1.2")}
			v.Members[0].Name, v.Members[0].ConnURL = "c1-a", "postgres://10.1.1.1:5432/x"
		})},
	} {
		t.Run(golden, func(t *testing.T) {
			if c.name == "" {
				c.name = "demo"
			}
			described := ctl.Describe(c.name, c.view)
			if c.group != nil {
				*c.group = 1
				described.Group = c.group
			}
			got, err := view.Members(described, view.Format(filepath.Ext(golden)[1:]), c.extended)
			compare(t, golden, got, err)
		})
	}
}

// copying is a cluster one member of which is being copied.
func copying(v *cluster.View) {
	v.Members = v.Members[:2]
	m := &v.Members[1]
	m.State, m.ReplicationState, m.ReceiveLSN, m.ReplayLSN, m.XLogLocation, m.Timeline = cluster.StateCreatingReplica, "", 0, 0, 0, 0
	m.Progress = "base backup: 12 MB of 340 MB (3%)"
}

func TestHistory(t *testing.T) {
	const reason = "no recovery target specified"
	full := []cluster.HistoryEntry{
		{Timeline: 1, LSN: 24392648, Reason: reason, Timestamp: "2026-09-11T22:11:27.125527+00:00", NewLeader: "node1"},
		{Timeline: 2, LSN: 50331864, Reason: reason},
	}
	for golden, entries := range map[string][]cluster.HistoryEntry{
		"history.pretty": full, "history.json": full, "history.tsv": full, "history-empty.pretty": nil,
	} {
		t.Run(golden, func(t *testing.T) {
			got, err := view.History(entries, view.Format(filepath.Ext(golden)[1:]))
			compare(t, golden, got, err)
		})
	}
}

// compare holds the output against a golden file, all of which are transcripts of the original or were
// checked by hand: there is no switch that overwrites them.
func compare(t *testing.T, golden string, got []byte, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", golden))
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
