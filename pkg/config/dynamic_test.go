package config

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func dynamic(t *testing.T, raw string, o DynamicOptions) (Dynamic, Problems) {
	t.Helper()
	d, problems, err := ParseDynamic([]byte(raw), o)
	if err != nil {
		t.Fatalf("ParseDynamic(%s): %v", raw, err)
	}
	return d, problems
}

// The first rows are the table of configuration.md 4.3.
func TestTimings(t *testing.T) {
	tests := []struct {
		raw     string
		patroni bool
		want    [3]float64 // ttl, loop_wait, retry_timeout
	}{
		{`{"ttl":30,"loop_wait":20}`, true, [3]float64{30, 10, 10}},
		{`{"ttl":25}`, true, [3]float64{25, 5, 10}},
		{`{"ttl":20}`, true, [3]float64{20, 1, 9}},
		{`{"retry_timeout":20}`, true, [3]float64{30, 1, 14}},
		{`{"ttl":5}`, true, [3]float64{20, 1, 9}},
		{`{"ttl":"30","loop_wait":10.9}`, true, [3]float64{30, 10, 10}},
		{`{"loop_wait":true,"retry_timeout":0.5}`, true, [3]float64{30, 1, 3}},
		{`{"ttl":5}`, false, [3]float64{5, 1, 2}},
		{`{"ttl":4}`, false, [3]float64{4, 1, 1.5}},
		{`{"ttl":2}`, false, [3]float64{2, 1, 0.5}},
		{`{"ttl":1,"loop_wait":0,"retry_timeout":0}`, false, [3]float64{2, 1, 0.5}},
		{`{"ttl":10,"loop_wait":2,"retry_timeout":3}`, false, [3]float64{10, 2, 3}},
		{`{"ttl":"1min"}`, false, [3]float64{60, 10, 10}},
		{`{"ttl":"abc","pause":true}`, false, [3]float64{30, 10, 10}},
		{`{"ttl":null}`, false, [3]float64{30, 10, 10}},
	}
	for _, tt := range tests {
		d, _ := dynamic(t, tt.raw, DynamicOptions{PatroniMembers: tt.patroni})
		s := d.Settings
		if got := [3]float64{s.TTL.Seconds(), s.LoopWait.Seconds(), s.RetryTimeout.Seconds()}; got != tt.want {
			t.Errorf("%s (Patroni %v): %v, want %v", tt.raw, tt.patroni, got, tt.want)
		}
		if s.LoopWait+2*s.RetryTimeout > s.TTL {
			t.Errorf("%s: loop_wait + 2*retry_timeout > ttl", tt.raw)
		}
	}
}

func TestOneBadKeyCostsOnlyItself(t *testing.T) {
	before, _ := dynamic(t, `{"ttl":40,"pause":true,"synchronous_mode":"quorum","maximum_lag_on_failover":5}`, DynamicOptions{})
	d, problems := dynamic(t, `{"ttl":"abc","pause":"maybe","synchronous_mode":[1],"maximum_lag_on_failover":{},
		"failsafe_mode":"on","primary_start_timeout":"5min","postgresql":"x"}`, DynamicOptions{Previous: &before})
	s := d.Settings
	if s.TTL != 40*time.Second || !s.Pause || s.SynchronousMode != cluster.SyncQuorum || s.MaximumLagOnFailover != 5 {
		t.Errorf("previous values were lost: %+v", s)
	}
	if !s.FailsafeMode || s.PrimaryStartTimeout != 5*time.Minute || !s.UseSlots {
		t.Errorf("good keys were lost: %+v", s)
	}
	if len(problems) != 5 {
		t.Errorf("%d problems, want 5:\n%v", len(problems), problems)
	}
}

func TestDynamicKeys(t *testing.T) {
	d, problems := dynamic(t, `{"master_start_timeout":7,"slots":{"a":null,"b":{"database":"d","plugin":"p"},"Bad":{}},
		"permanent_slots":{},"ignore_slots":[{"name":"x"},{}],"member_slots_ttl":"1h","maximum_lag_on_failover":"1MB",
		"standby_cluster":{"host":"h","port":5433},"synchronous_mode":true,"postgresql":{"use_slots":"off"}}`, DynamicOptions{})
	want := cluster.DefaultSettings()
	want.PrimaryStartTimeout = 7 * time.Second
	want.PermanentSlots = map[string]cluster.PermanentSlot{"a": {}, "b": {Logical: true, Database: "d", Plugin: "p"}}
	want.IgnoreSlots = []cluster.SlotMatcher{{Name: "x"}}
	want.MemberSlotsTTL, want.UseSlots = time.Hour, false
	want.StandbyCluster = &cluster.StandbyCluster{Host: "h", Port: "5433"}
	if !reflect.DeepEqual(d.Settings, want) {
		t.Errorf("got  %+v\nwant %+v", d.Settings, want)
	}
	if len(problems) != 3 { // slot Bad, empty matcher, unit of the lag
		t.Errorf("problems: %v", problems)
	}
}

func TestDefaultsOfAnEmptyDocument(t *testing.T) {
	d, problems := dynamic(t, `{}`, DynamicOptions{PatroniMembers: true})
	if !reflect.DeepEqual(d.Settings, cluster.DefaultSettings()) || len(problems) != 0 || string(d.Adjusted()) != "{}" {
		t.Errorf("settings %+v, problems %v, adjusted %s", d.Settings, problems, d.Adjusted())
	}
	d, _ = dynamic(t, `{"x":1,"ttl":20}`, DynamicOptions{PatroniMembers: true})
	if got, want := string(d.Adjusted()), `{"x": 1, "ttl": 20, "loop_wait": 1, "retry_timeout": 9}`; got != want {
		t.Errorf("adjusted = %s, want %s", got, want)
	}
}

func TestValidateDynamic(t *testing.T) {
	for raw, ok := range map[string]bool{
		`{"ttl":5}`: true, `{"ttl":"abc"}`: false, `{"pause":"maybe"}`: false, `{"slots":{"a":null}}`: true, `[]`: false, `{"a":NaN}`: false,
		`{"postgresql":{"parameters":{"max_connections":5}}}`: true, `{"postgresql":{"parameters":[1]}}`: false,
		`{"postgresql":{"parameters":{"work_mem":{"a":1}}}}`: false, `{"synchronous_mode":"quorum"}`: true, `{"standby_cluster":"x"}`: false,
		// With one of these in postgresql.conf no line of it could be read.
		`{"postgresql":{"parameters":{"auto explain.log_analyze":1}}}`: false, `{"postgresql":{"parameters":{"a.b.c":1}}}`: false,
		`{"postgresql":{"parameters":{"work_mem ":1}}}`: false, `{"postgresql":{"parameters":{"":1}}}`: false, `{"postgresql":{"parameters":{"1x":1}}}`: false,
		`{"postgresql":{"parameters":{"a.b":"\u0000"}}}`: false, `{"postgresql":{"parameters":{"auto_explain.log_analyze":1}}}`: true,
	} {
		if err := ValidateDynamic([]byte(raw)); (err == nil) != ok {
			t.Errorf("ValidateDynamic(%s) = %v", raw, err)
		}
	}
}

func TestMerge(t *testing.T) {
	path := write(t, t.TempDir(), "c.yml", `
scope: s
name: n
restapi: {listen: "*:8008"}
etcd3: {host: e}
postgresql:
  listen: "127.0.0.1,[::1]:5432"
  data_dir: /d
  authentication: {replication: {username: r}}
  use_slots: off
  parameters: {Work_Mem: 9MB, max_connections: 7, jit: no, shared_buffers: ~}
  pg_hba: [local all all trust]
`)
	cfg, _, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	d, _ := dynamic(t, `{"postgresql":{"use_pg_rewind":true,"data_dir":"/evil","pg_hba":["x"],"pg_ident":["m a b"],"parameters":
		{"work_mem":"8MB","max_connections":"0x40","wal_level":"Logical","hot_standby":"off","archive_mode":true,"port":1,
		 "restore_command":"cp","max_wal_senders":2,"max_worker_processes":262144}}}`, DynamicOptions{})
	e, problems := Merge(cfg, d, 15)
	wantParams := []Parameter{{"archive_mode", "on"}, {"jit", "off"}, {"wal_keep_size", "128MB"}, {"work_mem", "9MB"}}
	if !reflect.DeepEqual(e.Postgres.Parameters, wantParams) {
		t.Errorf("parameters = %v, want %v", e.Postgres.Parameters, wantParams)
	}
	wantControlled := []Parameter{
		{"wal_level", "logical"},
		{"hot_standby", "on"},
		{"max_connections", "64"},
		{"max_wal_senders", "10"},
		{"max_prepared_transactions", "0"},
		{"max_locks_per_transaction", "64"},
		{"track_commit_timestamp", "off"},
		{"max_replication_slots", "10"},
		{"max_worker_processes", "8"},
		{"wal_log_hints", "on"},
	}
	if !reflect.DeepEqual(e.Controlled, wantControlled) {
		t.Errorf("controlled = %v, want %v", e.Controlled, wantControlled)
	}
	if !reflect.DeepEqual(e.Postgres.Recovery, []Parameter{{"restore_command", "cp"}}) {
		t.Errorf("recovery = %v", e.Postgres.Recovery)
	}
	p := e.Postgres
	if p.DataDir != "/d" || !reflect.DeepEqual(p.PgHBA, []string{"local all all trust"}) || !reflect.DeepEqual(p.PgIdent, []string{"m a b"}) ||
		!e.Settings.UsePgRewind || !e.Settings.UseSlots || p.ListenAddresses != "127.0.0.1,::1" {
		t.Errorf("merged = %+v, settings %+v", p, e.Settings)
	}
	if len(problems) != 4 || !strings.Contains(problems.Error(), "max_worker_processes=262144 failed validation, defaulting to 8") || !strings.Contains(problems.Error(), "postgresql parameter max_wal_senders=2 failed validation, defaulting to 10") {
		t.Errorf("problems: %v", problems)
	}
	if e, _ := Merge(cfg, d, 12); e.Postgres.Parameters[2] != (Parameter{"wal_keep_segments", "8"}) {
		t.Errorf("version 12: %v", e.Postgres.Parameters)
	}
}
