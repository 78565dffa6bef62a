package watchdog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe gives a named pipe that stands for a device, and what was written to it so far.
func pipe(t *testing.T) (path string, written func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "watchdog")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return path, func() string {
		buf := make([]byte, 4096)
		n, err := unix.Read(fd, buf)
		if err != nil && err != unix.EAGAIN {
			t.Fatal(err)
		}
		return string(buf[:max(0, n)])
	}
}

func demand(path string) Demand {
	return Demand{Mode: Required, Device: path, Driver: "testing", Timeout: 25 * time.Second, LoopWait: 10 * time.Second, TTL: 30 * time.Second}
}

func TestDevice(t *testing.T) {
	path, written := pipe(t)
	w, err := Open(demand(path))
	if err != nil {
		t.Fatal(err)
	}
	if got := written(); got != "Ctimeout=25\n1" {
		t.Errorf("after Open: %q", got)
	}
	if err := w.Feed(); err != nil || written() != "1" {
		t.Errorf("Feed: %v", err)
	}
	if got := w.String(); got != path+" activated with 25 second timeout, timing slack 15 seconds" {
		t.Error(got)
	}
	if w.Warning() != "" {
		t.Error(w.Warning())
	}
	if err := w.Disable(); err != nil || written() != "V" {
		t.Errorf("Disable: %v", err)
	}
	w.timeout = time.Minute
	if !strings.HasPrefix(w.Warning(), "Watchdog timeout 60 seconds does not ensure safe termination within 30 seconds") {
		t.Error(w.Warning())
	}
}

func TestTimeout(t *testing.T) {
	for margin, want := range map[int]time.Duration{5: 26 * time.Second, 0: 31 * time.Second, -1: 15 * time.Second} {
		if got := Timeout(31*time.Second, margin); got != want {
			t.Errorf("margin %d: %s, want %s", margin, got, want)
		}
	}
}

func TestUnusable(t *testing.T) {
	path, _ := pipe(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	unread := filepath.Join(t.TempDir(), "unread")
	if err := unix.Mkfifo(unread, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Demand)
		want   string
	}{
		"no device":         {func(d *Demand) { d.Device = filepath.Join(t.TempDir(), "none") }, "no such file"},
		"not a device":      {func(d *Demand) { d.Device, d.Driver = file, "default" }, "timeout of watchdog device"},
		"nobody reads":      {func(d *Demand) { d.Device = unread }, "open watchdog device"}, // must not wait
		"unknown driver":    {func(d *Demand) { d.Driver = "other" }, "watchdog.driver"},
		"no time to feed":   {func(d *Demand) { d.Timeout = 5 * time.Second }, "Watchdog not supported because leader TTL 30 is less than 2x loop_wait 10"},
		"less than nothing": {func(d *Demand) { d.Timeout = -time.Second }, "Watchdog not supported"},
	} {
		d := demand(path)
		c.change(&d)
		if w, err := Open(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v; want %q", name, w, err, c.want)
		}
	}
}

func TestNoDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchdog")
	if err := demand(path).Check(); err == nil || !strings.Contains(err.Error(), path+": no such file or directory; load its driver") {
		t.Error(err)
	}
}
