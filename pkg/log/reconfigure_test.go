package log

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Each key of the log section that may change while the agent runs, seen by a logger that was made before.
func TestReconfigure(t *testing.T) {
	var first bytes.Buffer
	l, err := New(Options{Output: &first})
	if err != nil {
		t.Fatal(err)
	}
	child := l.With("k", "v")
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		o    Options
		want string // a pattern of what is written for one INFO and one DEBUG line
	}{
		{"as before", Options{Output: &first}, `^\S+ \S+ INFO: hello k=v\n$`},
		{"level", Options{Output: &first, Level: "DEBUG"}, `INFO: hello k=v\n.* DEBUG: deep k=v\n$`},
		{"quiet", Options{Output: &first, Level: "ERROR"}, `^$`},
		{"type and static_fields", Options{Output: &first, JSON: true, Static: map[string]string{"app": "x"}}, `^\{"asctime": "[^"]+", "levelname": "INFO", "message": "hello", "k": "v", "app": "x"\}\n$`},
		{"format", Options{Output: &first, Format: "%(levelname)-8s|%(message)s|100%%"}, `^INFO    \|hello k=v\|100%\n$`},
		{"format, as JSON", Options{Output: &first, JSON: true, Format: "%(levelname)s %(message)s"}, `^\{"levelname": "INFO", "message": "hello", "k": "v"\}\n$`},
		{"dateformat", Options{Output: &first, DateFormat: "%Y/%m/%d %H.%M"}, `^\d{4}/\d\d/\d\d \d\d\.\d\d INFO: hello k=v\n$`},
	} {
		if err := l.Reconfigure(c.o); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		first.Reset()
		child.Info("hello")
		child.Debug("deep")
		if !regexp.MustCompile(c.want).Match(first.Bytes()) {
			t.Errorf("%s: got %q, want %s", c.name, first.String(), c.want)
		}
	}
	if err := l.Reconfigure(Options{Output: &first, Level: "loud"}); err == nil {
		t.Error("an unknown level was taken")
	}
	if err := l.Reconfigure(Options{Dir: filepath.Join(dir, "missing")}); err == nil {
		t.Error("a directory that is not there was taken")
	}
	if err := l.Reconfigure(Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	first.Reset()
	child.Info("into the file")
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "patroni.log"))
	if err != nil || !strings.Contains(string(text), "into the file k=v") || first.Len() != 0 {
		t.Errorf("file %q (%v), and in the old place %q", text, err, first.String())
	}
}

// The fields of Python's logging that a format may name.
func TestFormatFields(t *testing.T) {
	for format, want := range map[string]string{
		"%(filename)s %(module)s":   `^reconfigure_test.go reconfigure_test\n$`,
		"%(lineno)d %(funcName)s":   `^\d+ log.TestFormatFields.*\n$`,
		"%(process)d":               fmt.Sprintf(`^%d\n$`, os.Getpid()),
		"%(created)f":               `^\d{10}\.\d{6}\n$`,
		"%(levelno)03d %(name)s":    `^020 hathi\n$`,
		"%(nonsense)s %(message)s":  `^%\(nonsense\)s m\n$`,
		"plain text":                `^plain text\n$`,
		"[%(threadName)s/%(msecs)d": `^\[MainThread/\d+\n$`,
	} {
		l, b := logger(t, Options{Format: format})
		l.Info("m")
		if !regexp.MustCompile(want).MatchString(b.String()) {
			t.Errorf("%s: got %q, want %s", format, b.String(), want)
		}
	}
}

func TestDateFormat(t *testing.T) {
	at := time.Date(2027, 3, 1, 8, 5, 12, 104233000, time.FixedZone("CET", 3600))
	for format, want := range map[string]string{
		"%Y-%m-%dT%H:%M:%S%z":  "2027-03-01T08:05:12+0100",
		"%d %b %y %I:%M %p %Z": "01 Mar 27 08:05 AM CET",
		"%A %j %f %% %Q":       "Monday 060 104233 % %Q",
		"%F %T":                "2027-03-01 08:05:12",
		"%s":                   "1803884712",
	} {
		if got := dateFormat(format)(at); got != want {
			t.Errorf("%s: got %q, want %q", format, got, want)
		}
	}
}
