package log

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

type hidden string

func (hidden) LogValue() slog.Value { return slog.StringValue("******") }

func logger(t *testing.T, o Options) (*slog.Logger, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	if o.Dir == "" {
		o.Output = &b
	}
	l, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Logger, &b
}

func TestPlainLine(t *testing.T) {
	l, b := logger(t, Options{Level: "DEBUG"})
	tests := []struct {
		name string
		log  func()
		want string // after the time
	}{
		{"message", func() { l.Info("no action. I am (db1), the leader with the lock") }, "INFO: no action. I am (db1), the leader with the lock"},
		{"attributes", func() { l.Warn("slow", "query", "select 1", "n", 3, "error", errors.New("late")) }, `WARNING: slow query="select 1" n=3 error=late`},
		{"groups", func() { l.WithGroup("pg").With("port", 5432).Error("down", slog.Group("by", "pid", 7)) }, "ERROR: down pg.port=5432 pg.by.pid=7"},
		{"critical", func() { l.Log(t.Context(), LevelCritical, "end") }, "CRITICAL: end"},
		{"lines are kept", func() { l.Debug("a\nb") }, "DEBUG: a\nb"},
		{"secret", func() { l.With("a", hidden("x")).Info("i", "p", hidden("hunter2")) }, "INFO: i a=****** p=******"},
		{"empty", func() { l.Info("i", "e", "") }, `INFO: i e=""`},
	}
	stamp := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} `)
	for _, tt := range tests {
		b.Reset()
		tt.log()
		got := b.String()
		if !stamp.MatchString(got) || len(got) < 24 || got[24:] != tt.want+"\n" {
			t.Errorf("%s: got %q, want %q from column 25 on", tt.name, got, tt.want)
		}
	}
}

func TestLevelFilters(t *testing.T) {
	l, b := logger(t, Options{Level: "error"})
	l.Warn("not this")
	l.Error("this")
	if got := b.String(); strings.Contains(got, "not this") || !strings.Contains(got, "this") {
		t.Errorf("got %q", got)
	}
	if _, err := New(Options{Level: "loud"}); err == nil {
		t.Error("New accepted an unknown level")
	}
}

func TestJSON(t *testing.T) {
	l, b := logger(t, Options{
		JSON: true, Static: map[string]string{"app": "hathi"},
		Fields: []Field{{"message", "msg"}, {"levelname", "level"}, {"nonsense", "x"}},
	})
	l.With("msg", "second").Info("hi <b>", "n", 1, "p", hidden("x"))
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	want := map[string]any{"msg": "hi <b>", "level": "INFO", "n": 1.0, "p": "******", "app": "hathi"}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}

func TestRotation(t *testing.T) {
	dir := t.TempDir()
	l, _ := logger(t, Options{Dir: dir, Mode: 0o640, FileSize: 100, FileNum: 2})
	for _, m := range []string{"one", "two", "three", "four"} {
		l.Info(m + strings.Repeat(".", 60))
	}
	for name, want := range map[string]string{"patroni.log": "four", "patroni.log.1": "three", "patroni.log.2": "two"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.Contains(string(text), want) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s = %q (%v), want one line with %q", name, text, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "patroni.log.3")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a third old file was kept: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, "patroni.log"))
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode = %v (%v), want 0640", info.Mode(), err)
	}
}

func TestLinesOfManyGoroutinesDoNotMix(t *testing.T) {
	dir := t.TempDir()
	l, _ := logger(t, Options{Dir: dir, FileSize: 4000, FileNum: 50})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				l.With("k", "v").Info("message")
			}
		})
	}
	wg.Wait()
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	n := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if !strings.HasSuffix(line, " INFO: message k=v\n") {
				t.Fatalf("mixed line %q", line)
			}
			n++
		}
	}
	if n != 400 {
		t.Errorf("%d lines, want 400", n)
	}
}

func TestUnwritableDirectory(t *testing.T) {
	if _, err := New(Options{Dir: filepath.Join(t.TempDir(), "missing")}); err == nil {
		t.Error("New accepted a directory that does not exist")
	}
}

var _ io.Writer = (*rotating)(nil)
