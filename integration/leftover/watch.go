package leftover

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// watcherEnv marks the copy of a test binary that is its watcher.
const watcherEnv = "HATHI_TEST_WATCHER"

// A test that is killed, or runs out of time, runs no Cleanup. So another process waits for the end of the test binary.
// It is a copy of it, taken here because any test binary must be able to become one before its TestMain.
func init() {
	if os.Getenv(watcherEnv) != "" {
		watch(os.Stdin)
		os.Exit(0)
	}
}

// watch reads directories until nobody is left who could write one, and removes those that are still there.
func watch(in io.Reader) {
	var dirs []string
	for lines := bufio.NewScanner(in); lines.Scan(); {
		dirs = append(dirs, lines.Text())
	}
	for _, dir := range dirs {
		if _, err := os.Lstat(dir); err == nil {
			_ = Remove(dir) // there is nobody to tell
		}
	}
}

// watcher is the one of this test binary; its standard input ends with us, however we end.
var watcher = sync.OnceValues(func() (io.Writer, error) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), watcherEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // an interrupt from the terminal is not for it
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return in, cmd.Start()
})

// Watch has a directory removed with Remove at the end of this process, if it is still there then.
func Watch(dir string) error {
	in, err := watcher()
	if err == nil {
		_, err = fmt.Fprintln(in, dir)
	}
	if err != nil {
		return fmt.Errorf("watch over %s: %w", dir, err)
	}
	return nil
}
