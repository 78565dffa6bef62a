package guard

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

// Options are what a guard is made of.
type Options struct {
	// Agent is the command that starts the agent: the path of the program, then its arguments, its name first.
	// The agent finds its socket as file descriptor 3.
	Agent []string
	// DataDir is PostgreSQL's data directory, by which its processes are found.
	DataDir string
	// Release ends the lease, and with it the leader key. It is called only when nothing is left here that could
	// write, and may take until ctx ends.
	Release func(ctx context.Context, lease int64) error
	// PersonCode is the exit code with which the agent says that a person has to look; then it is not started
	// again. Zero means a clean end and is never started again.
	PersonCode int
	Clock      clock.Clock
	Log        *slog.Logger
}

// guard is the state of one guard. Everything in it belongs to the one goroutine of run, but for woken.
type guard struct {
	o    Options
	sock int // our end; -1: the agent has closed its end, or there is no agent
	wake int // an eventfd that everybody may add to
	time int // a timerfd

	agent    *process.Handle // nil: none
	agentPID int
	ours     bool // the agent is our child
	born     clock.Instant
	deaths   int           // in a row, of agents that did not live long
	again    clock.Instant // when to start the next agent; zero: no need to

	armed    bool
	charge   charge
	server   *process.Handle // the postmaster, if it is known
	stopping bool
	fenced   clock.Instant // when a fence was carried out for which the agent has not answered yet

	asked    bool // somebody has asked us to end, and the agent was told
	leaving  bool // no agent is started any more; ends when there is nothing left to guard
	exitCode int
	signals  chan os.Signal
	released atomic.Int32 // releases under way
	// givenUp is the newest lease that was given up, or is being; zero if none was. No server may ever be armed
	// under it again: the answer to our request may be on its way while the agent still believes in the lease.
	givenUp atomic.Int64
	// forsaken: the guard is ending, and a release that etcd does not answer is left to the lease's own end.
	forsaken atomic.Bool
}

// Supervise runs as the parent of the agent until the agent has ended for good, and gives the exit code for
// the process. It takes over the process's signals and all its children.
func Supervise(ctx context.Context, o Options) (int, error) {
	g, err := newGuard(o)
	if err != nil {
		return 1, err
	}
	defer g.close()
	if err := process.SetSubreaper(); err != nil {
		o.Log.Warn("orphans of the agent will not be reaped here", "error", err)
	}
	g.startAgent()
	return g.run(ctx), nil
}

// Adopt runs as the guard of an agent that is already there and is our parent: its former guard was lost. If
// that agent dies, Adopt starts the next one as its own child. sock is the guard's end of the sockets.
func Adopt(ctx context.Context, o Options, agentPID, sock int) (int, error) {
	g, err := newGuard(o)
	if err != nil {
		return 1, err
	}
	defer g.close()
	if err := process.SetSubreaper(); err != nil {
		o.Log.Warn("orphans of the agent will not be reaped here", "error", err)
	}
	g.sock, g.agentPID, g.born = sock, agentPID, o.Clock.Now()
	if g.agent, err = process.Open(agentPID); err != nil {
		g.agentEnded(-1) // it has died meanwhile; what it has sent is still there
	} else {
		g.watchProcess(g.agent)
	}
	return g.run(ctx), nil
}

func newGuard(o Options) (*guard, error) {
	g := &guard{o: o, sock: -1, signals: make(chan os.Signal, 16)}
	var err error
	if g.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("start the guard: eventfd: %w", err)
	}
	// Boot time goes on while the machine is suspended, as the lease does; timers of package time do not.
	if g.time, err = unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("start the guard: timerfd: %w", err)
	}
	signal.Notify(g.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCHLD)
	passed := make(chan os.Signal, 16)
	in := g.signals
	g.signals = passed
	go func() { // signals arrive on a channel; the loop waits in poll(2)
		for s := range in {
			passed <- s
			g.woken()
		}
	}()
	return g, nil
}

func (g *guard) close() {
	unix.Close(g.wake)
	unix.Close(g.time)
	g.closeSock()
}

// woken makes the loop look again. It may be called from any goroutine.
func (g *guard) woken() {
	_, _ = unix.Write(g.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full is as good: it is readable
}

func (g *guard) watchProcess(h *process.Handle) {
	go func() {
		<-h.Done()
		g.woken()
	}()
}

// run is the loop: wait for anything, take in all of it, then judge by the time of now. Whoever was frozen
// in between finds all messages that were sent meanwhile before it looks at its deadline.
func (g *guard) run(ctx context.Context) int {
	defer context.AfterFunc(ctx, g.woken)()
	for {
		g.takeIn()
		if ctx.Err() != nil {
			return 1
		}
		until := g.judge(ctx)
		g.forsaken.Store(g.leaving)
		if g.leaving && !g.armed && g.agent == nil && g.released.Load() == 0 {
			return g.exitCode
		}
		g.wait(until)
	}
}

// takeIn empties everything that can have news.
func (g *guard) takeIn() {
	for {
		select {
		case s := <-g.signals:
			g.signal(s)
			continue
		default:
		}
		break
	}
	g.messages()
	if g.agent != nil && !g.agent.Alive() && !g.ours {
		g.agentEnded(-1)
	}
}

// wait rests until something happens, at most until an instant; zero is for ever.
func (g *guard) wait(until clock.Instant) {
	spec := unix.ItimerSpec{}
	if until != 0 {
		spec.Value = unix.NsecToTimespec(max(1, int64(until)))
	}
	_ = unix.TimerfdSettime(g.time, unix.TFD_TIMER_ABSTIME, &spec, nil) // can't fail for a timer of ours
	fds := []unix.PollFd{{Fd: int32(g.wake), Events: unix.POLLIN}, {Fd: int32(g.time), Events: unix.POLLIN}}
	if g.sock >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(g.sock), Events: unix.POLLIN})
	}
	_, _ = unix.Poll(fds, -1) // interrupted is as good: we look again
	var buf [8]byte
	_, _ = unix.Read(g.wake, buf[:])
	_, _ = unix.Read(g.time, buf[:])
}

// signal passes a signal on to the agent. Without an agent a request to end is ours to carry out.
func (g *guard) signal(s os.Signal) {
	sig, _ := s.(syscall.Signal)
	switch {
	case sig == syscall.SIGCHLD:
		g.reap()
	case g.agent != nil:
		g.asked = g.asked || sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT
		if err := g.agent.Signal(sig); err != nil {
			g.o.Log.Warn("could not pass a signal on to the agent", "signal", sig.String(), "error", err)
		}
	case sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT:
		g.leaving, g.again = true, 0
	}
}

// messages takes in what the agent has sent.
func (g *guard) messages() {
	for g.sock >= 0 {
		m, ok, ended := receive(g.sock, unix.MSG_DONTWAIT)
		if ended {
			// The agent has died, which its process tells; or it has found us frozen and has another guard now.
			g.closeSock()
			if g.agent != nil && g.agent.Alive() {
				g.disarm()
			}
			return
		}
		if !ok {
			return
		}
		g.message(m)
	}
}

func (g *guard) message(m message) {
	g.fenced = 0
	refused := ""
	switch m.Op {
	case "arm":
		if m.Lease != 0 && m.Lease == g.givenUp.Load() {
			refused = "the lease was given up"
			break
		}
		g.arm(m)
	case "extend":
		// Packets come in the order in which they were sent, and the newest proof counts even if it is shorter:
		// a smaller ttl moves the leader key to a lease that ends sooner.
		if g.armed && !g.stopping {
			g.charge.Deadline, g.charge.Window = m.Deadline, m.Deadline.Sub(g.o.Clock.Now())
		}
	case "disarm":
		g.disarm()
	}
	if m.Seq != 0 {
		if err := send(g.sock, message{Op: "ack", Seq: m.Seq, Refused: refused}); err != nil {
			g.o.Log.Warn("could not answer the agent", "error", err)
		}
	}
}

func (g *guard) arm(m message) {
	g.disarm()
	g.armed = true
	g.charge = charge{
		Postmaster: m.Postmaster, Deadline: m.Deadline, Lease: m.Lease,
		Window: max(0, m.Deadline.Sub(g.o.Clock.Now())),
	}
	g.findServer()
}

func (g *guard) disarm() {
	g.armed, g.stopping = false, false
	if g.server != nil {
		g.server.Close()
		g.server = nil
	}
}

// findServer takes hold of the postmaster if there is one.
func (g *guard) findServer() {
	if g.server != nil {
		return
	}
	if g.charge.Postmaster != 0 {
		if h, err := process.Open(g.charge.Postmaster); err == nil {
			g.server = h
		}
	} else {
		g.server = findPostmaster(g.o.DataDir)
	}
	if g.server != nil {
		g.watchProcess(g.server)
	}
}

// serverDead reports whether the postmaster is gone. One that was armed before it was started is looked for.
func (g *guard) serverDead() bool {
	g.findServer()
	if g.server != nil {
		return !g.server.Alive()
	}
	return g.charge.Postmaster != 0 || !anybodyIn(g.o.DataDir)
}

func (g *guard) closeSock() {
	if g.sock >= 0 {
		unix.Close(g.sock)
		g.sock = -1
	}
}

// lookAgain is how often an armed guard without an agent looks for a postmaster whose id it was never told:
// nobody tells when a process ends that one does not know.
const lookAgain = 100 * time.Millisecond
