package guard

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

// Copies of this test binary are the processes of a node: the guard that ships, an agent that does what the
// test is about, and a server that writes until it is killed.
func TestMain(m *testing.M) {
	if len(os.Args) < 4 || os.Args[1] != "node" {
		os.Exit(m.Run())
	}
	os.Exit(nodeProcess(os.Args[2], os.Args[3], os.Args[4:]))
}

// The kernel lists children by the thread that has started them, and a postmaster has one: a server's main goroutine stays
// on the first, on which it is only until init is over.
func init() {
	if len(os.Args) > 2 && os.Args[1] == "node" && os.Args[2] == "server" {
		runtime.LockOSThread()
	}
}

// window is how far ahead the fake agents set their deadline: killed 0.31 s before it, stopped 0.5 s before that.
const window = 3 * time.Second

// nodeProcess runs one process of the node in the directory dir.
func nodeProcess(kind, dir string, args []string) int {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	o := Options{
		Agent:   []string{"/proc/self/exe", "hathi", "node", "agent", dir},
		DataDir: filepath.Join(dir, "data"), PersonCode: 1, Clock: clock.System{}, Log: log.With("pid", os.Getpid()),
		Release: func(_ context.Context, lease int64) error { return note(dir, "released", int(lease)) },
	}
	var code int
	var err error
	switch kind {
	case "init": // the first process of a container
		if err = unix.Mount("proc", "/proc", "proc", 0, ""); err == nil {
			code, err = Supervise(context.Background(), o)
		}
	case "run":
		code, err = Supervise(context.Background(), o)
	case "guard":
		pid, _ := strconv.Atoi(args[0])
		_ = note(dir, "guards", os.Getpid())
		code, err = Adopt(context.Background(), o, pid, 3)
	case "agent":
		err = note(dir, "agents", os.Getpid())
		var c *Client
		if err == nil {
			c, err = Connect(log.With("pid", os.Getpid()), []string{"/proc/self/exe", "hathi", "node", "guard", dir}, []byte("brief"))
		}
		if err == nil {
			code = fakeAgent(dir, c)
		}
	case "server":
		err = fakeServer(dir, args)
	}
	if err != nil {
		log.Error(kind+" failed", "error", err)
		return 2
	}
	return code
}

// fakeServer works in the data directory with children, each writes when it does, and is deaf to all that can be heard.
func fakeServer(dir string, args []string) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	if err := os.Chdir(filepath.Join(dir, "data")); err != nil {
		return err
	}
	children, _ := strconv.Atoi(strings.Join(args, ""))
	if _, err := os.Stat(filepath.Join(dir, "wanders")); err == nil && children == 0 {
		if err := os.Chdir("/"); err != nil {
			return err
		}
		_ = note(dir, "wanderers", os.Getpid())
	}
	for range children {
		if err := exec.Command(os.Args[0], "node", "server", dir).Start(); err != nil {
			return err
		}
	}
	out, err := os.Create(filepath.Join(dir, fmt.Sprintf("wrote-%d", os.Getpid())))
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for ; ; time.Sleep(5 * time.Millisecond) {
		if _, err := out.WriteAt(fmt.Appendf(nil, "%020d", clock.System{}.Now()), 0); err != nil {
			return err
		}
	}
}

// lastWrite is when a process of the server last wrote: nobody who looks for the end of processes is as exact.
func (n *testNode) lastWrite() clock.Instant {
	n.t.Helper()
	files, err := filepath.Glob(filepath.Join(n.dir, "wrote-*"))
	if err != nil || len(files) == 0 {
		n.t.Fatalf("the server has never written: %v", err)
	}
	var last clock.Instant
	for _, f := range files {
		for _, at := range noted(n.dir, filepath.Base(f)) {
			last = max(last, clock.Instant(at))
		}
	}
	return last
}

// witness looks at how long this machine keeps a process waiting, until the function that it gives is called: that gives
// the longest pause.
func witness() (end func() time.Duration) {
	stop, longest := make(chan struct{}), make(chan time.Duration)
	go func() {
		var most time.Duration
		for before := time.Now(); ; {
			select {
			case <-stop:
				longest <- max(most, time.Since(before))
				return
			case <-time.After(2 * time.Millisecond):
			}
			most, before = max(most, time.Since(before)), time.Now()
		}
	}()
	return func() time.Duration { close(stop); return <-longest }
}

// oneGuard checks that one guard was started in the place of the first, and gives the last. Where a process waits for half as
// long as an agent waits for its guard, the agent may well have started more: pause is what a witness has seen.
func (n *testNode) oneGuard(pause time.Duration) int {
	n.t.Helper()
	guards := n.noted("guards")
	switch {
	case len(guards) != 1 && pause < ackTimeout/2:
		n.t.Errorf("guards: %v, want one", guards)
	case len(guards) != 1:
		n.t.Logf("guards: %v, on a machine that kept a process waiting for %s", guards, pause)
	}
	return guards[len(guards)-1]
}

// note adds a number to a file, one a line.
func note(dir, name string, n int) error {
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, n)
	return err
}

// testNode is the test's side of the node.
type testNode struct {
	t      *testing.T
	dir    string
	guard  *exec.Cmd
	server *exec.Cmd
	// program is the name of the server's program; empty is postgres.
	program string
	ended   chan struct{} // the guard has ended
}

// startNode starts a server with children and the guard, whose agents behave as told.
func startNode(t *testing.T, behaviour string, inContainer bool, prepare ...func(dir string)) *testNode {
	t.Helper()
	return startNodeOf(t, "postgres", behaviour, inContainer, prepare...)
}

// startNodeOf does it with a server of another program.
func startNodeOf(t *testing.T, program, behaviour string, inContainer bool, prepare ...func(dir string)) *testNode {
	t.Helper()
	n := &testNode{t: t, dir: t.TempDir(), program: program, ended: make(chan struct{})}
	if err := os.Mkdir(filepath.Join(n.dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	n.put("behaviour", behaviour)
	for _, p := range prepare {
		p(n.dir)
	}
	t.Cleanup(n.stop)
	kind := "run"
	attr := &syscall.SysProcAttr{}
	if inContainer {
		kind = "init"
		attr.Cloneflags = syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
		attr.Unshareflags = syscall.CLONE_NEWNS // so that /proc is mounted for it alone
		if uid := os.Getuid(); uid != 0 {       // who may not make namespaces may within one of users
			attr.Cloneflags |= syscall.CLONE_NEWUSER
			attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		}
	} else {
		n.startServer(2)
	}
	n.guard = exec.Command("/proc/self/exe", "node", kind, n.dir)
	n.guard.Stderr, n.guard.SysProcAttr = os.Stderr, attr
	if err := n.guard.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = n.guard.Wait()
		close(n.ended)
	}()
	return n
}

func (n *testNode) startServer(children int) {
	n.t.Helper()
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		n.t.Fatal(err)
	}
	postgres := filepath.Join(n.dir, n.program) // a process is told by its program
	syscall.ForkLock.RLock()                    // a child of another test that had the file open for writing would keep it from being run
	err = os.WriteFile(postgres, self, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		n.t.Fatal(err)
	}
	n.server = exec.Command(postgres, "node", "server", n.dir, strconv.Itoa(children))
	out, err := n.server.StdoutPipe()
	if err == nil {
		err = n.server.Start()
	}
	if err == nil {
		_, err = bufio.NewReader(out).ReadString('\n')
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.put("postmaster", strconv.Itoa(n.server.Process.Pid))
	go func() { _ = n.server.Wait() }()
}

// stop ends every process of the node. Guards and agents start each other, so it looks until there is none.
func (n *testNode) stop() {
	for left := 1; left > 0; {
		left = 0
		entries, err := os.ReadDir("/proc")
		if err != nil {
			n.t.Fatal(err)
		}
		for _, e := range entries {
			if pid := atoi(e.Name()); pid > 0 && n.has(pid) && alive(pid) {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := process.KillDirectory(ctx, filepath.Join(n.dir, "data"), n.program); err != nil {
		n.t.Error(err)
	}
}

// has reports whether a process is one of this node's.
func (n *testNode) has(pid int) bool {
	raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.Contains(string(raw), n.dir)
}

func (n *testNode) put(name, text string) {
	n.t.Helper()
	if err := os.WriteFile(filepath.Join(n.dir, name), []byte(text), 0o644); err != nil {
		n.t.Fatal(err)
	}
}

// noted gives the numbers of a file.
func (n *testNode) noted(name string) []int { return noted(n.dir, name) }

func noted(dir, name string) []int {
	raw, _ := os.ReadFile(filepath.Join(dir, name))
	var all []int
	for f := range strings.FieldsSeq(string(raw)) {
		if i, err := strconv.Atoi(f); err == nil {
			all = append(all, i)
		}
	}
	return all
}

// await waits until something is so, and gives when that was.
func (n *testNode) await(what string, is func() bool) time.Time {
	n.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			n.t.Fatalf("waited in vain: %s (agents %v, guards %v)", what, n.noted("agents"), n.noted("guards"))
		}
	}
	return time.Now()
}

func (n *testNode) serverProcesses() int {
	n.t.Helper()
	return len(n.serverPIDs())
}

func (n *testNode) serverPIDs() []int {
	n.t.Helper()
	pids, err := process.InDirectory(filepath.Join(n.dir, "data"), n.program)
	if err != nil {
		n.t.Fatal(err)
	}
	return pids
}

func alive(pid int) bool {
	h, err := process.Open(pid)
	if err != nil {
		return false
	}
	h.Close()
	return true
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// hasNumber reports whether a process has a number in its innermost PID namespace, which is not ours.
func hasNumber(entry string, pid int) bool {
	raw, _ := os.ReadFile("/proc/" + entry + "/status")
	for line := range strings.Lines(string(raw)) {
		if ids, ok := strings.CutPrefix(line, "NSpid:"); ok {
			f := strings.Fields(ids)
			return len(f) > 1 && atoi(f[len(f)-1]) == pid
		}
	}
	return false
}
