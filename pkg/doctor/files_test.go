package doctor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/config"
)

func inspect(t *testing.T, path string) config.Inspection {
	t.Helper()
	in, err := config.Inspect(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// The files of the article that started the project, with everything that is wrong with them.
func TestArticle(t *testing.T) {
	t.Chdir("testdata")
	for _, name := range []string{"article1.yml", "article2.yml"} { // a checkout may have any permissions
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	for _, f := range Files([]config.Inspection{inspect(t, "article1.yml"), inspect(t, "article2.yml")}) {
		b.WriteString(f.Text() + "\n")
	}
	got := b.String()
	if strings.Contains(got, "@pass") {
		t.Error("a password is shown")
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile("article.golden", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("article.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// sound is a file in which there is nothing to find.
const sound = `scope: shop
name: db1
restapi:
  listen: 192.0.2.1:8008
  connect_address: 192.0.2.1:8008
  authentication: {username: admin, password: x}
etcd3:
  hosts: [192.0.2.1:2379, 192.0.2.2:2379, 192.0.2.3:2379]
  username: hathi
  password: y
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    postgresql:
      use_pg_rewind: true
      parameters:
        max_slot_wal_keep_size: 50GB
  initdb:
    - data-checksums
postgresql:
  listen: 192.0.2.1,127.0.0.1:5432
  connect_address: 192.0.2.1:5432
  data_dir: /data
  authentication:
    superuser: {username: postgres, password: a}
    replication: {username: replicator, password: b}
  pg_hba:
    - host all all 192.0.2.0/24 scram-sha-256
    - host all evil 0.0.0.0/0 reject
    - "# host all all 0.0.0.0/0 trust"
tags: {}
`

// write puts a text into a file that only its owner reads.
func write(t *testing.T, name, text string) config.Inspection {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return inspect(t, path)
}

// second is the file of a second sound node.
var second = strings.NewReplacer("name: db1", "name: db2", "listen: 192.0.2.1", "listen: 192.0.2.2", "address: 192.0.2.1", "address: 192.0.2.2").Replace(sound)

func TestSoundFiles(t *testing.T) {
	for _, f := range Files([]config.Inspection{write(t, "a.yml", sound), write(t, "b.yml", second)}) {
		t.Errorf("found in sound files: %s", f.Text())
	}
}

// Each case spoils a sound file in one place.
func TestOneFile(t *testing.T) {
	for _, c := range []struct {
		from, to string
		level    Level
		line     string
		key      string
	}{
		{"retry_timeout: 10", "retry_timeout: 11", Mistake, "13", "bootstrap.dcs.ttl"},
		{"ttl: 30", "ttk: 30", Mistake, "13", "bootstrap.dcs.ttk"},
		{"address: 192.0.2.1:8008", "address: 0.0.0.0:8008", Mistake, "5", "restapi.connect_address"},
		{"address: 192.0.2.1:5432", "address: localhost:5432", Hint, "24", "postgresql.connect_address"},
		{"address: 192.0.2.1:5432", "address: 192.0.2.7:5432", Risk, "24", "postgresql.connect_address"},
		{"192.0.2.1,127.0.0.1:5432", "127.0.0.1:5432", Mistake, "23", "postgresql.listen"},
		{"host all all 192.0.2.0/24 scram-sha-256", "host all all 0.0.0.0/0 trust", Mistake, "30", "postgresql.pg_hba.0"},
		{"host all all 192.0.2.0/24 scram-sha-256", "host all all all password", Mistake, "30", "postgresql.pg_hba.0"},
		{"host all all 192.0.2.0/24 scram-sha-256", "host all all ::/0 md5", Risk, "30", "postgresql.pg_hba.0"},
		{"host all all 192.0.2.0/24 scram-sha-256", "host all all 0.0.0.0/0 scram-sha-256", Hint, "30", "postgresql.pg_hba.0"},
		{"host all all 192.0.2.0/24 scram-sha-256", "host all all 0.0.0.0/0 ldap ldapserver=x ldapport=1", Hint, "30", "postgresql.pg_hba.0"},
		{"  authentication: {username: admin, password: x}\n", "", Risk, "4", "restapi.listen"},
		{"replication: {username: replicator", "replication: {username: postgres", Risk, "28", "postgresql.authentication.replication.username"},
		{"192.0.2.1:2379, 192.0.2.2:2379, ", "", Risk, "7", "etcd3"},
		{"  username: hathi\n  password: y\n", "", Hint, "7", "etcd3"},
		{"    ttl: 30", "    synchronous_mode_strict: on", Mistake, "13", "bootstrap.dcs.synchronous_mode_strict"},
		{"max_slot_wal_keep_size", "work_mem", Hint, "18", "bootstrap.dcs.postgresql.parameters"},
		{"    - data-checksums", "    - encoding: UTF8", Hint, "20", "bootstrap.initdb"},
		{"tags: {}", "tags: {nofailover: maybe}", Risk, "33", "tags.nofailover"},
		{"scope: shop", "scope: a/b", Mistake, "1", "scope"},
	} {
		text := strings.Replace(sound, c.from, c.to, 1)
		if text == sound {
			t.Fatalf("nothing to replace: %s", c.from)
		}
		in := write(t, "a.yml", text)
		found := Files([]config.Inspection{in})
		if len(found) != 1 || found[0].Level != c.level || found[0].Key != c.key || found[0].Where != in.Path+":"+c.line {
			t.Errorf("%s: found %v, want a %s at line %s about %s", c.to, found, c.level, c.line, c.key)
			continue
		}
		if f := found[0]; f.What == "" || f.Why == "" || f.Fix == "" {
			t.Errorf("%s: something is not said: %+v", c.to, f)
		}
	}
}

func TestPermissions(t *testing.T) {
	in := write(t, "a.yml", sound)
	if err := os.Chmod(in.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	if found := Files([]config.Inspection{in}); len(found) != 1 || !strings.Contains(found[0].What, "can be read by every user") {
		t.Errorf("found %v, want one about permissions", found)
	}
}

// Each case spoils the second of two sound files.
func TestTwoFiles(t *testing.T) {
	for _, c := range []struct{ from, to, key string }{
		{"scope: shop", "scope: shoop", "scope"},
		{"name: db2", "name: db1", "name"},
		{"name: db2", "name: db2\nnamespace: other", "namespace"},
		{"password: a}", "password: aa}", "postgresql.authentication.superuser"},
		{"loop_wait: 10", "loop_wait: 9", "bootstrap.dcs"},
		{"address: 192.0.2.2:8008", "address: 192.0.2.1:8008", "restapi.connect_address"},
	} {
		text := strings.Replace(second, c.from, c.to, 1)
		if text == second {
			t.Fatalf("nothing to replace: %s", c.from)
		}
		first, other := write(t, "a.yml", sound), write(t, "b.yml", text)
		said := false
		for _, f := range Files([]config.Inspection{first, other}) {
			said = said || f.Key == c.key && strings.HasPrefix(f.Where, other.Path)
		}
		if !said {
			t.Errorf("%s: nothing was found about %s", c.to, c.key)
		}
	}
	home := strings.NewReplacer("192.0.2.1", "127.0.0.1", "192.0.2.2", "127.0.0.1")
	mistakes := 0
	for _, f := range Files([]config.Inspection{write(t, "a.yml", home.Replace(sound)), write(t, "b.yml", home.Replace(second))}) {
		if f.Level == Mistake {
			mistakes++
		}
	}
	if mistakes != 2 {
		t.Errorf("%d mistakes in files with the same two addresses of loopback, want 2", mistakes)
	}
	nobody := func(text string) string { return strings.Replace(text, "tags: {}", "tags: {nofailover: true}", 1) }
	both := Files([]config.Inspection{write(t, "a.yml", nobody(sound)), write(t, "b.yml", nobody(second))})
	if len(both) != 1 || both[0].Key != "tags" {
		t.Errorf("two nodes that must not lead: %v", both)
	}
	if one := Files([]config.Inspection{write(t, "a.yml", nobody(sound)), write(t, "b.yml", second)}); len(one) != 0 {
		t.Errorf("one node that must not lead: %v", one)
	}
}

// What an agent logs at its start is what reading the file has not told already.
func TestBeyond(t *testing.T) {
	in := write(t, "a.yml", strings.NewReplacer("ttl: 30", "ttk: 30", "192.0.2.0/24 scram-sha-256", "0.0.0.0/0 trust").Replace(sound))
	found := Beyond(in)
	if len(found) != 1 || found[0].Key != "postgresql.pg_hba.0" || strings.Contains(found[0].Line(), "\n") {
		t.Errorf("found %v, want the one about pg_hba on one line", found)
	}
}

// Variables are laid over a file as at the start of a node, and what is wrong with them is told by their names.
func TestVariables(t *testing.T) {
	in := write(t, "a.yml", strings.Replace(sound, "{username: postgres, password: a}", "{username: postgres}", 1))
	if err := os.Chmod(in.Path, 0o644); err != nil { // the passwords are not in there
		t.Fatal(err)
	}
	see := func(environ ...string) (list []string) {
		t.Helper()
		again, err := config.Inspect(in.Path, environ)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range Files([]config.Inspection{again}) {
			list = append(list, f.Where+" "+string(f.Level)+" "+f.Key)
		}
		return list
	}
	for variable, want := range map[string]string{
		"PATRONI_SUPERUSER_PASSWORD=a":                  "",
		"PATRONI_POSTGRESQL_CONNECT_ADDRESS=0.0.0.0:1":  "PATRONI_POSTGRESQL_CONNECT_ADDRESS mistake postgresql.connect_address",
		"PATRONI_RESTAPI_VERIFY_CLIENT=sometimes":       "PATRONI_RESTAPI_VERIFY_CLIENT mistake restapi.verify_client",
		"PATRONI_REPLICATION_USERNAME=postgres":         "PATRONI_REPLICATION_USERNAME risk postgresql.authentication.replication.username",
		"PATRONI_RESTAPI_CONECT_ADDRESS=192.0.2.1:8008": "PATRONI_RESTAPI_CONECT_ADDRESS mistake ",
		"PATRONI_LOG_FILE_SIZE=big":                     "PATRONI_LOG_FILE_SIZE risk log.file_size",
		"UNRELATED=1":                                   "",
	} {
		if got := strings.Join(see(variable), ", "); got != want {
			t.Errorf("%s: %q, want %q", variable, got, want)
		}
	}
}
