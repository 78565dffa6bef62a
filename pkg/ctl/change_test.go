package ctl_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

func TestPlanRefusals(t *testing.T) {
	nofailover := func(v *cluster.View) {
		v.Members[1].Tags = cluster.Tags{"nofailover": true}
		v.Members[2].Tags = cluster.Tags{"failover_priority": 0}
	}
	for name, c := range map[string]struct {
		change    func(v *cluster.View)
		failover  bool
		leader    string
		candidate string
		at        time.Time
		want      string
	}{
		"no leader":           {change: func(v *cluster.View) { v.Leader.Name = "" }, want: "This cluster has no leader"},
		"wrong leader":        {leader: "node2", want: "Member node2 is not the leader of cluster demo"},
		"nobody to take over": {change: nofailover, candidate: "node2", want: "No candidates found to switchover to"},
		"nobody for failover": {change: nofailover, failover: true, candidate: "node2", want: "No candidates found to failover to"},
		"already leader":      {candidate: "node1", want: "Member node1 is already the leader of cluster demo"},
		"unknown candidate":   {candidate: "x", want: "Member x does not exist in cluster demo or is tagged as nofailover"},
		"tagged candidate": {
			change: func(v *cluster.View) { v.Members[1].Tags = cluster.Tags{"nofailover": true} }, candidate: "node2",
			want: "Member node2 does not exist in cluster demo or is tagged as nofailover",
		},
		"failover needs a name":  {failover: true, want: "Failover could be performed only to a specific candidate"},
		"scheduled while paused": {change: func(v *cluster.View) { config(v, `{"pause": true}`) }, at: time.Now(), want: "Can't schedule switchover in the paused state"},
		"any candidate is fine":  {},
		"failover, no leader":    {change: func(v *cluster.View) { v.Leader.Name = "" }, failover: true, candidate: "node2"},
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, plan(demo(c.change), c.failover, c.leader, c.candidate, c.at), c.want)
		})
	}
}

func plan(v *cluster.View, failover bool, leader, candidate string, at time.Time) error {
	ch := ctl.PlanFailover("demo", "demo", v)
	if !failover {
		var err error
		if ch, err = ctl.PlanSwitchover("demo", "demo", v); err != nil {
			return err
		}
	}
	if leader != "" {
		if err := ch.CheckLeader(leader); err != nil {
			return err
		}
	}
	if _, err := ch.Candidates(); err != nil {
		return err
	}
	if err := ch.SetCandidate(candidate); err != nil {
		return err
	}
	return ch.SetTime(at)
}

func TestExecute(t *testing.T) {
	const post = `POST http://node1:8008/switchover {"candidate": "node2", "leader": "node1"}`
	refused := []any(nil)
	pending := demo(func(v *cluster.View) { v.Failover = cluster.FailoverRequest{Leader: "node1", Revision: 7} })
	cleared := demo(func(v *cluster.View) { v.Failover = cluster.FailoverRequest{Revision: 9} })
	for name, c := range map[string]struct {
		answers  []any
		views    []*cluster.View
		race     bool
		requests []string
		ok, fell bool
		text     string
		err      string
		written  int
	}{
		"done": {
			answers: []any{ctl.Answer{200, `Successfully switched over to "node2"`}}, views: []*cluster.View{led("node2")},
			requests: []string{post}, ok: true, text: `Successfully switched over to "node2"`,
		},
		"refused by the server": {
			answers: []any{ctl.Answer{412, "no good candidates have been found"}}, views: []*cluster.View{led("node1")},
			requests: []string{post}, text: "412, no good candidates have been found",
		},
		"an old server without switchover": {
			answers: []any{ctl.Answer{501, "Server does not support this operation"}, ctl.Answer{200, "ok"}}, views: []*cluster.View{led("node2")},
			requests: []string{post, `POST http://node1:8008/failover {"candidate": "node2", "leader": "node1"}`}, ok: true, text: "ok",
		},
		"not reached: through etcd": {
			answers: refused, views: []*cluster.View{cleared}, requests: []string{post}, ok: true, fell: true, written: 1,
		},
		"not reached, another leader meanwhile": {
			answers: refused, views: []*cluster.View{led("node3")}, requests: []string{post},
			err: `the leader of cluster demo is "node3" now, not "node1": nothing was changed`,
		},
		"not reached, another request is under way": {
			answers: refused, views: []*cluster.View{pending}, requests: []string{post},
			err: "another switchover of cluster demo is under way: nothing was changed",
		},
		"not reached, lost the race": {
			answers: refused, views: []*cluster.View{cleared}, race: true, requests: []string{post},
			err: "somebody else asked for a change of leader at the same moment: nothing was changed",
		},
		"answer lost, it happened: never a second request": {
			answers: []any{errLost}, views: []*cluster.View{pending, led(""), led("node2")},
			requests: []string{post}, ok: true, text: `Successfully switched over to "node2"`,
		},
		"answer lost, it was dropped": {
			answers: []any{errLost}, views: []*cluster.View{pending, cleared}, requests: []string{post}, text: errLost.Error(),
		},
		"status unknown, another member won": {
			answers: []any{ctl.Answer{503, "Switchover status unknown"}}, views: []*cluster.View{pending, led("node3")},
			requests: []string{post}, ok: true, text: `Switched over to "node3" instead of "node2"`,
		},
		"status unknown for good": {
			answers: []any{ctl.Answer{503, "Switchover status unknown"}}, views: []*cluster.View{pending},
			requests: []string{post}, text: "503, Switchover status unknown",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &fakeStore{views: c.views, refuse: c.race}
				rest := &fakeREST{answers: map[string][]any{"node1:8008": c.answers}}
				ch, err := ctl.PlanSwitchover("demo", "demo", demo(nil))
				if err != nil {
					t.Fatal(err)
				}
				if err := ch.SetCandidate("node2"); err != nil {
					t.Fatal(err)
				}
				control := ctl.Control{Store: store, REST: rest}
				out, err := control.Execute(t.Context(), ch)
				wantError(t, err, c.err)
				wantEqual(t, rest.requests, c.requests)
				if out.OK != c.ok || out.FellBack != c.fell || out.Text != c.text {
					t.Errorf("got %+v, want ok %v, fell back %v, %q", out, c.ok, c.fell, c.text)
				}
				if len(store.written) != c.written {
					t.Errorf("wrote %v to /failover, want %d requests", store.written, c.written)
				}
			})
		})
	}
}

func TestRequestBodies(t *testing.T) {
	at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	rest := &fakeREST{answers: map[string][]any{"node1:8008": {ctl.Answer{202, ""}}, "node2:8008": {ctl.Answer{200, ""}}}}
	c := ctl.Control{Store: &fakeStore{views: []*cluster.View{demo(nil)}}, REST: rest}
	any1, _ := ctl.PlanSwitchover("demo", "demo", demo(nil))
	asked, _ := ctl.PlanSwitchover("demo", "demo", demo(nil))
	if err := asked.SetCandidate(""); err != nil {
		t.Fatal(err)
	}
	asked.ScheduledAt = at
	failover := ctl.PlanFailover("demo", "demo", led(""))
	if err := failover.SetCandidate("node2"); err != nil {
		t.Fatal(err)
	}
	for _, ch := range []*ctl.Change{any1, asked, failover} {
		if _, err := c.Execute(t.Context(), ch); err != nil {
			t.Fatal(err)
		}
	}
	v := demo(nil)
	for _, pause := range []bool{true, false} {
		if _, err := c.Pause(t.Context(), v, pause); err != nil {
			t.Fatal(err)
		}
	}
	m := v.Members[0]
	full := ctl.RestartOptions{Pending: true, Version: "16.4", At: at, Timeout: "10min"}
	for _, o := range []ctl.RestartOptions{{}, full} {
		if _, err := c.Restart(t.Context(), m, o); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Reinitialize(t.Context(), m, false, true); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, rest.requests, []string{
		`POST http://node1:8008/switchover {"candidate": null, "leader": "node1"}`,
		`POST http://node1:8008/switchover {"candidate": "", "leader": "node1", "scheduled_at": "2030-01-01T00:00:00+00:00"}`,
		`POST http://node2:8008/failover {"candidate": "node2"}`,
		`PATCH http://node1:8008/config {"pause": true}`,
		`PATCH http://node1:8008/config {"pause": null}`,
		`POST http://node1:8008/restart {}`,
		`POST http://node1:8008/restart {"restart_pending": true, "postgres_version": "16.4", "schedule": "2030-01-01T00:00:00+00:00", "timeout": "10min"}`,
		`POST http://node1:8008/reinitialize {"force": false, "from_leader": true}`,
	})
}

func TestAsynchronousFailover(t *testing.T) {
	for name, c := range map[string]struct {
		config    string
		candidate string
		want      bool
	}{
		"asynchronous mode":    {`{}`, "node3", false},
		"synchronous standby":  {`{"synchronous_mode": true}`, "node2", false},
		"asynchronous replica": {`{"synchronous_mode": "on"}`, "node3", true},
		"quorum":               {`{"synchronous_mode": "quorum"}`, "node3", true},
	} {
		ch := ctl.PlanFailover("demo", "demo", demo(func(v *cluster.View) {
			config(v, c.config)
			v.Sync = cluster.SyncState{Leader: "node1", Standbys: []string{"node2"}}
		}))
		if err := ch.SetCandidate(c.candidate); err != nil {
			t.Fatal(err)
		}
		if got := ch.Asynchronous(); got != c.want {
			t.Errorf("%s: asynchronous %v, want %v", name, got, c.want)
		}
	}
}
