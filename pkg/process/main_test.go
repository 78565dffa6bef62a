package process

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets copies of this test binary be the processes that the tests watch and kill.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fake-server" {
		fakeServer(os.Args[2:])
		return
	}
	os.Exit(m.Run())
}

// fakeServer works in a directory, with as many children as asked for, and asks for SIGKILL to end.
// Arguments: the directory, the number of children.
func fakeServer(args []string) {
	deaf := make(chan os.Signal, 1)
	signal.Notify(deaf, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	children, err := strconv.Atoi(args[1])
	if err == nil {
		err = os.Chdir(args[0])
	}
	for range children {
		if err == nil {
			err = exec.Command("/proc/self/exe", "fake-server", args[0], "0").Start()
		}
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for range deaf { // until it is killed
	}
}

// program gives the path of this test binary under another name: a process is told by its program.
func program(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock() // a child of another test that had the file open for writing would keep it from being run
	err = os.WriteFile(path, self, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs a command until the end of the test at most. Its children may outlive it; they are killed by
// their directory.
func start(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	// The kernel tells of a new program a moment before it shows its command line.
	eventually(t, "the command line of "+path, func() bool {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		return err != nil || len(line) > 0
	})
	return cmd
}

// startServer runs a fake server with children and waits until all of them work in dir.
func startServer(t *testing.T, path, dir string, children int) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(path, "fake-server", dir, strconv.Itoa(children))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killByHand(t, dir)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, _ := bufio.NewReader(out).ReadString('\n')
	if strings.TrimSpace(line) != "ready" {
		t.Fatalf("the fake server says %q", line)
	}
	return cmd
}

// killByHand kills by other means than the code under test.
func killByHand(t *testing.T, dir string) {
	t.Helper()
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, l := range links {
		if at, _ := os.Readlink(l); at == dir {
			pid, _ := strconv.Atoi(strings.Split(l, "/")[2])
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// eventually waits for what has no event.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// soon fails the test if a channel is not closed in time.
func soon(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("never: %s", what)
	}
}
