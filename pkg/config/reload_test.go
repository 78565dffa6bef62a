package config

import (
	"strings"
	"testing"
)

const small = `scope: shop
name: db1
restapi: {listen: '127.0.0.1:8008'}
etcd3: {host: 'e:2379'}
postgresql: {listen: '127.0.0.1:5432', data_dir: /d, authentication: {replication: {username: r, password: old}}}
`

func loadText(t *testing.T, text string) *Config {
	t.Helper()
	cfg, _, err := Load("", []string{"PATRONI_CONFIGURATION=" + text})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// Keys that are read once stay as they were, whatever the files say now, and are told of; others change.
func TestReloaded(t *testing.T) {
	before := loadText(t, small)
	if _, changed, need := Reloaded(before, loadText(t, small)); changed || need != nil {
		t.Errorf("the same files: changed %v, %v", changed, need)
	}
	files := loadText(t, strings.NewReplacer("db1", "db2", "/d", "/elsewhere", "old", "new", "shop", "blog").Replace(small))
	now, changed, need := Reloaded(before, files)
	if !changed || now.Name != "db1" || now.Scope != "shop" || now.Postgres.DataDir != "/d" {
		t.Errorf("changed %v, now %s %s %s", changed, now.Scope, now.Name, now.Postgres.DataDir)
	}
	if got := now.Postgres.Replication.Password.Reveal(); got != "new" {
		t.Errorf("password %s", got)
	}
	var keys []string
	for _, p := range need {
		keys = append(keys, p.Key)
	}
	if got := strings.Join(keys, " "); got != "name scope postgresql.data_dir" {
		t.Errorf("told of %s", got)
	}
	// Told once: the next reload of the same files has nothing new.
	if _, changed, need := Reloaded(now, files); changed || need != nil {
		t.Errorf("again: changed %v, %v", changed, need)
	}
}
