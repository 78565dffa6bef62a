package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAgentConfigs reads a made-up /proc: in a container the agent is process 1.
func TestAgentConfigs(t *testing.T) {
	proc := t.TempDir()
	for pid, cmdline := range map[string]string{
		"1":    "hathi run /etc/patroni.yml",
		"17":   "postgres -D /data",
		"20":   "hathi list",
		"30":   "/usr/bin/python3 /usr/bin/patroni etc/node.yml",
		"40":   "/usr/bin/hathi run --log-level debug /etc/hathi/x.yml",
		"self": "hathi run /never.yml",
	} {
		dir := filepath.Join(proc, pid)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(cmdline, " ", "\x00") + "\x00"
		if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got := agentConfigs(proc)
	// "debug" might be the file of process 40; it is not there, and the next one is tried.
	want := []string{"/etc/patroni.yml", proc + "/30/cwd/etc/node.yml", proc + "/40/cwd/debug", "/etc/hathi/x.yml"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFindConfig(t *testing.T) {
	dir := t.TempDir()
	user := filepath.Join(dir, "patroni", "patronictl.yaml")
	if err := os.MkdirAll(filepath.Dir(user), 0o755); err != nil {
		t.Fatal(err)
	}
	named := filepath.Join(dir, "named.yml")
	for _, p := range []string{user, named} {
		if err := os.WriteFile(p, []byte("scope: demo\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		option string
		env    map[string]string
		want   string
		err    string
	}{
		"option":              {option: named, env: map[string]string{"PATRONICTL_CONFIG_FILE": "x"}, want: named},
		"variable":            {env: map[string]string{"PATRONICTL_CONFIG_FILE": named}, want: named},
		"per-user file":       {env: map[string]string{"XDG_CONFIG_HOME": dir}, want: user},
		"environment decides": {env: map[string]string{"XDG_CONFIG_HOME": "/nowhere", "PATRONI_ETCD3_HOST": "h"}, want: ""},
		"missing": {
			option: "missing.yml", err: "Provided config file missing.yml not existing or no read rights. Check the -c/--config-file parameter",
		},
	} {
		e := newEnv("hathi", strings.NewReader(""), os.Stdout, os.Stderr)
		e.getenv = func(key string) string { return c.env[key] }
		e.global.configFile.value = c.option
		got, err := e.findConfig()
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != c.want || text != c.err {
			t.Errorf("%s: got %q, %q, want %q, %q", name, got, text, c.want, c.err)
		}
	}
}
