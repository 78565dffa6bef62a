package guard

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

// TestClientReplacesOnce: a guard that is gone is replaced by one other, not by one after the other, although
// the kernel gives the number of the old socket to the new one.
func TestClientReplacesOnce(t *testing.T) {
	if os.Getenv("HATHI_TEST_GUARD") != "" {
		_, _ = Adopt(t.Context(), Options{Agent: []string{"/bin/true", "true"}, DataDir: t.TempDir(), Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)}, os.Getppid(), 3)
		return
	}
	started := filepath.Join(t.TempDir(), "started")
	t.Setenv("HATHI_TEST_GUARD", "1")
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	script := `echo x >> ` + started + `; exec ` + os.Args[0] + ` -test.run '^TestClientReplacesOnce$'`
	c := &Client{log: slog.New(slog.DiscardHandler), command: []string{"/bin/sh", "sh", "-c", script}}
	first := newLink(ours, nil)
	first.since = time.Now().Add(-time.Hour)
	c.use(first)
	defer c.Close()
	unix.Close(theirs) // the first guard is gone

	deadline := time.Now().Add(20 * time.Second)
	next := first
	for ; next == first && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		next = c.link
		c.mu.Unlock()
	}
	select {
	case <-next.ready: // until then one that starts slowly would be taken for frozen, and replaced
	case <-time.After(time.Until(deadline)):
		t.Fatal("no other guard is ready")
	}
	for c.Disarm(t.Context()) != nil || count(started) == 0 {
		if time.Now().After(deadline) {
			t.Fatal("no other guard answers")
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(3 * time.Second) // a second one would come within one
	if n := count(started); n != 1 {
		t.Errorf("%d guards were started, want 1", n)
	}
}

func count(path string) int {
	raw, _ := os.ReadFile(path)
	return len(raw) / len("x\n")
}

// TestGuardThatCantBeHeld: a guard that was started with the charge, and that nobody can be told of, ends.
func TestGuardThatCantBeHeld(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }()
	h, err := process.Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if _, err := held(cmd, func(int) (*process.Handle, error) { return nil, unix.EMFILE }); !errors.Is(err, unix.EMFILE) {
		t.Errorf("got %v", err)
	}
	select {
	case <-h.Done():
	case <-time.After(20 * time.Second):
		t.Error("it lives on")
	}
}
