package postgres

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/query"
)

// with gives a configuration in which some settings are different.
func with(cfg Config, list ...Parameter) Config {
	cfg.Parameters, cfg.Controlled = slices.Clone(cfg.Parameters), slices.Clone(cfg.Controlled)
	for _, p := range list {
		at := slices.IndexFunc(cfg.Controlled, func(c Parameter) bool { return c.Name == p.Name })
		if at >= 0 {
			cfg.Controlled[at] = p
		} else {
			cfg.Parameters = append(cfg.Parameters, p)
		}
	}
	return cfg
}

func TestReconfigure(t *testing.T) {
	i := primary(t)
	before := i.cfg
	changed, err := i.Reconfigure(t.Context(), before)
	must(t, i, err)
	if changed {
		t.Error("the same configuration counts as changed")
	}
	changed, err = i.Reconfigure(t.Context(), with(before, Parameter{"work_mem", "5MB"}, Parameter{"application_name", `it's a \ name`}))
	must(t, i, err)
	if !changed || sql(t, i, `SHOW work_mem`) != "5MB" {
		t.Errorf("changed %v, work_mem %s", changed, sql(t, i, `SHOW work_mem`))
	}
	if got := sql(t, i, `SELECT reset_val FROM pg_settings WHERE name = 'application_name'`); got != "test" && got != `it's a \ name` {
		t.Errorf("quoted value arrived as %q", got)
	}
	if s := i.Observe(t.Context()); len(s.PendingRestart) != 0 {
		t.Errorf("pending: %+v", s.PendingRestart)
	}

	// Several lines, as YAML's | gives them: a string of postgresql.conf must not go over the end of its line.
	lines := "first\nit's \\n the second\r\n"
	_, err = i.Reconfigure(t.Context(), with(before, Parameter{"cron.lines", lines}))
	must(t, i, err)
	if got := sql(t, i, `SHOW cron.lines`); got != lines {
		t.Errorf("several lines arrived as %q", got)
	}
	if got := unquoteConf(quoteConf(lines)[1:]); got != lines {
		t.Errorf("several lines are read back as %q", got)
	}

	// The same value in another unit is no change of the server.
	_, err = i.Reconfigure(t.Context(), with(before, Parameter{"shared_buffers", "16384kB"}))
	must(t, i, err)
	if s := i.Observe(t.Context()); len(s.PendingRestart) != 0 {
		t.Errorf("pending for another unit: %+v", s.PendingRestart)
	}

	// A setting of the command line and one of the file that need a restart.
	_, err = i.Reconfigure(t.Context(), with(before, Parameter{"max_connections", "60"}, Parameter{"shared_buffers", "32MB"}))
	must(t, i, err)
	want := []cluster.PendingRestart{
		{Parameter: "max_connections", OldValue: "50", NewValue: "60"},
		{Parameter: "shared_buffers", OldValue: "16MB", NewValue: "32MB"},
	}
	if s := i.Observe(t.Context()); !reflect.DeepEqual(s.PendingRestart, want) {
		t.Errorf("pending: %+v", s.PendingRestart)
	}
	// An agent that has just been started sees them, too.
	if s := newInstance(t, i.cfg).Observe(t.Context()); !reflect.DeepEqual(s.PendingRestart, want) {
		t.Errorf("pending for another agent: %+v", s.PendingRestart)
	}
	must(t, i, i.Restart(t.Context(), 0, nil))
	if s := i.Observe(t.Context()); len(s.PendingRestart) != 0 || s.State != cluster.StateRunning {
		t.Errorf("restarted: %+v", s)
	}
	if got := sql(t, i, `SELECT current_setting('max_connections'), current_setting('shared_buffers')`); got != "60|32MB" {
		t.Errorf("restarted with %s", got)
	}

	next := i.cfg
	next.HBA = append([]string{"host all nobody 127.0.0.1/32 reject"}, next.HBA...)
	if changed, err = i.Reconfigure(t.Context(), next); err != nil || !changed {
		t.Errorf("new pg_hba: %v, %v", changed, err)
	}
	if got := sql(t, i, `SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{nobody}'`); got != "1" {
		t.Errorf("pg_hba rules: %s", got)
	}
}

// TestReplicaKeepsLimits: a replica must not start with smaller limits than its primary had.
func TestReplicaKeepsLimits(t *testing.T) {
	p := primary(t)
	r := newInstance(t, with(newConfig(t, "node2"), Parameter{"max_connections", "30"}))
	must(t, r, r.Clone(t.Context(), cluster.Copy{From: address(p)}))
	must(t, r, r.StartReplica(t.Context(), address(p)))
	s := eventually(t, r, "streaming", func(s cluster.Server) bool { return s.ReceiverStatus == "streaming" })
	want := []cluster.PendingRestart{{Parameter: "max_connections", OldValue: "50", NewValue: "30"}}
	if !reflect.DeepEqual(s.PendingRestart, want) {
		t.Errorf("pending: %+v", s.PendingRestart)
	}
	if got := sql(t, r, `SHOW max_connections`); got != "50" {
		t.Errorf("max_connections %s", got)
	}
	// A new configuration leaves the upstream alone, also that of an agent that did not start the server.
	other := newInstance(t, r.cfg)
	changed, err := other.Reconfigure(t.Context(), with(r.cfg, Parameter{"work_mem", "7MB"}))
	must(t, r, err)
	if s = r.Observe(t.Context()); !changed || !s.PrimaryConninfo.Same(address(p)) || sql(t, r, `SHOW work_mem`) != "7MB" {
		t.Errorf("changed %v: %+v", changed, s)
	}
}

func TestFiles(t *testing.T) {
	p := primary(t)
	read := func(name string) string {
		t.Helper()
		path := filepath.Join(p.cfg.DataDir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return string(b)
	}
	conf := read("postgresql.conf")
	for _, line := range []string{
		"include 'postgresql.base.conf'", "fsync = 'off'", "max_connections = '50'", "port = '" + portText(p.cfg.Port) + "'",
		"hba_file = '" + p.cfg.DataDir + "/pg_hba.conf'", "recovery_target = ''", "recovery_target_timeline = 'latest'",
	} {
		if !strings.Contains(conf, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, conf)
		}
	}
	if strings.Contains(conf, "primary_conninfo") {
		t.Errorf("a primary has an upstream:\n%s", conf)
	}
	if !strings.Contains(read("postgresql.base.conf"), "shared_buffers") {
		t.Error("the original file was not kept")
	}
	if opts := read("postmaster.opts"); !strings.Contains(opts, `"--max_connections=50"`) || strings.Contains(opts, "wal_keep_size") {
		t.Errorf("command line: %s", opts)
	}
}

func TestWithUnit(t *testing.T) {
	for _, tc := range []struct{ value, unit, want string }{
		{"16384", "8kB", "128MB"},
		{"1", "8kB", "8kB"},
		{"131072", "kB", "128MB"},
		{"300", "s", "5min"},
		{"1500", "ms", "1500ms"},
		{"86400", "s", "1d"},
		{"0", "ms", "0"},
		{"-1", "8kB", "-1"},
		{"100", "", "100"},
		{"on", "", "on"},
		{"16", "MB", "16MB"},
	} {
		if got := withUnit(tc.value, tc.unit); got != tc.want {
			t.Errorf("%s of %q: %s, want %s", tc.value, tc.unit, got, tc.want)
		}
	}
}

func TestConninfo(t *testing.T) {
	for _, tc := range []struct {
		text string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"host=a port=1", map[string]string{"host": "a", "port": "1"}},
		{`host = 'a b'  user=x\ y password='it\'s'`, map[string]string{"host": "a b", "user": "x y", "password": "it's"}},
		{"postgres://u:p%40@h:5/db?sslmode=require", map[string]string{
			"user": "u", "password": "p@", "host": "h", "port": "5", "dbname": "db", "sslmode": "require",
		}},
	} {
		got, err := query.ParseDSN(tc.text)
		if err != nil || !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%q: %v, %v", tc.text, got, err)
		}
	}
	for _, bad := range []string{"host", "host='a"} {
		if _, err := query.ParseDSN(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	list := []Parameter{{"host", `/a b\c'd`}, {"port", "5"}, {"user", ""}}
	if got, err := query.ParseDSN(keywords(list)); err != nil || got["host"] != list[0].Value || len(got) != 2 {
		t.Errorf("there and back: %v, %v", got, err)
	}
	cfg := Config{
		Name: "Node-1", Database: "postgres", PassFile: "/pg pass",
		Replication: Credentials{Username: "replicator", Password: "x", TLS: []Parameter{{"sslmode", "require"}}},
	}
	up := cluster.Upstream{Host: "10.0.0.1", Port: "5432"}
	want := `dbname=postgres user=replicator passfile=/pg\ pass host=10.0.0.1 port=5432 sslmode=require application_name=Node-1 gssencmode=prefer channel_binding=prefer`
	if got := cfg.primaryConninfo(up, 150000); got != want {
		t.Errorf("primary_conninfo\n%s, want\n%s", got, want)
	}
	if got := cfg.primaryConninfo(up, 120000); strings.Contains(got, "channel_binding") {
		t.Errorf("unknown to PostgreSQL 12: %s", got)
	}
}

func TestConfValue(t *testing.T) {
	cfg := Config{Name: "n", Database: "postgres", PassFile: `/a b\c'd`, Replication: Credentials{Username: "r", Password: "x"}}
	up := cluster.Upstream{Host: "h", Port: "1", Slot: "s"}
	content := string(cfg.mainContent(nil, role{standby: true, upstream: up}, 150000))
	if got, want := confValue(content, "primary_conninfo"), cfg.primaryConninfo(up, 150000); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := confValue(content, "primary_slot_name"); got != "s" {
		t.Errorf("slot %q", got)
	}
}

func TestPassLines(t *testing.T) {
	got := passLines(Credentials{Username: "replicator", Password: `rep:p\a ss`}, "127.0.0.1", "16540")
	if want := "127.0.0.1:16540:*:replicator:rep\\:p\\\\a ss\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := passLines(Credentials{Password: "x"}, "/run,b", "1,2"); got != "/run:1:*:*:x\nlocalhost:1:*:*:x\nb:2:*:*:x\n" {
		t.Errorf("several hosts: %q", got)
	}
}

// TestPrimaryRaisesLimits: a replica whose primary runs with higher limits starts again with those, and lowers
// them again once it has replayed that the primary has.
func TestPrimaryRaisesLimits(t *testing.T) {
	p := primary(t)
	r := replicaOf(t, p, "node2")
	limit := func(i *Instance, value string) {
		t.Helper()
		_, err := i.Reconfigure(t.Context(), with(i.config(), Parameter{"max_connections", value}))
		must(t, i, err)
	}
	limit(p, "60")
	limit(r, "60")
	must(t, p, p.Restart(t.Context(), 0, nil))
	sql(t, p, "CREATE TABLE public.after (n int)")
	s := eventually(t, r, "the end of replay", func(s cluster.Server) bool { return s.LimitsTooSmall || s.Process == cluster.ProcessNone })
	if s.Process == cluster.ProcessNone { // before PostgreSQL 14 it ends
		must(t, r, r.StartReplica(t.Context(), address(p)))
	} else {
		must(t, r, r.Restart(t.Context(), 0, nil))
	}
	s = eventually(t, r, "caught up", caughtUp(p))
	if got := sql(t, r, "SHOW max_connections"); got != "60" || s.LimitsTooSmall || len(s.PendingRestart) > 0 {
		t.Errorf("max_connections %s, %+v", got, s)
	}
	sql(t, r, "SELECT pg_wal_replay_pause()")
	if s = eventually(t, r, "a pause", func(s cluster.Server) bool { return s.ReplayPaused }); s.LimitsTooSmall {
		t.Error("a pause that was asked for counts as one for limits")
	}
	sql(t, r, "SELECT pg_wal_replay_resume()")

	limit(p, "40")
	limit(r, "40")
	must(t, r, r.Restart(t.Context(), 0, nil)) // too early
	want := []cluster.PendingRestart{{Parameter: "max_connections", OldValue: "60", NewValue: "40"}}
	if s = r.Observe(t.Context()); !reflect.DeepEqual(s.PendingRestart, want) || sql(t, r, "SHOW max_connections") != "60" {
		t.Errorf("restarted before the primary: %+v", s.PendingRestart)
	}
	must(t, p, p.Restart(t.Context(), 0, nil))
	eventually(t, r, "caught up", caughtUp(p))
	must(t, r, r.Restart(t.Context(), 0, nil))
	if s = r.Observe(t.Context()); len(s.PendingRestart) > 0 || sql(t, r, "SHOW max_connections") != "40" {
		t.Errorf("restarted after the primary: %+v", s.PendingRestart)
	}
}
