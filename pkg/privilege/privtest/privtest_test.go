package privtest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"testing"
)

func TestMain(m *testing.M) { Main(m) }

func TestNotRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Fatal("the test runs as root")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), nil, 0o600); err != nil {
		t.Fatalf("temporary directory is not ours: %v", err)
	}
	if err := os.WriteFile(filepath.Join(os.Getenv("HOME"), "privtest-writable"), nil, 0o600); err != nil {
		t.Fatalf("home directory is not ours: %v", err)
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("id", "-un").Output()
	if err != nil || string(out) != u.Username+"\n" {
		t.Fatalf("id -un: %q, %v; want %q", out, err, u.Username)
	}
}

func TestExitCodePassesThrough(t *testing.T) {
	for _, want := range []int{0, 1, 2, 37} {
		err := exec.Command("sh", "-c", "exit "+string(rune('0'+want%10))).Run()
		if want == 37 {
			err = exec.Command("sh", "-c", "exit 37").Run()
		}
		if got, err := exitCode(err); got != want || err != nil {
			t.Errorf("exit %d: got %d, %v", want, got, err)
		}
	}
	if _, err := exitCode(exec.Command("sh", "-c", "kill -KILL $$").Run()); err == nil {
		t.Error("death by a signal counts as success")
	}
}

func TestKeep(t *testing.T) {
	got := keep([]string{"-test.v=true", "-test.testlogfile=/root/x", "--test.gocoverdir=/root/y", "-test.run=A"})
	if want := []string{"-test.v=true", "-test.run=A"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
