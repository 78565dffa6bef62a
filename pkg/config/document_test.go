package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The table of cli.md 16.1.
func TestYAMLScalars(t *testing.T) {
	for text, want := range map[string]string{
		"yes": "true", "No": "false", "ON": "true", "off": "false", "oN": `"oN"`, "y": `"y"`, "null": "null", "~": "null", "": "null",
		"1": "1", "-5": "-5", "+5": "5", "1_000": "1000", "010": "8", "0o10": `"0o10"`, "0644": "420", "0x1F": "31", "0b11": "3", "1:30": "90",
		"1:30.5": "90.5", "1.5": "1.5", "1.": "1.0", ".5": "0.5", "1.0e+5": "100000.0", "1e5": `"1e5"`, "1.0e5": `"1.0e5"`, ".inf": `".inf"`,
		"2026-01-01": `"2026-01-01"`, "10MB": `"10MB"`, `"5"`: `"5"`, "'on'": `"on"`, "[a, 1]": `["a",1]`, "{a: on}": `{"a":true}`, "0": "0", "08": `"08"`,
		"!!str 5": `"5"`, "é": `"\u00e9"`, "-0": "0",
	} {
		n, err := ParseYAML("f", []byte("k: "+text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if got := string(n.Get("k").Compact()); got != want {
			t.Errorf("%q = %s, want %s", text, got, want)
		}
	}
}

func TestYAMLStructure(t *testing.T) {
	n, err := ParseYAML("f", []byte("base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\ndup: 1\ndup: 2\non: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(n.Compact()), `{"base":{"x":1,"y":2},"own":{"x":1,"y":3},"dup":2,"true":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if n.at("own", "y").where() != "f:4" {
		t.Errorf("own.y is at %s, want f:4", n.at("own", "y").where())
	}
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'l'; c++ {
		ref := "*" + string(c-1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat(ref+",", 8) + ref + "]\n"
	}
	for name, text := range map[string]string{"bomb": bomb, "two documents": "a: 1\n---\nb: 2\n", "tab": "a:\n\tb: 1\n", "open": "a: [1\n", "at": "a: @x\n", "loop": "a: &a [*a]\n"} {
		if _, err := ParseYAML("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "f") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Source of the rows: rest-api.md 9.2.
func TestMergePatch(t *testing.T) {
	tests := []struct{ stored, patch, want string }{
		{
			`{"ttl":30,"loop_wait":10,"postgresql":{"use_pg_rewind":true,"parameters":{"max_connections":100}}}`,
			`{"ttl": 25, "postgresql": {"parameters": {"work_mem": "8MB", "max_connections": null}}}`,
			`{"ttl":25,"loop_wait":10,"postgresql":{"use_pg_rewind":true,"parameters":{"work_mem":"8MB"}}}`,
		},
		{`{"b":1,"a":2}`, `{"slots":{"a":null}}`, `{"b":1,"a":2,"slots":{"a":null}}`},
		{`{"a":5}`, `{"a":"5"}`, ``},
		{`{"a":true}`, `{"a":"true"}`, `{"a":"true"}`},
		{`{"a":[5]}`, `{"a":["5"]}`, `{"a":["5"]}`},
		{`{"a":1.0}`, `{"a":1}`, `{"a":1}`},
		{`{"a":{"b":1}}`, `{"a":{"b":null}}`, `{"a":{}}`},
		{`{"a":1}`, `{"a":{"b":null}}`, `{"a":{"b":null}}`},
		{`{"a":{"b":1}}`, `{"a":2}`, `{"a":2}`},
		{`{"a":1}`, `{"x":null}`, ``},
		{`{"a":null}`, `{"a":null}`, `{}`},
		{`{"n":1e5,"big":12345678901234567890123}`, `{"u":"é<&>😀"}`, `{"n":1e5,"big":12345678901234567890123,"u":"\u00e9<&>\ud83d\ude00"}`},
	}
	for _, tt := range tests {
		got, changed, err := MergePatch([]byte(tt.stored), []byte(tt.patch))
		want := tt.want
		if want == "" {
			want = tt.stored
		}
		if err != nil || string(got) != want || changed != (tt.want != "") {
			t.Errorf("%s + %s = %s, changed %v, %v; want %s", tt.stored, tt.patch, got, changed, err, want)
		}
	}
	for _, bad := range []string{`[]`, `{"a":NaN}`, `{"a":Infinity}`, `{"a":1e999}`, `{`, ``, `{} {}`} {
		if _, _, err := MergePatch([]byte(`{}`), []byte(bad)); err == nil {
			t.Errorf("MergePatch accepted %s", bad)
		}
	}
}

func TestEnvironment(t *testing.T) {
	path := write(t, t.TempDir(), "c.yml", "scope: file\nnamespace: /svc/\netcd: {host: e1}\nlog: {mode: 0600}\n")
	env := []string{
		"PATRONI_SCOPE=env", "PATRONI_NAMESPACE=", "PATRONI_ETCD3_HOSTS='a:1','b'", "PATRONI_ETCD3_USERNAME=u", "PATRONI_ETCD3_PASSWORD=p", "PATRONI_CTL_INSECURE=maybe",
		"PATRONI_CONFIGURATION=scope: other", "PATRONI_RESTAPI_USERNAME=x", "PATRONI_RESTAPI_PASSWORD=y", "PATRONI_SCOEP=z", "OTHER=1",
	}
	c, warnings, err := LoadControl(path, env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Scope != "env" || c.Namespace != "svc" || c.Etcd.Section != "etcd3" || strings.Join(c.Etcd.Hosts, " ") != "a:1 b:2379" ||
		c.Etcd.Username != "u" || c.Etcd.Password.Reveal() != "p" || c.Ctl.Auth.Username != "x" || c.Ctl.Insecure {
		t.Errorf("got %+v", c)
	}
	text := warnings.Error()
	for _, want := range []string{"PATRONI_CTL_INSECURE: ctl.insecure: maybe", "PATRONI_SCOEP: unknown variable, it has no effect; did you mean PATRONI_SCOPE?"} {
		if !strings.Contains(text, want) {
			t.Errorf("warnings lack %q:\n%s", want, text)
		}
	}
	c, _, err = LoadControl("", env)
	if err != nil || c.Scope != "other" || c.Etcd.Section != "" {
		t.Errorf("PATRONI_CONFIGURATION alone: %+v, %v", c, err)
	}
	if c, _, err = LoadControl("", []string{"PATRONI_SCOPE=e"}); err != nil || c.Scope != "e" {
		t.Errorf("variables alone: %v", err)
	}
	if _, _, err := Load(filepath.Join(t.TempDir(), "missing.yml"), env); err == nil {
		t.Error("Load went on without the file")
	}
	if _, _, err := Load("", nil); err == nil || !strings.Contains(err.Error(), "Config is empty.") {
		t.Errorf("empty configuration: %v", err)
	}
	if got := ChildEnviron([]string{"PATRONI_X=1", "KUBERNETES_A=1", "HOME=/"}); len(got) != 1 {
		t.Errorf("ChildEnviron = %q", got)
	}
}

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "1.yml", "scope: a\nctl: {insecure: on, cacert: x}\n")
	write(t, dir, "2.yaml", "ctl: {insecure: null}\nscope: b\n")
	write(t, dir, "3.txt", "scope: c\n")
	c, _, err := LoadControl(dir, nil)
	if err != nil || c.Scope != "b" || c.Ctl.Insecure || c.Ctl.CACert != "x" {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestDCSURL(t *testing.T) {
	tests := []struct{ url, section, host, namespace, err string }{
		{"etcd3://10.0.0.5:2379/svc", "etcd3", "10.0.0.5:2379", "svc", ""},
		{"localhost", "etcd", "localhost:2379", "service", ""},
		{"etcd3://", "etcd3", "localhost:2379", "service", ""},
		{"[::1]:99/", "etcd", "[::1]:99", "service", ""},
		{"host:8500", "", "", "", "consul is not supported"},
		{"foo://x", "", "", "", "Unknown dcs scheme: foo"},
		{"etcd://x:y", "", "", "", "port"},
	}
	for _, tt := range tests {
		c := Config{Namespace: "service"}
		err := c.UseDCSURL(tt.url)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: error %v, want %q", tt.url, err, tt.err)
			}
			continue
		}
		if err != nil || c.Etcd.Section != tt.section || c.Etcd.Hosts[0] != tt.host || c.Namespace != tt.namespace {
			t.Errorf("%s: %+v, %v", tt.url, c.Etcd, err)
		}
	}
}

func TestGUC(t *testing.T) {
	for _, tt := range []struct {
		a, b, unit string
		want       bool
	}{
		{"1GB", "1024MB", "8kB", true},
		{"131072", "1GB", "8kB", true},
		{"60s", "1min", "ms", true},
		{"1gb", "1GB", "kB", false},
		{"0x10", "16", "", true},
		{"010", "8", "", true},
		{"1.5GB", "1536MB", "kB", true},
		{"1e3", "1000", "", true},
		{"5s", "5", "", false},
		{"a", "a", "", true},
	} {
		if got := EqualGUC(tt.a, tt.b, tt.unit); got != tt.want {
			t.Errorf("EqualGUC(%s, %s, %s) = %v", tt.a, tt.b, tt.unit, got)
		}
	}
}

func TestTags(t *testing.T) {
	path := write(t, t.TempDir(), "c.yml", `{scope: s, name: n, restapi: {listen: "h:1"}, etcd: {host: e}, postgresql: {listen: "h:1", data_dir: /d,
 authentication: {replication: {username: r}}}, tags: {nofailover: on, failover_priority: 1, nosync: off, noloadbalance: "false", zone: 1.5}}`)
	c, warnings, err := Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := "Conflicting configuration between nofailover: True and failover_priority: 1. Defaulting to nofailover: True"
	if len(c.TagConflicts) != 1 || c.TagConflicts[0] != want {
		t.Errorf("conflicts = %q", c.TagConflicts)
	}
	tags := c.PublishedTags()
	if len(tags) != 4 || tags["nofailover"] != true || tags["failover_priority"] != int64(1) || tags["noloadbalance"] != true || tags["zone"] != 1.5 {
		t.Errorf("published %#v", tags)
	}
	if !strings.Contains(warnings.Error(), "remove the quotes") {
		t.Errorf("warnings: %v", warnings)
	}
}

func TestCache(t *testing.T) {
	dir := t.TempDir()
	if raw, err := ReadCache(dir); raw != nil || err != nil {
		t.Errorf("no cache: %s, %v", raw, err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := WriteCache(dir, []byte(`{"a": 1}`)); err != nil {
		t.Fatal(err)
	}
	raw, err := ReadCache(dir)
	info, statErr := os.Stat(filepath.Join(dir, cacheName))
	if err != nil || string(raw) != `{"a": 1}` || statErr != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("read %s, %v; mode %v, %v", raw, err, info.Mode(), statErr)
	}
	write(t, dir, cacheName, "garbage")
	if _, err := ReadCache(dir); err == nil {
		t.Error("ReadCache accepted garbage")
	}
}

func FuzzYAML(f *testing.F) {
	seed, _ := os.ReadFile(seedFile)
	f.Add(string(seed))
	f.Add("a: &a {<<: *a}\n? [x]\n: 0x_\n")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := ParseYAML("f", []byte(text)); err == nil {
			var c collector
			c.dynamic(c.enter(n, "").node)
			if _, err := ParseJSON(n.Compact()); err != nil {
				t.Errorf("%q became invalid JSON %s: %v", text, n.Compact(), err)
			}
		}
	})
}

func FuzzDynamic(f *testing.F) {
	f.Add(`{"ttl":20,"slots":{"a":null},"postgresql":{"parameters":{"a":1}}}`, true)
	f.Fuzz(func(t *testing.T, raw string, patroni bool) {
		d, _, err := ParseDynamic([]byte(raw), DynamicOptions{PatroniMembers: patroni})
		if err != nil {
			return
		}
		s := d.Settings
		if s.LoopWait+2*s.RetryTimeout > s.TTL || s.LoopWait <= 0 || s.RetryTimeout <= 0 {
			t.Errorf("%s: ttl %v, loop_wait %v, retry_timeout %v", raw, s.TTL, s.LoopWait, s.RetryTimeout)
		}
		Merge(&Config{}, d, 0)
	})
}

func FuzzMergePatch(f *testing.F) {
	f.Add(`{"a":{"b":[1,"x"]}}`, `{"a":{"b":null,"c":{}}}`)
	f.Fuzz(func(t *testing.T, stored, patch string) {
		merged, _, err := MergePatch([]byte(stored), []byte(patch))
		if err != nil {
			return
		}
		again, changed, err := MergePatch(merged, []byte(patch))
		if err != nil {
			t.Errorf("merging twice: %s: %v, %v", again, changed, err)
		}
	})
}
