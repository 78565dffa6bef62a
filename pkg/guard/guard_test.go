package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// newTestGuard gives a guard that no loop runs, and the agent's end of its socket.
func newTestGuard(t *testing.T, c clock.Clock) (g *guard, agent int) {
	t.Helper()
	released := func(context.Context, int64) error { return nil }
	g, err := newGuard(Options{DataDir: t.TempDir(), Clock: c, Log: slog.New(slog.DiscardHandler), Release: released})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.close)
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	g.sock = ours
	return g, theirs
}

// laterClock stands for a guard that was frozen: when it looks at the clock its deadline is over, but by then a
// later one has been sent.
type laterClock struct {
	clock.System
	agent int // the agent's end of the socket; zero: not yet
	sent  bool
}

func (c *laterClock) Now() clock.Instant {
	now := c.System.Now()
	if c.agent == 0 {
		return now
	}
	if !c.sent {
		c.sent = true
		_ = send(c.agent, message{Op: opExtend, Seq: 1, Deadline: now.Add(2 * time.Hour)})
	}
	return now.Add(time.Hour)
}

// TestFrozenGuardReadsFirst: a guard that wakes up takes in what was sent meanwhile before it acts on its deadline.
func TestFrozenGuardReadsFirst(t *testing.T) {
	c := &laterClock{}
	g, agent := newTestGuard(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	h, err := process.Open(os.Getpid()) // an agent that is alive
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	g.agent = h
	g.armed, g.charge = true, charge{Deadline: g.o.Clock.Now().Add(30 * time.Minute), Window: 30 * time.Second, Lease: 7}
	c.agent = agent
	g.run(ctx)
	if !g.armed || g.givenUp.Load() != 0 {
		t.Errorf("armed %t, given up %d: it acted on an old deadline", g.armed, g.givenUp.Load())
	}
}

// TestRequestToEndIsNotLost behind the ends of children that nobody has taken in yet.
func TestRequestToEndIsNotLost(t *testing.T) {
	g, _ := newTestGuard(t, clock.System{})
	for range 200 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGCHLD)
		time.Sleep(100 * time.Microsecond) // the kernel merges those that are pending
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
	for end := time.Now().Add(10 * time.Second); !g.leaving; g.takeIn() {
		if time.Now().After(end) {
			t.Fatal("SIGTERM was lost")
		}
	}
}

// TestWatchdogAfterReplacement: the guard before held the device, so it can be opened only now.
func TestWatchdogAfterReplacement(t *testing.T) {
	g, _ := newTestGuard(t, clock.System{})
	d := watchdogAt(filepath.Join(t.TempDir(), "watchdog"))
	d.Mode = watchdog.Automatic
	if refused := g.arm(message{Watchdog: d, TakeOver: true}); refused != "" || g.dog != nil {
		t.Fatalf("refused %q, device %v", refused, g.dog)
	}
	device(t, d.Device)
	former := exec.Command("/bin/sleep", "60")
	if err := former.Start(); err != nil {
		t.Fatal(err)
	}
	defer former.Wait()         //nolint:errcheck // it is killed
	defer former.Process.Kill() //nolint:errcheck // it may be gone
	ticks, err := process.StartTicks(former.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	g.succeed(message{PID: former.Process.Pid, Ticks: ticks})
	if g.dog == nil {
		t.Error("the device was not opened after the former guard was killed")
	}
}

// TestShorterDeadline counts, but it proves nothing and feeds no watchdog.
func TestShorterDeadline(t *testing.T) {
	g, _ := newTestGuard(t, clock.System{})
	d := watchdogAt(filepath.Join(t.TempDir(), "watchdog"))
	written := device(t, d.Device)
	now := g.o.Clock.Now()
	g.arm(message{Watchdog: d, Deadline: now.Add(time.Hour)})
	g.extend(now.Add(2 * time.Hour))
	fed := written()
	g.extend(now.Add(time.Hour))
	if g.charge.Deadline != now.Add(time.Hour) || written() != fed {
		t.Errorf("deadline %s ahead, written after it %q", g.charge.Deadline.Sub(now), written()[len(fed):])
	}
}

// TestRefusedArm: the guard goes on with what it had, and so does the next one.
func TestRefusedArm(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{log: slog.New(slog.DiscardHandler)}
	c.use(newLink(ours, nil))
	defer c.Close()
	answers := []string{"", noWatchdog}
	go func() {
		for _, refused := range answers {
			m, _, _ := receive(theirs, 0)
			_ = send(theirs, message{Op: opAck, Seq: m.Seq, Refused: refused})
		}
	}()
	for n, refused := range answers {
		err := c.Arm(t.Context(), func() Charge { return Charge{LeaseID: int64(n + 1)} })
		if errors.Is(err, ErrWatchdog) != (refused != "") {
			t.Errorf("arm %d: %v", n, err)
		}
	}
	if c.charge == nil || c.charge.LeaseID != 1 {
		t.Errorf("charge %+v, want the first", c.charge)
	}
}

// TestServerThatCanNotBeHeld: a server that can't be watched, for want of a file descriptor, is not taken for one that
// has ended: the guard refuses it, and so it is no primary.
func TestServerThatCanNotBeHeld(t *testing.T) {
	g, _ := newTestGuard(t, clock.System{})
	ticks, err := process.StartTicks(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	arm := message{PID: os.Getpid(), Ticks: ticks, Deadline: g.o.Clock.Now().Add(time.Hour)}
	h, err := process.Open(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 0 // no further one
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	refused, alive := g.arm(arm), h.Alive()
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if refused != notHeld || g.armed || !alive {
		t.Errorf("refused %q, armed %t; the process counts as alive: %t", refused, g.armed, alive)
	}
	if refused := g.arm(arm); refused != "" || g.serverDead() {
		t.Errorf("with file descriptors again: refused %q", refused)
	}
	g.disarm()
}

// TestGivenUpIsHeard by whoever asks the client to be told, also if he asks late.
func TestGivenUpIsHeard(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{log: slog.New(slog.DiscardHandler)}
	c.use(newLink(ours, nil))
	defer c.Close()
	heard := make(chan int64)
	c.OnGivenUp(func(lease int64) { heard <- lease })
	if err := send(theirs, message{Op: opGivenUp, Lease: 7}); err != nil {
		t.Fatal(err)
	}
	if lease := <-heard; lease != 7 {
		t.Errorf("heard of lease %d", lease)
	}
	c.OnGivenUp(func(lease int64) { heard <- lease })
	if lease := <-heard; lease != 7 {
		t.Errorf("heard late of lease %d", lease)
	}
}

// TestTellSystemd: a guard in another one's place is the main process of the service from then on.
func TestTellSystemd(t *testing.T) {
	if err := tellSystemd(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	path := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := tellSystemd(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	n, err := l.Read(buf)
	if want := fmt.Sprintf("MAINPID=%d", os.Getpid()); err != nil || string(buf[:n]) != want {
		t.Errorf("told %q (%v), want %q", buf[:n], err, want)
	}
}
