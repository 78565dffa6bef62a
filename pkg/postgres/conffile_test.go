package postgres

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestOwnFiles: a configuration outside of the data directory, a file of the user's instead of the base file, a pg_hba.conf
// of the user's, and a pg_ident.conf of ours.
func TestOwnFiles(t *testing.T) {
	cfg := newConfig(t, "node1")
	dir := filepath.Dir(cfg.DataDir)
	cfg.ConfigDir, cfg.CustomConf = filepath.Join(dir, "etc"), filepath.Join(dir, "custom.conf")
	hba := filepath.Join(cfg.ConfigDir, "own_hba.conf")
	lines := strings.Join(cfg.HBA, "\n") + "\nhost all nobody 127.0.0.1/32 reject\n"
	for path, text := range map[string]string{cfg.CustomConf: "work_mem = 1234kB\nfsync = on\npassword_encryption = 'scram-sha-256'\ndynamic_shared_memory_type = mmap\n", hba: lines} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Parameters = append(cfg.Parameters, Parameter{"HBA_file", "own_hba.conf"})
	cfg.Ident = []string{"map1 root postgres"}
	i := newInstance(t, cfg)
	must(t, i, i.Bootstrap(t.Context(), nil))
	if got := sql(t, i, `SELECT current_setting('work_mem'), current_setting('fsync'), current_setting('hba_file'),
 (SELECT count(*) FROM pg_hba_file_rules WHERE user_name = '{nobody}'), current_setting('config_file')`); got !=
		"1234kB|off|"+hba+"|1|"+filepath.Join(cfg.ConfigDir, "postgresql.conf") {
		t.Errorf("the server has %s", got)
	}
	if b, _ := os.ReadFile(hba); string(b) != lines {
		t.Errorf("the user's file was changed:\n%s", b)
	}
	ident, _ := os.ReadFile(filepath.Join(cfg.ConfigDir, "pg_ident.conf"))
	if !strings.Contains(string(ident), "\nmap1 root postgres\n") {
		t.Errorf("pg_ident.conf:\n%s", ident)
	}
	if exists(cfg.ConfigDir, "postgresql.base.conf") {
		t.Error("there is a base file beside custom_conf")
	}
	i.cfg.Ident = []string{"map2 root postgres"}
	if changed, err := i.Reconfigure(t.Context(), i.cfg); err != nil || !changed {
		t.Errorf("another pg_ident: %v, %v", changed, err)
	}
	if !exists(cfg.DataDir, "postgresql.conf.backup") || !exists(cfg.DataDir, "pg_ident.conf.backup") {
		t.Error("a base backup would not have the configuration")
	}
}

func TestSlotSettings(t *testing.T) {
	cfg := Config{Name: "Node-1", LogicalSlots: true, Controlled: []Parameter{{"wal_level", "logical"}}, Parameters: []Parameter{
		{"hot_standby_feedback", "off"}, {"synchronized_standby_slots", "node_0, node_1,node_2"},
	}}
	for version, want := range map[int]string{
		150000: "hot_standby_feedback=on",
		170000: "hot_standby_feedback=on sync_replication_slots=on synchronized_standby_slots=node_0,node_2",
	} {
		if got := keywords(cfg.slotSettings(version)); got != want {
			t.Errorf("%d: %s", version, got)
		}
	}
	if lines := strings.Split(string(cfg.mainContent(nil, role{}, 170000)), "\n"); !slices.Contains(lines, "hot_standby_feedback = 'on'") {
		t.Error("the user's value was written")
	}
}
