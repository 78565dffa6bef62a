package api

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/peer"
)

const primaryDocument = `{"state": "running", "postmaster_start_time": "2027-03-01 08:00:12.104233+00:00", "role": "primary", "server_version": 170002, ` +
	`"xlog": {"location": 67393056}, "timeline": 3, ` +
	`"replication": [{"usename": "repl", "application_name": "db2", "client_addr": "192.0.2.12", "state": "streaming", "sync_state": "sync", "sync_priority": 1}], ` +
	`"dcs_last_seen": 1803974999, "tags": {"zone": "a"}, "database_system_identifier": "7400000000000000017", ` +
	`"pending_restart": true, "pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "200"}}, ` +
	`"patroni": {"version": "4.1.4", "scope": "shop", "name": "db1"}, "hathi": {"version": "1.2.3"}}`

const standbyDocument = `{"state": "running", "postmaster_start_time": "2027-03-01 08:01:02.000501+00:00", "role": "replica", "server_version": 170002, ` +
	`"xlog": {"received_location": 67393056, "replayed_location": 67393056, "replayed_timestamp": "2027-03-01 09:10:11.500012+00:00", "paused": false}, ` +
	`"sync_standby": true, "timeline": 3, "replication_state": "streaming", "dcs_last_seen": 1803975001, ` +
	`"database_system_identifier": "7400000000000000017", "patroni": {"version": "4.1.4", "scope": "shop", "name": "db2"}, "hathi": {"version": "1.2.3"}}`

const cloningDocument = `{"state": "creating replica", "role": "uninitialized", "dcs_last_seen": 1803974999, ` +
	`"patroni": {"version": "4.1.4", "scope": "shop", "name": "db1"}, "hathi": {"version": "1.2.3"}}`

const clusterDocument = `{"members": [` +
	`{"name": "db1", "role": "leader", "state": "running", "api_url": "http://192.0.2.11:8008/patroni", "host": "192.0.2.11", "port": 5432, "timeline": 3}, ` +
	`{"name": "db2", "role": "replica", "state": "streaming", "api_url": "http://192.0.2.12:8008/patroni", "host": "192.0.2.12", "port": 5432, "timeline": 3, ` +
	`"tags": {"zone": "b"}, "receive_lag": 0, "receive_lsn": "0/4045620", "replay_lag": 0, "replay_lsn": "0/4045620", "lag": 0, "lsn": "0/4045620"}, ` +
	`{"name": "db3", "role": "replica", "state": "start failed", "api_url": null, "receive_lag": "unknown", "receive_lsn": "unknown", ` +
	`"replay_lag": "unknown", "replay_lsn": "unknown", "lag": "unknown", "lsn": "unknown"}], ` +
	`"pause": true, "scheduled_switchover": {"at": "2027-03-02T01:00:00+00:00", "from": "db1"}, "scope": "shop"}`

// The examples of rest-api.md 5.5, 7, 8 and 9, byte for byte.
func TestDocuments(t *testing.T) {
	for _, c := range []struct {
		path string
		with func(w *world)
		want string
	}{
		{"/patroni", func(w *world) {
			// The server has gone on since the loop looked, and it is the server that other members ask about.
			w.look = func(s *cluster.Server) { s.FlushLSN = 67393057 }
		}, strings.NewReplacer("67393056", "67393057", `"pending_restart": true, "pending_restart_reason": {"max_connections": {"old_value": "100", "new_value": "200"}}, `, "", `"tags": {"zone": "a"}, `, "").Replace(primaryDocument)},
		{"/patroni", func(w *world) {
			w.snapshot.Tags = cluster.Tags{"zone": "a"}
			w.snapshot.Server.PendingRestart = []cluster.PendingRestart{{Parameter: "max_connections", OldValue: "100", NewValue: "200"}}
		}, primaryDocument},
		{"/patroni", func(w *world) {
			w.asReplica()
			w.snapshot.Settings.SynchronousMode = cluster.SyncOn
			w.view.Sync.Standbys = []string{"db2"}
		}, standbyDocument},
		{"/patroni", func(w *world) {
			w.snapshot.State, w.snapshot.Role = cluster.StateCreatingReplica, cluster.RoleUninitialized
		}, cloningDocument},
		{"/cluster", func(w *world) {
			w.snapshot.Settings.Pause = true
			w.view.Members = append(w.view.Members, cluster.Member{Name: "db3", State: cluster.StateStartFailed})
			w.view.Failover = cluster.FailoverRequest{Leader: "db1", ScheduledAt: time.Date(2027, 3, 2, 1, 0, 0, 0, time.UTC)}
		}, clusterDocument},
		{"/history", func(w *world) {
			w.view.History = cluster.History{Present: true, Entries: []cluster.HistoryEntry{
				{Timeline: 1, LSN: 100663392, Reason: "no recovery target specified", Timestamp: "2027-03-01T08:20:33.709651+00:00", NewLeader: "db2"},
			}}
		}, `[[1, 100663392, "no recovery target specified", "2027-03-01T08:20:33.709651+00:00", "db2"]]`},
		{"/history", func(*world) {}, `[]`},
		{"/config", func(w *world) {
			w.view.Config.Raw = []byte(`{"z":1.0,"a":{"é😀":"<\/\u0041\u007f"},"big":12345678901234567890,"n":[1,null]}`)
		}, `{"z": 1.0, "a": {"\u00e9\ud83d\ude00": "</A\u007f"}, "big": 12345678901234567890, "n": [1, null]}`},
		{"/failsafe", func(w *world) { w.view.Failsafe = map[string]string{"db1": "http://a/patroni"} }, `{"db1": "http://a/patroni"}`},
	} {
		w := newWorld()
		c.with(w)
		got := send(t, w.start(t, Settings{}), "GET", c.path, "")
		if got.status != 200 || got.body != c.want {
			t.Errorf("GET %s: %d\n%s\nwant\n%s", c.path, got.status, got.body, c.want)
		}
		if ct := got.header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("GET %s: Content-Type %q", c.path, ct)
		}
	}
}

func TestMetrics(t *testing.T) {
	body := send(t, newWorld().start(t, Settings{}), "GET", "/metrics", "").body
	for _, want := range []string{
		"# TYPE patroni_primary gauge\npatroni_primary{scope=\"shop\",name=\"db1\"} 1\n",
		"# TYPE patroni_xlog_location counter\npatroni_xlog_location{scope=\"shop\",name=\"db1\"} 67393056\n",
		"patroni_version{scope=\"shop\",name=\"db1\"} 040104\n",
		"patroni_postgres_state{scope=\"shop\",name=\"db1\"} 5\n",
		"patroni_postmaster_start_time{scope=\"shop\",name=\"db1\"} 1803888012.104233\n",
		"hathi_has_lock{name=\"db1\",scope=\"shop\"} 1\n",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
}

// Every text of rest-api.md 10 to 15 with its code.
func TestChanges(t *testing.T) {
	paused := func(w *world) { w.snapshot.Settings.Pause = true }
	sync := func(w *world) { w.snapshot.Settings.SynchronousMode = cluster.SyncOn }
	fails := func(err error) func(w *world) { return func(w *world) { w.err = err } }
	planned := func(w *world) {
		w.view.Failover = cluster.FailoverRequest{Leader: "db1", ScheduledAt: wall.Add(time.Hour), Revision: 4}
	}
	for _, c := range []struct {
		request, body string
		with          func(w *world)
		want          int
		text          string
	}{
		{"POST /failover", `{"leader": "db1"}`, nil, 400, "Failover could be performed only to a specific candidate"},
		{"POST /switchover", `{"candidate": "db2"}`, nil, 400, "Switchover could be performed only from a specific leader"},
		{"POST /failover", `{"candidate": "db2", "scheduled_at": "x"}`, nil, 400, "Failover can't be scheduled"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "x"}`, paused, 400, "Can't schedule switchover in the paused state"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "soon"}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "2030-02-31T10:00Z"}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "2030-01-01T10:00"}`, nil, 400, "Timezone information is mandatory for the scheduled switchover"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "2020-01-01 10:00 +01"}`, nil, 422, "Cannot schedule switchover in the past"},
		{"POST /switchover", `{"leader": "db1"}`, paused, 400, "Switchover is possible only to a specific candidate in a paused state"},
		{"POST /switchover", `{"leader": "db1", "member": "db1"}`, nil, 400, "Switchover target and source are the same"},
		{"POST /switchover", `{"leader": "db2"}`, nil, 412, "leader name does not match"},
		{"POST /switchover", `{"leader": "db1", "candidate": "db2"}`, sync, 412, "candidate name does not match with sync_standby"},
		{"POST /failover", `{"candidate": "db9"}`, nil, 412, "candidate does not exists"},
		{"POST /switchover", `{"leader": "db1"}`, sync, 412, "switchover is not possible: can not find sync_standby"},
		{"POST /switchover", `{"leader": "db1"}`, func(w *world) { w.view.Members = w.view.Members[:1] }, 412, "switchover is not possible: cluster does not have members except leader"},
		{"POST /failover", `{"candidate": "db2"}`, func(w *world) { w.peers = nil }, 412, "failover is not possible: no good candidates have been found"},
		{"POST /switchover", `{"leader": "db1", "candidate": "db2"}`, func(w *world) { w.races = 2 }, 503, "failed to write failover key into DCS"},
		{"POST /switchover", `{"leader": "db1", "scheduled_at": "2030-01-01T10:00:00+0100"}`, nil, 202, "Switchover scheduled"},
		{"DELETE /switchover", "", planned, 200, "scheduled switchover deleted"},
		{"DELETE /switchover", "", nil, 404, "no switchover is scheduled"},
		{"DELETE /switchover", "", func(w *world) { planned(w); w.races = 1 }, 409, ""},
		{"POST /restart", `{"schedule": "x"}`, paused, 500, "Can't schedule restart in the paused state"},
		{"POST /restart", `{"schedule": null}`, nil, 422, "Unable to parse scheduled timestamp. It should be in an unambiguous format, e.g. ISO 8601"},
		{"POST /restart", `{"schedule": "2030-01-01T10:00"}`, nil, 400, "Timezone information is mandatory for the scheduled restart"},
		{"POST /restart", `{"schedule": "2020-01-01T10:00Z"}`, nil, 422, "Cannot schedule restart in the past"},
		{"POST /restart", `{"role": "master", "x": 1}`, nil, 400, "PostgreSQL role should be either primary, standby_leader, or replica"},
		{"POST /restart", `{"postgres_version": "x"}`, nil, 400, "Invalid PostgreSQL version: x"},
		{"POST /restart", `{"postgres_version": "9.6"}`, nil, 400, "Invalid PostgreSQL version format: X.Y or X.Y.Z is accepted: 9.6"},
		{"POST /restart", `{"postgres_version": 17}`, nil, 400, `postgres_version must be a string like "17.2"`},
		{"POST /restart", `{"timeout": "500ms"}`, nil, 400, "Timeout should be a positive number of seconds"},
		{"POST /restart", `{"timeout": -1}`, nil, 400, "Timeout should be a positive number of seconds"},
		{"POST /restart", `{"x": 1}`, nil, 400, "Unknown filter for the scheduled restart: x"},
		{"POST /restart", ``, fails(ErrConditions), 503, "restart conditions are not satisfied"},
		{"POST /restart", `{}`, fails(BusyError{"reinitialize"}), 503, "reinitialize already in progress"},
		{"POST /restart", `{"timeout": "1min"}`, fails(fmt.Errorf("restart: %w", ErrStillStarting)), 503, "postgres is still starting"},
		{"POST /restart", ``, fails(errors.New("boom")), 503, "restart failed"},
		{"POST /restart", ``, nil, 200, "restarted successfully"},
		{"POST /restart", `{"schedule": "2030-01-01T10:00Z"}`, nil, 202, "Restart scheduled"},
		{"POST /restart", `{"schedule": "2030-01-01T10:00Z"}`, fails(ErrAlreadyPlanned), 409, "Another restart is already scheduled"},
		{"DELETE /restart", "", nil, 200, "scheduled restart deleted"},
		{"DELETE /restart", "", fails(ErrNothingPlanned), 404, "no restarts are scheduled"},
		{"POST /reload", "garbage", nil, 202, "reload scheduled"},
		{"POST /reinitialize", "", nil, 200, "reinitialize started"},
		{"POST /reinitialize", "", fails(ErrNoLeader), 503, "Cluster has no leader, can not reinitialize"},
		{"POST /reinitialize", "", fails(ErrIsLeader), 503, "I am the leader, can not reinitialize"},
		{"POST /reinitialize", "", fails(BusyError{"restart"}), 503, "restart already in progress"},
		{"POST /sigterm", "", nil, 202, "shutdown scheduled"},
		{"POST /mpp", `{"type": "x"}`, nil, 200, "OK"},
		{"POST /failsafe", `{"name": "db1"}`, nil, 502, ""},
		{"POST /failsafe", failsafeBody, failsafeOn(nil), 200, "Accepted"},
		{"POST /failsafe", failsafeBody, failsafeOn(ErrFailsafePrimary), 500, "Running as a leader"},
		{"POST /failsafe", failsafeBody, failsafeOn(ErrFailsafeOff), 502, ""},
		{"POST /failsafe", `{"name": "db1"}`, failsafeOn(nil), 400, ""},
		{"POST /failsafe", strings.Replace(failsafeBody, "30000", "3600001", 1), failsafeOn(nil), 400, ""},
		{"POST /failsafe", strings.Replace(failsafeBody, "30000", "-1", 1), failsafeOn(nil), 400, ""},
		{"POST /failsafe", strings.Replace(failsafeBody, "30000", "9223372036854775807", 1), failsafeOn(nil), 400, ""},
		{"POST /failsafe", strings.Replace(failsafeBody, "77", `"x"`, 1), failsafeOn(nil), 400, ""},
		{"PATCH /config", `{"ttl": 31}`, nil, 200, `{"loop_wait": 10, "ttl": 31}`},
		{"PATCH /config", `{"ttl": 31}`, func(w *world) { w.races = 1 }, 200, `{"loop_wait": 10, "ttl": 31}`},
		{"PATCH /config", `{"ttl": 31}`, func(w *world) { w.races = 2 }, 409, ""},
		{"PATCH /config", `{"ttl": "abc"}`, nil, 400, `ttl "abc" is not a number`},
		{"PATCH /config", `{"ttl": 31}`, func(w *world) { w.storeErr = dcs.ErrNotSent }, 503, ""},
		{"PATCH /config", `{"ttl": 31}`, func(w *world) { w.view.Config.Raw = []byte("[]") }, 503, ""},
		{"PATCH /config", `{"pause": true}`, func(w *world) { w.view.Config.Raw = []byte(`{"ttl":"abc"}`) }, 200, `{"pause": true, "ttl": "abc"}`},
		{"PUT /config", `{"b": 1, "a": null}`, nil, 200, `{"b": 1, "a": null}`},
		{"PUT /config", `[]`, nil, 400, "body is not a JSON object"},
	} {
		w := newWorld()
		if c.with != nil {
			c.with(w)
		}
		method, path, _ := strings.Cut(c.request, " ")
		got := send(t, w.start(t, Settings{}), method, path, c.body)
		if got.status != c.want || c.text != "" && got.body != c.text {
			t.Errorf("%s %s: %d %q, want %d %q", c.request, c.body, got.status, got.body, c.want, c.text)
		}
	}
}

func TestMalformedReinitializeChangesNothing(t *testing.T) {
	for _, body := range []string{"{", "[1]", `{"force": tru}`, "{} {}", "\"x\""} {
		w := newWorld()
		if got := send(t, w.start(t, Settings{}), "POST", "/reinitialize", body); got.status != 400 {
			t.Errorf("%s: %d", body, got.status)
		}
		if calls := w.called(); calls != "" {
			t.Errorf("%s: the agent was asked to %s", body, calls)
		}
	}
}

// What the wait of a switchover answers, and that it answers on the event.
func TestOutcome(t *testing.T) {
	leads := func(name string) func(*world, cluster.FailoverRequest) {
		return func(w *world, _ cluster.FailoverRequest) {
			w.change(func(v *cluster.View) { v.Leader.Name = "" })
			w.change(func(v *cluster.View) { v.Leader.Name = name })
		}
	}
	vanishes := func(w *world, _ cluster.FailoverRequest) {
		w.change(func(v *cluster.View) { v.Failover = cluster.FailoverRequest{Revision: v.Revision} })
	}
	for _, c := range []struct {
		path, body string
		then       func(*world, cluster.FailoverRequest)
		want       int
		text       string
	}{
		{"/switchover", `{"leader": "db1"}`, leads("db2"), 200, `Successfully switched over to "db2"`},
		{"/failover", `{"candidate": "db2"}`, leads("db2"), 200, `Successfully failed over to "db2"`},
		{"/failover", `{"candidate": "db2"}`, leads("db3"), 200, `Failed over to "db3" instead of "db2"`},
		{"/failover", `{"candidate": "db2", "leader": "db1"}`, leads("db3"), 200, `Switched over to "db3" instead of "db2"`},
		{"/switchover", `{"leader": "db1", "candidate": "db2"}`, vanishes, 503, "Switchover failed"},
		{"/failover", `{"candidate": "db2"}`, vanishes, 503, "Failover failed"},
	} {
		w := newWorld()
		w.onFailover = c.then
		begun := time.Now()
		got := send(t, w.start(t, Settings{}), "POST", c.path, c.body)
		if got.status != c.want || got.body != c.text {
			t.Errorf("%s %s: %d %q, want %d %q", c.path, c.body, got.status, got.body, c.want, c.text)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%s %s: answered after %s, not on the event", c.path, c.body, took)
		}
	}
}

// A client that hangs up does not cancel what it asked for.
func TestHangUp(t *testing.T) {
	w := newWorld()
	w.onFailover = func(*world, cluster.FailoverRequest) {}
	address := w.start(t, Settings{})
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	body := `{"leader": "db1"}`
	fmt.Fprintf(conn, "POST /switchover HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = conn.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) { // the fake tells nobody of a write
		if view, _ := w.Latest(); view.Failover.Leader == "db1" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the request was not written after the client had hung up")
		}
	}
}

// TestStatusOfAHungServer: who asks for the status gets an answer in time, and no position that is old.
func TestStatusOfAHungServer(t *testing.T) {
	w := newWorld()
	hung := make(chan struct{})
	defer close(hung)
	w.look = func(*cluster.Server) { <-hung }
	begin := time.Now()
	got := send(t, w.start(t, Settings{}), "GET", "/patroni", "")
	if got.status != 200 || strings.Contains(got.body, "xlog") || !strings.Contains(got.body, `"state": "unknown"`) {
		t.Errorf("status %d: %s", got.status, got.body)
	}
	if d := time.Since(begin); d > 10*time.Second {
		t.Errorf("answered after %s", d)
	}
}

// TestReplaying: a standby that replays its own WAL shows no position that Patroni would count, unless replication is
// known to be asynchronous; members of hathi know it all the same.
func TestReplaying(t *testing.T) {
	for mode, shown := range map[cluster.SynchronousMode]bool{cluster.SyncOff: true, cluster.SyncOn: false, cluster.SyncQuorum: false} {
		for _, known := range []bool{true, false} {
			w := newWorld()
			w.asReplica()
			w.snapshot.Server.Replaying, w.snapshot.Settings.SynchronousMode = true, mode
			if !known {
				w.snapshot.View = nil
			}
			body := send(t, w.start(t, Settings{}), "GET", "/patroni", "").body
			top, _, _ := strings.Cut(body, `"hathi"`)
			if strings.Contains(top, `"xlog"`) != (shown && known) || !strings.Contains(top, `"timeline": 3`) {
				t.Errorf("mode %q, view known %t: %s", mode, known, body)
			}
			if status, err := peer.Parse([]byte(body)); err != nil || !status.Replaying || status.Position != 67393056 {
				t.Errorf("mode %q, view known %t: %+v, %v", mode, known, status, err)
			}
		}
	}
}

// TestCopied: a standby whose data were copied shows no position that Patroni would count while /sync names it.
func TestCopied(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		shown  bool
	}{
		"listed":                  {func(*world) {}, false},
		"not listed":              {func(w *world) { w.view.Sync.Standbys = nil }, true},
		"the former leader":       {func(w *world) { w.view.Sync = cluster.SyncState{Leader: "db2"} }, false},
		"mode off":                {func(w *world) { w.snapshot.Settings.SynchronousMode = cluster.SyncOff }, true},
		"not known who is listed": {func(w *world) { w.snapshot.View = nil }, false},
		"trusted":                 {func(w *world) { w.snapshot.Server.Copied = false }, true},
	} {
		w := newWorld()
		w.asReplica()
		w.snapshot.Server.Copied, w.snapshot.Settings.SynchronousMode = true, cluster.SyncOn
		w.view.Sync = cluster.SyncState{Leader: "db1", Standbys: []string{"db2"}}
		c.change(w)
		body := send(t, w.start(t, Settings{}), "GET", "/patroni", "").body
		top, _, _ := strings.Cut(body, `"hathi"`)
		if strings.Contains(top, `"xlog"`) != c.shown {
			t.Errorf("%s: %s", name, body)
		}
		if status, err := peer.Parse([]byte(body)); err != nil || status.Copied != w.snapshot.Server.Copied || status.Position != 67393056 {
			t.Errorf("%s: %+v, %v", name, status, err)
		}
	}
}

// TestCounting: while nobody leads, members of Patroni are shown only the WAL that counts by /history, for they wait for
// whoever has more; members of hathi know all of it, and where it left the cluster's.
func TestCounting(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*world)
		shown  cluster.LSN
	}{
		"the cluster's timeline":     {func(*world) {}, 67393056},
		"another one of that number": {func(w *world) { w.snapshot.Server.History[1].LSN = 4000 }, 4000},
		"a higher number": {func(w *world) {
			w.snapshot.Server.Timeline, w.snapshot.Server.History[1].LSN = 5, 4000
			w.snapshot.Server.History = append(w.snapshot.Server.History, cluster.HistoryEntry{Timeline: 3, LSN: 4500})
		}, 4000},
		"an old one": {func(w *world) {
			w.snapshot.Server.Timeline, w.snapshot.Server.History = 2, w.snapshot.Server.History[:1]
		}, 5000},
		"a standby cluster": {func(w *world) {
			w.snapshot.Server.Timeline, w.snapshot.Settings.StandbyCluster = 2, &cluster.StandbyCluster{}
		}, 67393056},
		"somebody leads": {func(w *world) { w.snapshot.Server.Timeline, w.snapshot.View.Leader.Name = 2, "db1" }, 67393056},
		"nothing known":  {func(w *world) { w.snapshot.Server.Timeline, w.snapshot.View = 2, nil }, 67393056},
	} {
		w := newWorld()
		w.asReplica()
		lines := []cluster.HistoryEntry{{Timeline: 1, LSN: 3000}, {Timeline: 2, LSN: 5000}}
		w.view.Leader, w.view.History = cluster.Leader{}, cluster.History{Present: true, Entries: lines}
		w.snapshot.Server.History = slices.Clone(lines)
		c.change(w)
		body := send(t, w.start(t, Settings{}), "GET", "/patroni", "").body
		top, _, _ := strings.Cut(body, `"hathi"`)
		if !strings.Contains(top, fmt.Sprintf(`"received_location": %d, "replayed_location": %[1]d,`, c.shown)) {
			t.Errorf("%s: %s, want %d", name, top, c.shown)
		}
		if status, err := peer.Parse([]byte(body)); err != nil || status.Position != 67393056 {
			t.Errorf("%s: %+v, %v", name, status, err)
		}
	}
}

// TestBecomingPrimary: others must know of a server that was told to become a primary, wherever it stands.
func TestBecomingPrimary(t *testing.T) {
	w := newWorld()
	w.look = func(s *cluster.Server) { s.InRecovery, s.Promoting, s.ReplayLSN = true, true, 67393056 }
	status, err := peer.Parse([]byte(send(t, w.start(t, Settings{}), "GET", "/patroni", "").body))
	if err != nil || !status.Reachable || !status.InRecovery || !status.MayWrite {
		t.Errorf("%+v (%v)", status, err)
	}
}

// TestPrimaryThatMayWrite: other members must know of a primary that can't be queried, and of none that has ended.
func TestPrimaryThatMayWrite(t *testing.T) {
	for process, want := range map[cluster.Process]bool{cluster.ProcessRunning: true, cluster.ProcessNone: false} {
		w := newWorld()
		w.snapshot.State = cluster.StateStopping
		w.look = func(s *cluster.Server) { s.Answered, s.Process = false, process }
		status, err := peer.Parse([]byte(send(t, w.start(t, Settings{}), "GET", "/patroni", "").body))
		if err == nil || status.Reachable || status.MayWrite != want {
			t.Errorf("process %v: %+v (%v), want %v", process, status, err, want)
		}
	}
}
