package guard

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// fakeAgent does what the file behaviour says, the first time it is started; later ones only live. It gives the
// exit code.
func fakeAgent(dir string, c *Client) int {
	raw, _ := os.ReadFile(filepath.Join(dir, "behaviour"))
	rest := make(chan os.Signal, 1)
	if len(noted(dir, "agents")) > 1 {
		if string(raw) == "can't start again" {
			return 1 // the code that says that a person has to look
		}
		deadline, window := c.Charged()
		_ = note(dir, "charged", int(deadline))
		_ = note(dir, "window", int(window))
		<-rest
	}
	var dog watchdog.Demand
	arm := func() {
		charge := Charge{Deadline: clock.System{}.Now().Add(window), LeaseID: 7, Watchdog: dog}
		if pids := noted(dir, "postmaster"); len(pids) > 0 {
			charge.PostmasterPID = pids[0]
			charge.PostmasterTicks, _ = process.StartTicks(pids[0])
		}
		if err := c.Arm(context.Background(), func() Charge { return charge }); err != nil {
			panic(err)
		}
		_ = note(dir, "deadline", int(charge.Deadline))
	}
	renew := func() { c.Extend(func() clock.Instant { return clock.System{}.Now().Add(window) }) }
	switch string(raw) {
	case "arm", "can't start again":
		arm()
	case "dies while it replaces a frozen guard":
		arm()
		_ = syscall.Kill(os.Getppid(), syscall.SIGSTOP)
		if _, err := c.replace(c.link); err != nil {
			panic(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "renews", "feeds":
		if string(raw) == "feeds" {
			dog = watchdogAt(filepath.Join(dir, "watchdog"))
		}
		arm()
		for range time.Tick(window / 6) {
			renew()
		}
	case "ends":
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		arm()
		for tick := time.Tick(window / 6); ; {
			select {
			case <-tick:
				renew()
				continue
			case <-end:
			}
			if err := c.Disarm(context.Background()); err != nil {
				panic(err)
			}
			c.Leave(0)
			return 0
		}
	}
	<-rest
	return 0
}

// starved is a pause of a process on this machine from which on the fence can't be judged: it takes several turns of the
// guard and of the kernel within the margin. A lease is ten times as long in use, and the margin three times; for a machine
// that does not run the guard at all there is the watchdog.
const starved = 40 * time.Millisecond

// fenced checks that nobody of the server wrote after the deadline, and that the lock was given up when nothing was left.
func (n *testNode) fenced() {
	n.t.Helper()
	longest := witness()
	deadline := clock.Instant(n.noted("deadline")[0])
	n.await("nothing is left of the server", func() bool { return n.serverProcesses() == 0 })
	pause, late := longest(), n.lastWrite().Sub(deadline)
	switch {
	case late > 0 && pause < starved:
		n.t.Errorf("the server wrote %s after the deadline", late)
	case late > 0:
		n.t.Logf("the server wrote %s after the deadline, on a machine that kept a process waiting for %s", late, pause)
	}
	n.await("the lock is given up", func() bool { return len(n.noted("released")) > 0 })
	if got := n.noted("released")[0]; got != 7 {
		n.t.Errorf("lease %d was released, want 7", got)
	}
}

// endsInTime freezes an agent that renews, after some more renewals, and checks that no process of the server is left
// when the last of them is over.
func (n *testNode) endsInTime(server []int) {
	n.t.Helper()
	renewed := time.Now()
	n.await("further renewals", func() bool { return time.Since(renewed) > window/2 })
	longest, frozen := witness(), clock.System{}.Now()
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGSTOP); err != nil {
		n.t.Fatal(err)
	}
	n.await("nothing is left of the server", func() bool { return !slices.ContainsFunc(server, alive) })
	late := (clock.System{}).Now().Sub(frozen) - window
	switch pause := longest(); {
	case late > 0 && pause < starved:
		n.t.Errorf("the last process of the server ended %s after the deadline", late)
	case late > 0:
		n.t.Logf("the last process of the server ended %s after the deadline, on a machine that kept a process waiting for %s", late, pause)
	}
}

func TestAgentKilled(t *testing.T) {
	t.Parallel()
	n := startNode(t, "arm", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.await("another agent", func() bool { return len(n.noted("window")) == 1 })
	if charged, ahead := n.noted("charged")[0], time.Duration(n.noted("window")[0]); charged != n.noted("deadline")[0] || ahead > window || ahead < window/2 {
		t.Errorf("the next agent was told of %d, given %s before, want %d", charged, ahead, n.noted("deadline")[0])
	}
	n.fenced() // the second one does not prove the lock
}

// TestAgentThenGuardKilled: an agent that has just begun, and has told its guard nothing, loses it. The next guard counts to
// what the agent before had proven.
func TestAgentThenGuardKilled(t *testing.T) {
	t.Parallel()
	n := startNode(t, "arm", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.await("another agent", func() bool { return len(n.noted("window")) == 1 })
	if err := n.guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.fenced()
}

func TestAgentFrozen(t *testing.T) {
	t.Parallel()
	n := startNode(t, "arm", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.fenced()
	n.await("another agent", func() bool { return len(n.noted("agents")) >= 2 })
}

// TestAgentThatCanNotStartAgain: the configuration of a primary has a mistake by now, and its agent is killed. The node
// ends; the primary is stopped before the lease ends, and the lock is given up.
func TestAgentThatCanNotStartAgain(t *testing.T) {
	t.Parallel()
	n := startNode(t, "can't start again", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	n.fenced()
	select {
	case <-n.ended:
	case <-time.After(20 * time.Second):
		t.Fatal("the guard has not ended")
	}
	if code, agents := n.guard.ProcessState.ExitCode(), n.noted("agents"); code != 1 || len(agents) != 2 {
		t.Errorf("exit code %d, agents %v; want 1, and two", code, agents)
	}
}

// TestChildrenWithoutPostmaster: they may write as long as they live, also while the agent lives.
func TestChildrenWithoutPostmaster(t *testing.T) {
	t.Parallel()
	n := startNode(t, "arm", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := n.server.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.await("only children are left", func() bool { return n.serverProcesses() == 2 })
	n.fenced()
}

// TestChildElsewhere: a child that has left the data directory ends with the others.
func TestChildElsewhere(t *testing.T) {
	t.Parallel()
	n := startNode(t, "arm", false, func(dir string) { _ = note(dir, "wanders", 1) })
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	n.await("two children are somewhere else", func() bool { return len(n.noted("wanderers")) == 2 })
	if err := syscall.Kill(n.noted("agents")[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.fenced()
	for _, pid := range n.noted("wanderers") {
		if alive(pid) {
			t.Errorf("process %d of the server is alive after the lock was given up", pid)
		}
	}
}

// TestServerOfAnotherName: what is configured as the server's program may be a script that runs another. The
// guard knows the process that it was told, and its children by what that one runs.
func TestServerOfAnotherName(t *testing.T) {
	for name, lose := range map[string]func(*testNode) int{
		"agent killed":      func(n *testNode) int { return n.noted("agents")[0] },
		"postmaster killed": func(n *testNode) int { return n.server.Process.Pid },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNodeOf(t, "a-postgres-of-another-name", "arm", false)
			n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
			if err := syscall.Kill(lose(n), syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			n.await("it is dead", func() bool { return !alive(lose(n)) })
			if left := n.serverProcesses(); left < 2 || len(n.noted("released")) > 0 {
				t.Errorf("%d processes are left, released: %v", left, n.noted("released"))
			}
			n.fenced()
		})
	}
}

// TestEndAfterReplacement: an agent whose guard was replaced ends as others do: nothing is started again, and no
// process is left.
func TestEndAfterReplacement(t *testing.T) {
	t.Parallel()
	n := startNode(t, "ends", false)
	n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
	if err := n.guard.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n.await("another guard", func() bool { return len(n.noted("guards")) >= 1 })
	last := func() int {
		guards := n.noted("guards") // read once: another may be noted meanwhile
		return guards[len(guards)-1]
	}
	n.await("the agent has ended", func() bool {
		_ = syscall.Kill(last(), syscall.SIGTERM) // one that has just begun dies of it, and is replaced
		return !alive(n.noted("agents")[0])
	})
	n.await("the guard has ended", func() bool { return !alive(last()) })
	if agents, left := n.noted("agents"), n.serverProcesses(); len(agents) != 1 || left != 3 {
		t.Errorf("agents %v, want one; %d processes of the server, want 3: it was disarmed", agents, left)
	}
}

// TestKilledWhileReplacing: the agent finds its guard frozen, starts another one and is killed at once.
func TestKilledWhileReplacing(t *testing.T) {
	t.Parallel()
	longest := witness()
	n := startNode(t, "dies while it replaces a frozen guard", false)
	n.await("another agent", func() bool { return len(n.noted("agents")) >= 2 })
	n.await("the frozen guard is killed", func() bool { return !alive(n.guard.Process.Pid) })
	if guard := n.oneGuard(longest()); !alive(guard) {
		t.Errorf("guard %d is dead", guard)
	}
	n.fenced()
}

// TestGuardLost: a guard that was killed or frozen is replaced by one that keeps the server, and only by one.
func TestGuardLost(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "frozen": syscall.SIGSTOP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			longest := witness()
			n := startNode(t, "renews", false)
			n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
			if err := n.guard.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			n.await("another guard", func() bool { return len(n.noted("guards")) >= 1 })
			n.await("the former guard is gone", func() bool { return !alive(n.guard.Process.Pid) })
			armed := time.Now()
			n.await("two windows pass", func() bool { return time.Since(armed) > 2*window })
			if left := n.serverProcesses(); left != 3 {
				t.Errorf("%d processes of the server are left, want 3", left)
			}
			// The new guard does what the first would have done.
			if err := syscall.Kill(n.noted("agents")[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			n.await("another agent", func() bool { return len(n.noted("agents")) >= 2 })
			n.await("the fence", func() bool { return n.serverProcesses() == 0 })
			n.oneGuard(longest())
		})
	}
}

// TestFirstProcessFrozen: the first process of a container can't be killed from inside. When it wakes up it
// fences nothing, starts nothing, passes signals on, and ends with the last of the others.
func TestFirstProcessFrozen(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour string
		kill      bool // the agent, before the end
		agents    int  // that are started altogether
	}{"the agent dies": {"renews", true, 2}, "a clean end": {"ends", false, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := startNode(t, c.behaviour, true)
			n.await("the guard is armed", func() bool { return len(n.noted("deadline")) == 1 })
			n.freezeFirst()
			if c.kill {
				if err := syscall.Kill(n.inside(n.noted("agents")[0]), syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				n.await("another agent", func() bool { return len(n.noted("agents")) >= 2 })
			}
			if err := n.guard.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case <-n.ended:
			case <-time.After(20 * time.Second):
				t.Fatal("the first process has not ended")
			}
			if got := len(n.noted("agents")); got != c.agents {
				t.Errorf("%d agents were started, want %d", got, c.agents)
			}
		})
	}
}

// freezeFirst freezes the first process until its deadline is over and it was replaced.
func (n *testNode) freezeFirst() {
	n.t.Helper()
	if err := n.guard.Process.Signal(syscall.SIGSTOP); err != nil {
		n.t.Fatal(err)
	}
	n.await("another guard", func() bool { return len(n.noted("guards")) >= 1 })
	first, err := process.Open(n.guard.Process.Pid)
	if err != nil {
		n.t.Fatal(err)
	}
	defer first.Close()
	n.await("its deadline is over", func() bool {
		return (clock.System{}).Now().After(clock.Instant(n.noted("deadline")[0]).Add(window))
	})
	if err := n.guard.Process.Signal(syscall.SIGCONT); err != nil {
		n.t.Fatal(err)
	}
	n.await("it runs again", func() bool { return !first.Frozen() })
}

// inside finds a process by its number in the container.
func (n *testNode) inside(pid int) int {
	n.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		n.t.Fatal(err)
	}
	for _, e := range entries {
		if hasNumber(e.Name(), pid) && n.has(atoi(e.Name())) {
			return atoi(e.Name())
		}
	}
	n.t.Fatalf("no process is %d in the container", pid)
	return 0
}

// TestSilenceDoesNotDisarm: the kernel closes the socket of a killed agent before its process counts as dead.
func TestSilenceDoesNotDisarm(t *testing.T) {
	ours, theirs, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	h, err := process.Open(os.Getpid()) // an agent that is alive
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	g := &guard{sock: theirs, agent: h, armed: true}
	unix.Close(ours)
	g.messages()
	if g.sock != -1 || !g.armed {
		t.Errorf("after the end of the socket: socket %d, armed %t", g.sock, g.armed)
	}
}
