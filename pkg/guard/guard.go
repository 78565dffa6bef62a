package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// Options are what a guard is made of.
type Options struct {
	// Agent is the command that starts the agent: the path of the program, then its arguments, its name first.
	// The agent finds its socket as file descriptor 3.
	Agent []string
	// DataDir is PostgreSQL's data directory, by which its processes are found, and Program the name of its
	// program, if it is not postgres.
	DataDir, Program string
	// Release ends the lease, and with it the leader key. It is called only when nothing is left here that could
	// write, and may take until ctx ends.
	Release func(ctx context.Context, lease int64) error
	// PersonCode is the exit code with which the agent says that a person has to look; then it is not started
	// again. Zero means a clean end and is never started again.
	PersonCode int
	Clock      clock.Clock
	Log        *slog.Logger
}

// guard is the state of one guard. Everything in it belongs to the one goroutine of run, but for what waker
// and released offer to others.
type guard struct {
	o    Options
	sock int // our end; -1: the agent has closed its end, or there is no agent
	*waker

	agent    *process.Handle // nil: none
	agentPID int
	ours     bool // the agent is our child
	lastCode int  // the exit code that the agent has announced; -1: none
	born     clock.Instant
	deaths   int           // in a row, of agents that did not live long
	again    clock.Instant // when to start the next agent; zero: no need to

	armed     bool
	charge    charge
	server    *process.Handle // the postmaster; nil: it had ended before it could be watched
	marks     process.Marks   // of the server, and the configured name of its program
	learning  chan process.Marks
	look      *look            // for what is left of the server; nil: nobody has asked
	dog       *watchdog.Device // nil: none is open
	demand    watchdog.Demand  // of the charge
	dogFailed bool             // it could not be met
	stopping  bool
	// complaint is why nothing could be killed, as last logged.
	complaint string
	fenced    clock.Instant // when a fence was carried out for which the agent has not answered yet

	asked    bool // somebody has asked us to end, and the agent was told
	leaving  bool // no agent is started any more; ends when there is nothing left to guard
	exitCode int
	signals  chan os.Signal
	// heir is the guard that has replaced this one, which could not be killed because it is the first process
	// of a container. All that is left to it is to pass signals on and to reap, until nobody is left.
	heir      *process.Handle
	childless bool
	released  atomic.Int32 // releases under way
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
	if err := tellSystemd(); err != nil {
		o.Log.Warn("a request of systemd to end will not be heard", "error", err)
	}
	g.sock, g.agentPID, g.born = sock, agentPID, o.Clock.Now()
	// It may have died meanwhile, and its number may be somebody else's; we would have another parent then. What
	// it has sent is still there.
	if g.agent, err = process.Open(agentPID); err != nil || os.Getppid() != agentPID {
		g.messages()
		g.agentEnded(g.lastCode)
	} else {
		g.watch(g.agent)
	}
	return g.run(ctx), nil
}

func newGuard(o Options) (*guard, error) {
	w, err := newWaker()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	g := &guard{o: o, sock: -1, lastCode: -1, waker: w, signals: make(chan os.Signal, 16)}
	if o.Program != "" {
		g.marks.Programs.Add(process.Programs{filepath.Base(o.Program)})
	}
	// The runtime drops what finds no room, so each kind has its own: a request to end must not be lost behind a
	// hundred children that have ended. What is dropped within a kind says the same again.
	g.listen(syscall.SIGCHLD)
	g.listen(syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT)
	g.listen(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	return g, nil
}

// listen brings signals to the loop, which waits in poll(2).
func (g *guard) listen(sigs ...os.Signal) {
	in := make(chan os.Signal, 4)
	signal.Notify(in, sigs...)
	go func() {
		for s := range in {
			g.signals <- s
			g.woken()
		}
	}()
}

func (g *guard) close() {
	g.waker.close()
	g.closeSock()
}

// run is the loop: wait for anything, look at the clock, take in all that has come, then judge. In this order a
// guard that was frozen anywhere on the way acts on no deadline for which a later one has been sent.
func (g *guard) run(ctx context.Context) int {
	defer context.AfterFunc(ctx, g.woken)()
	for {
		now := g.o.Clock.Now()
		g.takeIn()
		if ctx.Err() != nil {
			return 1
		}
		until := g.judge(ctx, now)
		g.forsaken.Store(g.leaving)
		if g.done() {
			return g.exitCode
		}
		g.wait(until, g.sock)
	}
}

func (g *guard) done() bool {
	if g.heir != nil {
		return g.childless
	}
	return g.leaving && !g.armed && g.agent == nil && g.released.Load() == 0
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
		g.messages() // its last words
		g.agentEnded(g.lastCode)
	}
}

// signal passes a signal on to the agent. Without an agent a request to end is ours to carry out.
func (g *guard) signal(s os.Signal) {
	sig, _ := s.(syscall.Signal)
	switch {
	case sig == syscall.SIGCHLD:
		g.reap()
	case g.heir != nil && g.heir.Signal(sig) == nil:
		// It knows the agent, and has to know that somebody has asked.
	case g.agent != nil:
		g.asked = g.asked || sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT
		if err := g.agent.Signal(sig); err != nil {
			g.o.Log.Warn("could not pass a signal on to the agent", "signal", sig.String(), "error", err)
		}
	case sig == syscall.SIGTERM || sig == syscall.SIGINT || sig == syscall.SIGQUIT:
		g.leaving, g.again = true, 0
	}
}

// messages takes in what the agent has sent. The end of the socket says nothing: the kernel closes it before a
// killed agent counts as dead. Only words disarm, never silence.
func (g *guard) messages() {
	for g.sock >= 0 {
		m, ok, ended := receive(g.sock, unix.MSG_DONTWAIT)
		if ended {
			g.closeSock()
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
	case opArm:
		if m.Lease != 0 && m.Lease == g.givenUp.Load() {
			refused = leaseGivenUp
			break
		}
		refused = g.arm(m)
	case opExtend:
		g.extend(m.Deadline)
	case opDisarm:
		g.disarm()
	case opSucceed:
		g.succeed(m)
	case opReplaced:
		g.retreat(m)
	case opLeaving:
		g.lastCode = m.Code
	}
	if err := send(g.sock, message{Op: opAck, Seq: m.Seq, Refused: refused}); err != nil && !errors.Is(err, unix.EPIPE) {
		g.o.Log.Warn("could not answer the agent", "error", err)
	}
}

// succeed ends the guard in whose place this one was started. It must not wake up with an old deadline, and must
// not start a second agent.
func (g *guard) succeed(m message) {
	h, err := m.process()
	if err != nil {
		g.o.Log.Error("could not take hold of the former guard", "pid", m.PID, "error", err)
	}
	if h == nil {
		return
	}
	defer h.Close()
	if err := h.Signal(syscall.SIGKILL); err != nil {
		g.o.Log.Warn("could not kill the former guard", "pid", m.PID, "error", err)
		return
	}
	if g.armed && g.demand.Wanted() && g.dog == nil {
		select { // it held the device
		case <-h.Done():
		case <-time.After(ackTimeout):
		}
		g.dogFailed = false  // that was why
		_ = g.mind(g.demand) // logged there, and tried again with the next renewal
	}
}

// retreat makes this process the mere parent of others: another guard watches over the server now.
func (g *guard) retreat(m message) {
	h, err := m.process()
	if err != nil {
		g.o.Log.Error("could not take hold of the guard that replaces this one", "pid", m.PID, "error", err)
	}
	if h == nil {
		return // it has ended; whoever sent this sees it, too, and starts the next, which tells us
	}
	g.o.Log.Warn("this guard was frozen and has been replaced", "by", m.PID)
	g.disarm()
	if g.heir != nil {
		g.heir.Close()
	}
	g.heir, g.again = h, 0
}

// arm takes a charge over, or says why not: a lock that is not proven, or a required watchdog that does not work. A
// guard that succeeds another takes it over in any case: the server runs, and the other one may still hold the
// device.
func (g *guard) arm(m message) (refused string) {
	if !g.o.Clock.Now().Before(m.Deadline) && !m.TakeOver {
		return notProven
	}
	postmaster, err := m.process()
	if err != nil {
		// A server that is taken for dead and lives would write on after the lock was given up.
		g.o.Log.Error("could not take hold of the server", "pid", m.PID, "error", err)
		if !m.TakeOver { // else its processes are found by their directory
			return notHeld
		}
	}
	if err := g.mind(m.Watchdog); err != nil && m.Watchdog.Mode == watchdog.Required && !m.TakeOver {
		if postmaster != nil {
			postmaster.Close()
		}
		return noWatchdog
	}
	g.hold(postmaster)
	g.armed = true
	g.charge = charge{Deadline: m.Deadline, Lease: m.Lease, Window: max(0, m.Deadline.Sub(g.o.Clock.Now()))}
	return ""
}

// extend takes in another deadline. Packets come in the order in which they were sent, and the newest proof counts
// even if it is shorter: a smaller ttl moves the leader key to a lease that ends sooner.
func (g *guard) extend(deadline clock.Instant) {
	if !g.armed || g.stopping {
		return
	}
	proven := deadline > g.charge.Deadline
	g.charge.Deadline, g.charge.Window = deadline, deadline.Sub(g.o.Clock.Now())
	g.learn(0)
	if proven { // a deadline that is only taken back proves nothing
		g.feed()
	}
}

func (g *guard) disarm() {
	g.calm()
	g.letGo()
}

func (g *guard) closeSock() {
	if g.sock >= 0 {
		unix.Close(g.sock)
		g.sock = -1
	}
}

// lookAgain is how often a fence that could not be carried out is tried again: nobody tells when a process can be
// killed that could not be.
const lookAgain = 100 * time.Millisecond
