package leftover

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestKilledTestLeavesNothing: a test binary is killed while a process of its test works in a directory, and another one
// elsewhere has a file of it as an argument.
func TestKilledTestLeavesNothing(t *testing.T) {
	if dir := os.Getenv("HATHI_TEST_KILLED"); dir != "" {
		beKilled(t, dir)
	}
	dir, other := t.TempDir(), t.TempDir()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledTestLeavesNothing$")
	cmd.Env = append(os.Environ(), "HATHI_TEST_KILLED="+dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stranger := exec.Command("sleep", "1000")
	stranger.Dir = other
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stranger.Process.Kill(); _ = stranger.Wait() }()
	await(t, "both processes run", func() bool { return len(sleepers(dir)) == 2 })
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, "the directory is gone", func() bool { _, err := os.Lstat(dir); return os.IsNotExist(err) })
	if left := sleepers(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if len(sleepers(other)) != 1 {
		t.Error("a process of somebody else was ended")
	}
}

// beKilled starts two processes and never returns.
func beKilled(t *testing.T, dir string) {
	if err := Watch(dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	inside, outside := exec.Command("sleep", "1000"), exec.Command("tail", "-f", file)
	inside.Dir = dir
	for _, cmd := range []*exec.Cmd{inside, outside} {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	_ = inside.Wait() // not select: the runtime would take that for a deadlock, and end by itself
	t.Fatal("nobody has killed this test")
}

// sleepers gives the processes in a directory or with a file of it, but not the test's own.
func sleepers(dir string) []int {
	var pids []int
	for _, p := range Processes() {
		inside := p.Cwd == dir || slices.Contains(p.Args, filepath.Join(dir, "file"))
		if inside && p.State != "Z" && slices.Contains([]string{"sleep", "tail"}, p.Args[0]) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
