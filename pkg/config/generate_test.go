package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// textAt gives a value of a tree as text, a list with blanks between its items.
func textAt(n *Node, path string) string {
	found := n.at(strings.Split(path, ".")...)
	if found != nil && found.Kind == List {
		var items []string
		for _, e := range found.Items {
			items = append(items, e.Text)
		}
		return strings.Join(items, ", ")
	}
	return scalarText(found)
}

func TestFromServer(t *testing.T) {
	tree := FromServer("host1", "192.0.2.1", []string{"PATRONI_NAME=db1", "PATRONI_ETCD3_HOSTS=e1:2379"}, RunningServer{
		ClusterName: "shop", DataDir: "/data", BinDir: "/bin", Listen: "localhost,192.0.2.1", Port: 5433, ConnectPort: 6432, Hints: true,
		Superuser: Credentials{Username: "admin", Password: NewSecret("s"), Options: []Parameter{{"sslmode", "require"}}},
		Parameters: []Parameter{
			{"max_connections", "200"},
			{"work_mem", "8MB"},
			{"archive_command", "cp %p /a"},
			{"hba_file", "/etc/hba"},
			{"primary_conninfo", "host=x password=leak"},
			{"primary_slot_name", "db1"},
			{"port", "5433"},
		},
		PgHBA: []string{"local all all peer"},
	})
	for path, want := range map[string]string{
		"scope": "shop", "name": "db1", "etcd3.hosts": "e1:2379",
		"restapi.connect_address": "192.0.2.1:8008", "postgresql.listen": "localhost,192.0.2.1:5433", "postgresql.connect_address": "192.0.2.1:6432",
		"postgresql.data_dir": "/data", "postgresql.bin_dir": "/bin", "postgresql.pg_hba": "local all all peer", "postgresql.pg_ident": "",
		"postgresql.authentication.superuser.username": "admin", "postgresql.authentication.superuser.sslmode": "require",
		"postgresql.authentication.replication.username": "#FIXME", "postgresql.authentication.rewind": "",
		"postgresql.parameters.archive_command": "cp %p /a", "postgresql.parameters.hba_file": "/etc/hba",
		"bootstrap.dcs.postgresql.parameters.max_connections": "200", "bootstrap.dcs.postgresql.parameters.work_mem": "8MB",
		"bootstrap.dcs.postgresql.use_pg_rewind": "true", "bootstrap.dcs.ttl": "30", "bootstrap.initdb": "",
	} {
		if got := textAt(tree, path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	if keys := tree.at("bootstrap", "dcs", "postgresql", "parameters").Paths(); !reflect.DeepEqual(keys, []string{"max_connections", "work_mem"}) {
		t.Errorf("parameters of the cluster: %q", keys)
	}
	if text := string(tree.Compact()); strings.Contains(text, "leak") {
		t.Errorf("the connection of a replica is in %s", text)
	}
}

// A sample is a configuration that the check of a start accepts, but for what only the user knows.
func TestSampleIsRight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sample.yml")
	text := strings.ReplaceAll(string(Sample("host1", "192.0.2.1", nil).Compact()), fixme, "x")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := Inspect(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := append(in.Strict(), in.Warnings...); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}
