package process

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// TestEnvironDuringExec: a process that takes another program again and again always shows the variable that it was started with.
func TestEnvironDuringExec(t *testing.T) {
	const again = `n=$1; [ "$n" = 0 ] && exec sleep 60; exec sh -c "$0" "$0" $((n-1))`
	cmd := exec.Command("sh", "-c", again, again, "300")
	cmd.Env = append(os.Environ(), "HATHI_EXEC=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for range 20000 {
		if env := environ(cmd.Process.Pid); !strings.Contains(env, "HATHI_EXEC=1") {
			t.Fatalf("shows %q", env)
		}
		runtime.Gosched()
	}
}
