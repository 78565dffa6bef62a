package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

const unparsable = "Error: Unable to parse scheduled timestamp (soon). It should be in an unambiguous format (e.g. ISO 8601)\n"

// Answers are read from a pipe, so what was typed does not appear between the questions.
func TestTranscripts(t *testing.T) {
	const done = `Successfully switched over to "node2"`
	paused := demo(func(v *cluster.View) {
		v.Config = cluster.Document{Present: true, Raw: []byte(`{"pause": true, "loop_wait": 1}`)}
	})
	obeyed := demo(func(v *cluster.View) {
		for i := range v.Members {
			v.Members[i].Pause = true
		}
	})
	synchronous := demo(func(v *cluster.View) {
		v.Config = cluster.Document{Present: true, Raw: []byte(`{"synchronous_mode": true}`)}
		v.Sync = cluster.SyncState{Leader: "node1", Standbys: []string{"node2"}}
	})
	scheduled := demo(func(v *cluster.View) {
		v.Failover = cluster.FailoverRequest{Leader: "node1", ScheduledAt: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
		v.Members[1].ScheduledRestart = &cluster.ScheduledRestart{Schedule: "2030-01-01T00:00:00+00:00"}
		v.Members[2].ScheduledRestart = v.Members[1].ScheduledRestart
	})
	for _, c := range []struct {
		args    string
		input   string
		views   []*cluster.View
		answers map[string][]ctl.Answer
		want    string
		code    int // as patronictl
		hathi   int // as hathi
	}{
		{
			args: "switchover", input: "\nnode2\n\nmaybe\ny\n", views: []*cluster.View{demo(nil), led("node2")},
			answers: map[string][]ctl.Answer{"POST node1/switchover": answer(200, done)},
			want: "Current cluster topology\n…\nPrimary [node1]: Candidate ['node2', 'node3'] []: " +
				"When should the switchover take place (e.g. 2026-11-23T03:30 )  [now]: " +
				"Are you sure you want to switchover cluster demo, demoting current leader node1? [y/N]: Error: invalid input\n" +
				"Are you sure you want to switchover cluster demo, demoting current leader node1? [y/N]: 2026-11-23 02:30:30.33264 " + done + "\n…\n",
		},
		{
			args: "switchover demo --leader node1 --candidate node2", input: "\nn\n",
			want: "Current cluster topology\n…\nWhen should the switchover take place (e.g. 2026-11-23T03:30 )  [now]: " +
				"Are you sure you want to switchover cluster demo, demoting current leader node1? [y/N]: Error: Aborting switchover\n", code: 1, hathi: 1,
		},
		{
			args: "switchover demo --leader node1 --candidate node2 --scheduled 2030-01-01T00:00Z", input: "no\n",
			want: "Current cluster topology\n…\nAre you sure you want to schedule switchover of cluster demo at 2030-01-01T00:00:00+00:00, " +
				"demoting current leader node1? [y/N]: Error: Aborting scheduled switchover\n", code: 1, hathi: 1,
		},
		{args: "switchover demo --leader node2 --force", want: "Current cluster topology\n…\nError: Member node2 is not the leader of cluster demo\n", code: 1, hathi: 1},
		{args: "switchover demo --force --scheduled soon", want: "Current cluster topology\n…\n" + unparsable, code: 1, hathi: 1},
		{args: "switchover", want: "Current cluster topology\n…\nPrimary [node1]: Aborted!\n", code: 1, hathi: 1},
		{
			args: "switchover --force", answers: map[string][]ctl.Answer{"POST node1/switchover": answer(412, "no good candidates")},
			want: "Current cluster topology\n…\nSwitchover failed, details: 412, no good candidates\n", hathi: 1,
		},
		{
			args: "failover --candidate node2 --force", answers: map[string][]ctl.Answer{"POST node1/failover": answer(200, `Successfully failed over to "node2"`)},
			want: "Current cluster topology\n…\n2026-11-23 02:30:30.33264 Successfully failed over to \"node2\"\n…\n",
		},
		{args: "failover --force", want: "Current cluster topology\n…\nError: Failover could be performed only to a specific candidate\n", code: 1, hathi: 1},
		{args: "failover", input: "\n", want: "Current cluster topology\n…\nCandidate ['node2', 'node3'] []: Error: Failover could be performed only to a specific candidate\n", code: 1, hathi: 1},
		{
			args: "failover --candidate node3", input: "n\n", views: []*cluster.View{synchronous},
			want: "Current cluster topology\n…\nAre you sure you want to failover to the asynchronous node node3? [y/N]: Error: Aborting failover\n", code: 1, hathi: 1,
		},
		{
			args: "failover --candidate node2", input: "n\n", views: []*cluster.View{led("")},
			want: "Current cluster topology\n…\nAre you sure you want to failover cluster demo? [y/N]: Error: Aborting failover\n", code: 1, hathi: 1,
		},
		{args: "pause", answers: map[string][]ctl.Answer{"PATCH node1/config": answer(200, "{}")}, want: "Success: cluster management is paused\n"},
		{args: "pause", views: []*cluster.View{paused}, want: "Error: Cluster is already paused\n", code: 1, hathi: 1},
		{args: "resume", want: "Error: Cluster is not paused\n", code: 1, hathi: 1},
		{
			args: "pause --wait", views: []*cluster.View{demo(nil), demo(nil), obeyed}, answers: map[string][]ctl.Answer{"PATCH node1/config": answer(200, "{}")},
			want: "'pause' request sent, waiting until it is recognized by all nodes\nSuccess: cluster management is paused\n",
		},
		{
			args: "resume", views: []*cluster.View{paused}, answers: map[string][]ctl.Answer{"PATCH node1/config": answer(503, "nope")},
			want: "Failed: resume cluster management status code=503, (nope)\n", hathi: 1,
		},
		{
			args: "reinit demo", input: "node2\ny\n", answers: map[string][]ctl.Answer{"POST node2/reinitialize": answer(200, "reinitialize started")},
			want: "…\nWhich member do you want to reinitialize [node2, node3]? []: Are you sure you want to reinitialize members node2? [y/N]: Success: reinitialize for member node2\n",
		},
		{args: "reinit demo", input: "node1\n", want: "…\nWhich member do you want to reinitialize [node2, node3]? []: Error: node1 is not a member of cluster\n", code: 1, hathi: 1},
		{args: "reinit demo node1 --force", want: "…\nError: No replica among provided members\n", code: 1, hathi: 1},
		{
			args: "reinit demo node2", input: "y\nn\n", answers: map[string][]ctl.Answer{"POST node2/reinitialize": answer(503, "reinitialize already in progress")},
			want: "…\nAre you sure you want to reinitialize members node2? [y/N]: Failed: reinitialize for member node2, status code=503, (reinitialize already in progress)\n" +
				"Do you want to cancel it and reinitialize anyway? [y/N]: ", hathi: 1,
		},
		{
			args: "reinit demo node2", input: "y\ny\n",
			answers: map[string][]ctl.Answer{"POST node2/reinitialize": {{Status: 503, Body: "reinitialize already in progress"}, {Status: 200, Body: "reinitialize started"}}},
			want: "…\nAre you sure you want to reinitialize members node2? [y/N]: Failed: reinitialize for member node2, status code=503, (reinitialize already in progress)\n" +
				"Do you want to cancel it and reinitialize anyway? [y/N]: Success: reinitialize for member node2\n",
		},
		{args: "reinit demo node2", input: "n\n", want: "…\nAre you sure you want to reinitialize members node2? [y/N]: Error: Aborted reinitialize\n", code: 1, hathi: 1},
		{
			args: "restart demo node2", input: "\ny\n\n", answers: map[string][]ctl.Answer{"POST node2/restart": answer(200, "restarted successfully")},
			want: "…\nWhen should the restart take place (e.g. 2026-11-23T03:30)  [now]: Are you sure you want to restart members node2? [y/N]: " +
				"Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: Success: restart on member node2\n",
		},
		{
			args: "restart demo node2", input: "2030-01-01T10:00Z\ny\n16.4\n", answers: map[string][]ctl.Answer{"POST node2/restart": answer(202, "Restart scheduled")},
			want: "…\nWhen should the restart take place (e.g. 2026-11-23T03:30)  [now]: Are you sure you want to schedule restart of members node2 at 2030-01-01 10:00:00+00:00? [y/N]: " +
				"Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: Success: restart scheduled on member node2\n",
		},
		{
			args: "restart demo node2", input: "\ny\n9.6\n",
			want: "…\nWhen should the restart take place (e.g. 2026-11-23T03:30)  [now]: Are you sure you want to restart members node2? [y/N]: " +
				"Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)  []: Error: Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6\n", code: 1, hathi: 1,
		},
		{
			args: "restart demo node2 --force", answers: map[string][]ctl.Answer{"POST node2/restart": answer(503, "restart conditions are not satisfied")},
			want: "…\nFailed: restart for member node2, status code=503, (restart conditions are not satisfied)\n", hathi: 1,
		},
		{
			args: "restart demo --force --role replica", answers: map[string][]ctl.Answer{"POST node3/restart": answer(409, "")},
			want: "…\nFailed: restart for member node2, connection refused\nFailed: another restart is already scheduled on member node3\n", code: 1, hathi: 1,
		},
		{args: "restart demo nope --force", want: "…\nError: No 'any' among provided members\n", code: 1, hathi: 1},
		{args: "restart nosuch --force", views: []*cluster.View{{}}, want: "Error: nosuch cluster doesn't have any members\n", code: 1, hathi: 1},
		{args: "restart demo --force --scheduled 2030-01-01", views: []*cluster.View{paused}, want: "…\n Maintenance mode: on\nError: Can't schedule restart in the paused state\n", code: 1, hathi: 1},
		{
			args: "reload demo node1 node2 --force", answers: map[string][]ctl.Answer{"POST node1/reload": answer(202, ""), "POST node2/reload": answer(200, "")},
			want: "…\nReload request received for member node1 and will be processed within 10 seconds\nNo changes to apply on member node2\n",
		},
		{args: "reload demo", input: "\n", want: "…\nAre you sure you want to reload members node1, node2, node3? [y/N]: Error: Aborted reload\n", code: 1, hathi: 1},
		{args: "flush demo switchover", want: "No pending scheduled switchover\n"},
		{
			args: "flush demo switchover", views: []*cluster.View{scheduled}, answers: map[string][]ctl.Answer{"DELETE node1/switchover": answer(200, "scheduled switchover deleted")},
			want: "Success: scheduled switchover deleted\n",
		},
		{
			args: "flush demo switchover", views: []*cluster.View{scheduled}, answers: map[string][]ctl.Answer{
				"DELETE node1/switchover": answer(409, "conflict"), "DELETE node2/switchover": answer(404, "no switchover is scheduled"),
			},
			want: "Failed: member=node1, status_code=409, (conflict)\nFailed: no switchover is scheduled\n", hathi: 1,
		},
		{
			args: "flush demo restart --force", views: []*cluster.View{scheduled}, answers: map[string][]ctl.Answer{
				"DELETE node2/restart": answer(200, "scheduled restart deleted"), "DELETE node3/restart": answer(404, "no restarts are scheduled"),
			},
			want: "…\n Switchover scheduled at: 2030-01-01T00:00:00+00:00\n                    from: node1\nNo scheduled restart for member node1\nSuccess: flush scheduled restart for member node2\n" +
				"Failed: flush scheduled restart for member node3, status code=404, (no restarts are scheduled)\n", hathi: 1,
		},
		{args: "flush demo node2 restart", input: "n\n", want: "…\nAre you sure you want to flush members node2? [y/N]: Error: Aborted flush\n", code: 1, hathi: 1},
		{
			args: "version demo node1 node2", answers: map[string][]ctl.Answer{
				"GET node1/patroni": answer(503, `{"server_version": 160010, "patroni": {"version": "4.1.4"}}`), "GET node2/patroni": answer(200, `{"patroni": {"version": "4.1.4"}}`),
			},
			want: "patronictl version 4.1.4\n\nnode1: Patroni 4.1.4 PostgreSQL 16.10\nnode2: Patroni 4.1.4\n",
		},
	} {
		for program, code := range map[string]int{"patronictl": c.code, "hathi": c.hathi} {
			t.Run(program+" "+c.args, func(t *testing.T) {
				f := &fakeCluster{views: c.views, answers: map[string][]ctl.Answer{}}
				if f.views == nil {
					f.views = []*cluster.View{demo(nil)}
				}
				for k, v := range c.answers {
					f.answers[k] = v
				}
				got, exit := run(t, f, program, c.input, strings.Fields(c.args)...)
				want := c.want
				if program == "hathi" {
					want = strings.Replace(want, "Aborted!\n", "Aborted! The input ended before the question was answered.\n", 1)
				}
				if got = withoutTables(got); got != want || exit != code {
					t.Errorf("got (exit %d)\n%s\nwant (exit %d)\n%s", exit, got, code, want)
				}
			})
		}
	}
}

// TestNothingPending: a forced restart of those that wait for one does nothing if none does.
func TestNothingPending(t *testing.T) {
	for program, want := range map[string]string{"patronictl": "…\n", "hathi": "…\nNo member waits for a restart.\n"} {
		f := &fakeCluster{views: []*cluster.View{demo(nil)}}
		got, code := run(t, f, program, "", "restart", "demo", "--force", "--pending")
		if got = withoutTables(got); got != want || code != 0 || len(f.sent) > 0 {
			t.Errorf("%s: exit %d, sent %q, printed\n%s", program, code, f.sent, got)
		}
	}
}

func TestFallBackToEtcd(t *testing.T) {
	f := &fakeCluster{views: []*cluster.View{demo(nil), demo(nil), led("node2")}}
	got, code := run(t, f, "patronictl", "", "switchover", "demo", "--candidate", "node2", "--force")
	want := "2026-11-23 02:30:30.33264 Could not switchover using Patroni api, falling back to DCS\n…\n"
	if got = withoutTables(got); code != 0 || !strings.HasSuffix(got, want) || !strings.Contains(got, " - WARNING - Failing over to DCS\n") {
		t.Errorf("exit %d\n%s\nmust end in\n%s", code, got, want)
	}
	if len(f.written) != 1 || f.written[0] != (cluster.FailoverRequest{Leader: "node1", Candidate: "node2"}) {
		t.Errorf("wrote %+v to /failover", f.written)
	}
	f = &fakeCluster{views: []*cluster.View{demo(nil), demo(nil), led("node2")}}
	got, code = run(t, f, "hathi", "", "switchover", "demo", "--candidate", "node2", "--force")
	want = "2026-11-23 02:30:30.33264 Successfully switched over to \"node2\"\n…\n"
	if got = withoutTables(got); code != 0 || !strings.HasSuffix(got, want) {
		t.Errorf("hathi waits for the result; exit %d\n%s", code, got)
	}
}

func TestListOutput(t *testing.T) {
	f := &fakeCluster{views: []*cluster.View{demo(func(v *cluster.View) { v.Members = v.Members[:1] }), {}}}
	got, code := run(t, f, "patronictl", "", "list", "demo", "nosuch", "-tfjson")
	want := "2026-11-23 02:30:30\n" +
		`[{"Cluster": "demo", "Member": "node1", "Host": "10.0.0.1", "Role": "Leader", "State": "running", "TL": 1}]` + "\n[]\n"
	if got != want || code != 0 {
		t.Errorf("exit %d, got\n%s\nwant\n%s", code, got, want)
	}
}

func TestCompletion(t *testing.T) {
	for args, want := range map[string]string{
		"__complete list ":                    "demo\nother\n",
		"__complete reinit demo ":             "node1\nnode2\nnode3\n",
		"__complete switchover --candidate n": "node1\nnode2\nnode3\n",
		"__complete list --format ":           "pretty\ntsv\njson\nyaml\nyml\n",
	} {
		got, code := run(t, &fakeCluster{views: []*cluster.View{demo(nil)}}, "hathi", "", strings.Split(args, " ")...)
		if !strings.HasPrefix(got, want) || code != 0 {
			t.Errorf("%q: exit %d, got %q, want first %q", args, code, got, want)
		}
	}
}
