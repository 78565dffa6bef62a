package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// seedFile is the configuration that the users of the article start from.
const seedFile = "testdata/seed.yml"

func TestSeedLoadsWithWarningsOnly(t *testing.T) {
	cfg, warnings, err := Load(seedFile, nil)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if got, want := cfg.Bootstrap.Initdb, []string{"--encoding=UTF8", "--data-checksums"}; !reflect.DeepEqual(got, want) {
		t.Errorf("Initdb = %q, want %q", got, want)
	}
	want := `{"ttl":30,"loop_wait":10,"retry_timeout":10,"maximum_lag_on_failover":1048576,"postgresql":{"use_pg_rewind":true,` +
		`"parameters":{"wal_level":"replica","hot_standby":true,"max_wal_senders":10,"max_replication_slots":10}}}`
	if string(cfg.Bootstrap.DCS) != want {
		t.Errorf("DCS = %s\nwant %s", cfg.Bootstrap.DCS, want)
	}
	var keys []string
	for _, w := range warnings {
		keys = append(keys, w.Where+" "+w.Key)
		if strings.Contains(w.String(), "@pass") {
			t.Errorf("warning shows a password: %s", w)
		}
	}
	wantKeys := []string{
		seedFile + ":24 bootstrap.dcs.initdb", seedFile + ":27 bootstrap.dcs.users",
		seedFile + ":51 postgresql.parameters.max_connections",
	}
	if !reflect.DeepEqual(keys, wantKeys) {
		t.Errorf("warnings at %q, want %q", keys, wantKeys)
	}
	if cfg.Postgres.Superuser.Password.Reveal() != "admin@pass" || cfg.Postgres.Rewind.Username != "postgres" {
		t.Error("credentials were not read")
	}
	if printed := fmt.Sprintf("%v %+v %#v", cfg.Postgres, cfg.Postgres, cfg.Postgres); strings.Contains(printed, "@pass") {
		t.Error("a password is printed with the configuration")
	}
	if len(cfg.PublishedTags()) != 0 {
		t.Errorf("published tags = %v, want none: all are false", cfg.PublishedTags())
	}
	if got := cfg.Etcd.Endpoints(); !reflect.DeepEqual(got, []string{"http://etcd:2379"}) {
		t.Errorf("endpoints = %q", got)
	}
	if cfg.RestAPI.URL() != "http://node1:8008/patroni" || cfg.Postgres.ListenAddresses != "0.0.0.0" || cfg.Postgres.Port != 5432 {
		t.Errorf("addresses = %s, %s:%d", cfg.RestAPI.URL(), cfg.Postgres.ListenAddresses, cfg.Postgres.Port)
	}
}

// A file with many mistakes: every one is told, with its place and value, and no secret among them.
func TestAllMistakesAtOnce(t *testing.T) {
	t.Chdir("testdata")
	_, warnings, err := Load("mistakes.yml", nil)
	if err == nil {
		t.Fatal("Load accepted the file")
	}
	got := "errors\n" + err.Error() + "\nwarnings\n" + warnings.Error() + "\n"
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("mistakes.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("mistakes.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Keys of the cluster in a node's file are told of, whichever they are, each once.
func TestKeysOfTheCluster(t *testing.T) {
	_, warnings, err := Load("", []string{"PATRONI_CONFIGURATION=" + small + "failsafe_mode: on\nslots: {a: {}}\nstandby_cluster: {host: x, port: 5}\nttl: 40\nfailsave_mode: on\n"})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, w := range warnings {
		if told[w.Key] != "" {
			t.Errorf("told twice: %s", w)
		}
		told[w.Key] = w.Text
	}
	for _, key := range []string{"failsafe_mode", "slots", "standby_cluster", "ttl"} {
		if !strings.Contains(told[key], "belongs to the cluster") {
			t.Errorf("%s: %q", key, told[key])
		}
	}
	if text := told["failsave_mode"]; !strings.HasSuffix(text, "did you mean failsafe_mode?") {
		t.Errorf("failsave_mode: %q", text)
	}
}
