package guard

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

func watchdogAt(path string) watchdog.Demand {
	return watchdog.Demand{Mode: watchdog.Required, Device: path, Driver: "testing", Timeout: 3 * time.Second, LoopWait: time.Second, TTL: 3 * time.Second}
}

// device makes a pipe that stands for a watchdog device, and gives what was written to it so far.
func device(t *testing.T, path string) (written func() string) {
	t.Helper()
	if err := unix.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var all strings.Builder
	return func() string {
		buf := make([]byte, 1024)
		for {
			n, err := unix.Read(fd, buf)
			if n <= 0 || err != nil {
				return all.String()
			}
			all.Write(buf[:n])
		}
	}
}

// TestWatchdog: the device is fed as long as the lock is proven, by whichever guard there is, and stopped when
// nothing is left that could write.
func TestWatchdog(t *testing.T) {
	t.Parallel()
	var written func() string
	n := startNode(t, "feeds", false, func(dir string) { written = device(t, filepath.Join(dir, "watchdog")) })
	meals := func() int { return strings.Count(written(), "1") }
	n.await("the device is opened and fed", func() bool { return meals() >= 3 })
	if !strings.HasPrefix(written(), "Ctimeout=3\n1") {
		t.Errorf("written: %q", written())
	}
	if err := n.guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.await("another guard", func() bool { return len(n.noted("guards")) >= 1 })
	n.await("the device is opened again", func() bool { return strings.Count(written(), "Ctimeout") == 2 })
	fed := meals()
	n.await("it is fed again", func() bool { return meals() > fed+2 })
	if strings.Contains(written(), "V") {
		t.Errorf("stopped while the server was writing: %q", written())
	}
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.await("nothing is left of the server", func() bool { return n.serverProcesses() == 0 })
	n.await("the device is stopped", func() bool { return strings.HasSuffix(written(), "V") })
}

// TestWatchdogRequired: a guard is not armed without the device that is required; with one that is wanted it is.
func TestWatchdogRequired(t *testing.T) {
	t.Parallel()
	g, err := newGuard(Options{DataDir: t.TempDir(), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	d := watchdogAt(filepath.Join(t.TempDir(), "none"))
	deadline := g.o.Clock.Now().Add(time.Hour)
	if got := g.arm(message{Deadline: g.o.Clock.Now()}); got != notProven || g.armed {
		t.Errorf("a deadline that is over: refused %q, armed %t", got, g.armed)
	}
	if got := g.arm(message{Watchdog: d, Deadline: deadline}); got != noWatchdog || g.armed {
		t.Errorf("required: refused %q, armed %t", got, g.armed)
	}
	answer := make(chan message, 1)
	answer <- message{Op: opAck, Refused: noWatchdog}
	if err := await(context.Background(), answer, time.Minute); !errors.Is(err, ErrWatchdog) {
		t.Errorf("the agent hears %v", err)
	}
	if got := g.arm(message{Watchdog: d, TakeOver: true}); got != "" || !g.armed {
		t.Errorf("required, taken over: refused %q, armed %t", got, g.armed)
	}
	g.disarm()
	d.Mode = watchdog.Automatic
	if got := g.arm(message{Watchdog: d, Deadline: deadline}); got != "" || !g.armed {
		t.Errorf("automatic: refused %q, armed %t", got, g.armed)
	}
	g.disarm()
	d.Mode, d.Device = watchdog.Off, filepath.Join(t.TempDir(), "watchdog")
	written := device(t, d.Device)
	if got := g.arm(message{Watchdog: d, Deadline: deadline}); got != "" || !g.armed || g.dog != nil || written() != "" {
		t.Errorf("off: refused %q, armed %t, device %v, written %q", got, g.armed, g.dog, written())
	}
}
