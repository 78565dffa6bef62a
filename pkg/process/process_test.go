package process

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"
)

func open(t *testing.T, pid int) *Handle {
	t.Helper()
	h, err := Open(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestHandleOfAProcess(t *testing.T) {
	cmd := start(t, "sleep", "1000")
	h := open(t, cmd.Process.Pid)
	ticks, err := StartTicks(cmd.Process.Pid)
	if err != nil || ticks == 0 || h.StartTicks() != ticks || h.PID() != cmd.Process.Pid {
		t.Errorf("process %d started at %d, not %d at %d: %v", h.PID(), h.StartTicks(), cmd.Process.Pid, ticks, err)
	}
	if !h.Alive() || h.Frozen() {
		t.Errorf("a sleeping process: alive %t, frozen %t", h.Alive(), h.Frozen())
	}
	select {
	case <-h.Done():
		t.Fatal("done while it lives")
	default:
	}

	eventually(t, "asleep", func() bool { asleep, _ := h.Asleep(); return asleep })

	if err := h.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "frozen", h.Frozen)
	if asleep, _ := h.Asleep(); asleep {
		t.Error("a frozen process is taken for one that sleeps")
	}
	if !h.Alive() {
		t.Error("a frozen process is taken for a dead one")
	}
	if err := h.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "going on", func() bool { return !h.Frozen() })

	if err := h.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	soon(t, "done", h.Done())
	// Nobody has waited for it: it is a zombie, which counts as gone.
	if h.Alive() || h.Frozen() {
		t.Errorf("a zombie: alive %t, frozen %t", h.Alive(), h.Frozen())
	}
	if _, err := Open(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("open a zombie: %v", err)
	}
	_ = cmd.Wait()
	if err := h.Signal(syscall.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("signal to a process that is gone: %v", err)
	}
	if _, err := StartTicks(cmd.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("start of a process that is gone: %v", err)
	}
}

func TestFrozenProcessIsKilled(t *testing.T) {
	h := open(t, start(t, "sleep", "1000").Process.Pid)
	if err := h.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "frozen", h.Frozen)
	if err := h.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	soon(t, "done", h.Done())
}

// The kernel gives a process id to somebody else sooner or later; here it is done by hand.
func TestReusedPID(t *testing.T) {
	h := open(t, start(t, "sleep", "1000").Process.Pid)
	h.ticks++
	if h.Alive() || h.Frozen() {
		t.Error("a process that was started at another time is taken for the old one")
	}
}

func TestOpenNobody(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{cmd.Process.Pid, 1 << 30, 0, -1} {
		if h, err := Open(pid); !errors.Is(err, ErrGone) {
			t.Errorf("open process %d: %v, %v", pid, h, err)
		}
	}
}

func TestCloseLetsGo(t *testing.T) {
	cmd := start(t, "sleep", "1000")
	before := resources(t)
	for range 20 {
		h, err := Open(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		waited := make(chan bool)
		go func() { waited <- h.Wait() }()
		h.Close()
		h.Close()
		if <-waited {
			t.Fatal("the process has ended by being let go")
		}
		select {
		case <-h.Done():
			t.Fatal("done by being let go")
		default:
		}
		if err := h.Signal(syscall.SIGKILL); !errors.Is(err, os.ErrClosed) {
			t.Fatalf("signal through a closed handle: %v", err)
		}
	}
	eventually(t, "all file descriptors and goroutines given back", func() bool { return resources(t) <= before })
	if !open(t, cmd.Process.Pid).Alive() {
		t.Error("closing has done something to the process")
	}
}

// resources counts file descriptors and goroutines.
func resources(t *testing.T) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds) + runtime.NumGoroutine()
}

func TestWaitTellsTheEnd(t *testing.T) {
	cmd := start(t, "sleep", "1000")
	h := open(t, cmd.Process.Pid)
	waited := make(chan bool, 1)
	go func() { waited <- h.Wait() }()
	_ = cmd.Process.Kill()
	select {
	case ended := <-waited:
		if !ended {
			t.Error("the process was killed, and Wait says that it was let go")
		}
	case <-time.After(20 * time.Second):
		t.Fatal("Wait does not return")
	}
}

// A program may have any name.
func TestOddName(t *testing.T) {
	cmd := start(t, program(t, "a) R 1 (b"), "fake-server", t.TempDir(), "0")
	h := open(t, cmd.Process.Pid)
	if err := h.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "frozen", h.Frozen)
}
