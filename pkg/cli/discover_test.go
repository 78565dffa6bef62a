package cli

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// addProcess adds a process to a made-up /proc.
func addProcess(t *testing.T, proc, pid, cmdline string) {
	t.Helper()
	dir := filepath.Join(proc, pid)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(cmdline, " ", "\x00") + "\x00"
	if err := os.WriteFile(filepath.Join(dir, "cmdline"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAgentConfigs reads a made-up /proc: in a container the agent is process 1.
func TestAgentConfigs(t *testing.T) {
	proc := t.TempDir()
	for pid, cmdline := range map[string]string{
		"1":    "hathi run /etc/patroni.yml",
		"17":   "postgres -D /data",
		"20":   "hathi list",
		"30":   "/usr/bin/python3 /usr/bin/patroni etc/node.yml",
		"35":   "grep patroni /etc/passwd",
		"36":   "tini -- patroni /tini.yml",
		"40":   "/usr/bin/hathi run --log-level debug /etc/hathi/x.yml",
		"self": "hathi run /never.yml",
	} {
		addProcess(t, proc, pid, cmdline)
	}
	for pid, namespace := range map[string]string{"self": "mnt:[1]", "30": "mnt:[1]", "50": "mnt:[2]"} { // 50 is in a container
		if pid == "50" {
			addProcess(t, proc, pid, "hathi run /etc/elsewhere.yml")
		}
		if err := os.Mkdir(filepath.Join(proc, pid, "ns"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(namespace, filepath.Join(proc, pid, "ns", "mnt")); err != nil {
			t.Fatal(err)
		}
	}
	got := agentConfigs(proc)
	// "debug" might be the file of process 40; it is not there, and the next one is tried.
	want := []string{"/etc/patroni.yml", proc + "/30/cwd/etc/node.yml", "/tini.yml", proc + "/40/cwd/debug", "/etc/hathi/x.yml"}
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

// TestOneCluster: without -c no cluster is chosen where there are two.
func TestOneCluster(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a1":     "scope: a\netcd3: {hosts: '10.0.0.1:2379,10.0.0.2:2379'}\n",
		"a2":     "scope: a\nnamespace: /service/\netcd: {host: 10.0.0.2}\n",
		"afar":   "scope: a\netcd3: {host: 10.9.9.9}\n",
		"asunk":  "scope: a\nnamespace: other\netcd3: {host: 10.0.0.1}\n",
		"b":      "scope: b\netcd3: {host: 10.0.0.1}\n",
		"none":   "etcd3: {host: 10.0.0.1}\n",
		"broken": "scope: [\n",
		"cit1":   "scope: a\netcd3: {host: 10.0.0.1}\ncitus: {group: 1, database: c}\n",
		"cit2":   "scope: a\netcd3: {host: 10.0.0.1}\ncitus: {group: 2, database: c}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ files, want, err string }{
		{"a1", "a1", ""},
		{"broken", "broken", ""},
		{"a1 a1", "a1", ""},
		{"a1 a2", "a1", ""},
		{"a2 a1 missing", "a2", ""},
		{"none a1", "none", ""},
		{"a1 b", "", "a1 (cluster a)\n  b (cluster b)"},
		{"a1 a2 b", "", "a1 (cluster a)\n  b (cluster b)"},
		{"a1 afar", "", "a1 (cluster a)\n  afar (cluster a)"},
		{"a1 asunk", "", "a1 (cluster a)\n  asunk (cluster a)"},
		{"cit1 cit2", "", "cit1 (cluster a)\n  cit2 (cluster a)"},
		{"a1 broken", "", "a1 (cluster a)\n  broken (can't be used)"},
	} {
		e := newEnv("hathi", strings.NewReader(""), os.Stdout, os.Stderr)
		e.getenv = func(string) string { return "" }
		e.proc, e.etc = t.TempDir(), t.TempDir()
		for i, file := range strings.Fields(c.files) {
			addProcess(t, e.proc, strconv.Itoa(100+i), "hathi run "+filepath.Join(dir, file))
		}
		got, err := e.findConfig()
		text := ""
		if err != nil {
			text = strings.ReplaceAll(strings.TrimPrefix(err.Error(), "Configurations of different clusters are here, name one with -c:\n  "), dir+"/", "")
		}
		if strings.TrimPrefix(got, dir+"/") != c.want || text != c.err {
			t.Errorf("%s: got %q, %q, want %q, %q", c.files, got, text, c.want, c.err)
		}
	}
}

// TestUsualPlaces: what stands in /etc comes before what runs, and counts as much.
func TestUsualPlaces(t *testing.T) {
	e := newEnv("hathi", strings.NewReader(""), os.Stdout, os.Stderr)
	e.getenv = func(string) string { return "" }
	e.proc, e.etc = t.TempDir(), t.TempDir()
	usual, running := filepath.Join(e.etc, "patroni.yml"), filepath.Join(e.etc, "node.yml")
	for path, text := range map[string]string{usual: "scope: a\netcd3: {host: h}\n", running: "scope: a\netcd3: {host: h}\nname: n\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	addProcess(t, e.proc, "7", "patroni "+running)
	if got, err := e.findConfig(); got != usual || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(running, []byte("scope: b\netcd3: {host: h}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := e.findConfig(); err == nil {
		t.Errorf("got %q, and an agent of another cluster runs", got)
	}
}

// owned is a file of a user.
type owned struct {
	os.FileInfo
	uid uint32
}

func (o owned) Sys() any { return &syscall.Stat_t{Uid: o.uid} }

// TestTrusted: another user's program may be called hathi as well.
func TestTrusted(t *testing.T) {
	for uid, want := range map[uint32]bool{0: true, uint32(os.Getuid()): true, 54321: false} {
		if got := trusted(owned{uid: uid}); got != want {
			t.Errorf("a file of user %d is trusted: %t", uid, got)
		}
	}
}

// TestEnvironment: only what is set to nothing counts as unset, not what ends like it.
func TestEnvironment(t *testing.T) {
	t.Setenv("PATRONI_CTL_PASSWORD", "c2VjcmV0Cg==")
	t.Setenv("PATRONI_SCOPE", "")
	got := environment()
	if !slices.Contains(got, "PATRONI_CTL_PASSWORD=c2VjcmV0Cg==") || slices.Contains(got, "PATRONI_SCOPE=") {
		t.Errorf("got %q", got)
	}
}
