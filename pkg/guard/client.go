package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// Charge is what an agent asks its guard to watch over.
type Charge struct {
	// The postmaster: its process id, and its start in clock ticks since boot.
	PostmasterPID   int
	PostmasterTicks uint64
	// Deadline is the earliest moment at which the leader key may be somebody else's.
	Deadline clock.Instant
	LeaseID  int64
	Watchdog watchdog.Demand
}

var (
	// errRefused: the guard is well and says no.
	errRefused = errors.New("the guard refuses")
	// ErrWatchdog: a watchdog is required and does not work.
	ErrWatchdog = fmt.Errorf("%w: %s", errRefused, noWatchdog)
	errClosed   = errors.New("the connection to the guard was closed")
)

const (
	// ackTimeout is how long a guard may take to confirm. It does nothing but answer, so one that needs longer
	// is frozen or gone.
	ackTimeout = time.Second
	// startTimeout is the same for one that has to be started first.
	startTimeout = 5 * time.Second
)

// Client is the agent's side. It is safe for concurrent use. If the guard dies, is frozen or does not answer,
// it starts another one and hands the charge on.
type Client struct {
	log *slog.Logger
	// command starts another guard: the path of the program, then its arguments, its name first. The agent's
	// process id is added as the last. The new guard finds its socket as file descriptor 3, and the end of a pipe
	// with the briefing as 4.
	command []string
	// briefing is what the next guard is to know besides the charge.
	briefing []byte

	mu   sync.Mutex
	link *link // to the guard in use
	// former are guards that were replaced and may still be there. Each successor is told of all of them.
	former []*link
	seq    uint64
	charge *Charge // as last armed, by this agent or the one before; nil: disarmed
	// window is by how much the deadline of that before was ahead when it was given.
	window time.Duration
	// givenUp is the lease that a guard said it gives up; the answer of etcd may be on its way while the agent
	// still believes in the lease. The next guard would not know.
	givenUp   int64
	onGivenUp func(lease int64)
	closed    bool
}

// Connect takes up the socket that the guard has passed to its child, which is this process. briefing is what another
// guard that is started can read with Briefing; it has to fit into a pipe.
func Connect(log *slog.Logger, command []string, briefing []byte) (*Client, error) {
	const sock = 3
	guard, err := unix.GetsockoptUcred(sock, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return nil, errors.New("this command is started by hathi run; start that instead")
	}
	unix.CloseOnExec(sock)
	h, err := process.Open(int(guard.Pid))
	if err == nil && os.Getppid() != int(guard.Pid) {
		// It has died already, and its number is somebody else's. The end of the socket tells it, too.
		h.Close()
		h = nil
	}
	c := &Client{log: log, command: command, briefing: briefing}
	l := newLink(sock, h)
	if m, ok, _ := receive(sock, unix.MSG_DONTWAIT); ok { // it lay there before this process was started
		c.heard(l, m)
	}
	c.use(l)
	return c, nil
}

// Charged gives the deadline that the guard counts to since the agent before this one, and by how much it was ahead when
// that one gave it; zero: the guard was not armed. Call it before Arm, Extend and Disarm.
func (c *Client) Charged() (deadline clock.Instant, window time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.charge == nil {
		return 0, 0
	}
	return c.charge.Deadline, c.window
}

// use takes a guard into use; c.mu is held, or nobody knows c yet.
func (c *Client) use(l *link) {
	c.link = l
	go c.listen(l)
}

// listen takes in what one guard says until it ends, and then sees to another one.
func (c *Client) listen(l *link) {
	defer close(l.ended)
	for {
		m, ok, ended := receive(l.sock, 0)
		if ended {
			break
		}
		if ok {
			c.heard(l, m)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	unix.Close(l.sock)
	l.sock = -1
	c.former = slices.DeleteFunc(c.former, func(f *link) bool { return f == l && f.guardIsGone() })
	if c.closed || c.link != l {
		return // it was replaced
	}
	go c.lost(l)
}

func (c *Client) heard(l *link, m message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m.Op {
	case opAck:
		l.answered(m)
	case opCharged:
		c.charge = &Charge{PostmasterPID: m.PID, PostmasterTicks: m.Ticks, Deadline: m.Deadline, LeaseID: m.Lease, Watchdog: m.Watchdog}
		c.window = m.Window
	case opGivenUp:
		c.givenUp = m.Lease
		if c.onGivenUp != nil {
			go c.onGivenUp(m.Lease) // it may ask us something
		}
	}
}

// OnGivenUp sets what is called when a guard has said that it gives a lease up, or calls it if one has.
func (c *Client) OnGivenUp(f func(lease int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onGivenUp = f
	if c.givenUp != 0 {
		go f(c.givenUp)
	}
}

// lost replaces a guard that has ended.
func (c *Client) lost(l *link) {
	if age := time.Since(l.since); age < time.Second {
		// One that dies at its start would be followed by the next without end.
		time.Sleep(time.Second) // nothing tells when the next would live
	}
	c.log.Error("the guard has died, starting another one")
	if next, err := c.replace(l); err != nil {
		c.log.Error("could not start another guard", "error", err)
	} else {
		<-next.ready
	}
}

// Arm tells the guard that the server may be a primary from now on. It returns when the guard has confirmed
// it; with an error the server must not be promoted. charge is asked for at the moment of sending, and must not
// call the client: so a deadline can't arrive after a shorter one that was found later.
func (c *Client) Arm(ctx context.Context, charge func() Charge) error {
	c.mu.Lock()
	former, next := c.charge, charge()
	if next.LeaseID != 0 && next.LeaseID == c.givenUp {
		c.mu.Unlock()
		return fmt.Errorf("%w to arm: %s", errRefused, leaseGivenUp)
	}
	c.charge = &next
	l := c.link
	answer, err := c.post(l, armMessage(next))
	c.mu.Unlock()
	err = c.confirmed(ctx, opArm, l, answer, err)
	if errors.Is(err, errRefused) {
		c.mu.Lock()
		if c.charge == &next { // the guard watches over what it did before
			c.charge = former
		}
		c.mu.Unlock()
	}
	return err
}

// Disarm tells the guard that the server needs no fence. It returns when the guard has confirmed it.
func (c *Client) Disarm(ctx context.Context) error {
	c.mu.Lock()
	c.charge = nil
	l := c.link
	answer, err := c.post(l, message{Op: opDisarm})
	c.mu.Unlock()
	return c.confirmed(ctx, opDisarm, l, answer, err)
}

// confirmed returns when a guard has confirmed what was sent to l: that one, or the next, which is told the charge
// at its start.
func (c *Client) confirmed(ctx context.Context, op string, l *link, answer <-chan message, err error) error {
	if err == nil {
		err = await(ctx, answer, ackTimeout)
	}
	if err == nil || errors.Is(err, errRefused) || ctx.Err() != nil {
		return err
	}
	c.log.Warn("the guard does not answer, starting another one", "to", op, "error", err)
	next, err := c.replace(l)
	if err != nil {
		return fmt.Errorf("%s the guard: %w", op, err)
	}
	select {
	case <-next.ready:
		return next.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Extend gives another deadline to an armed guard; zero is none. It does not wait for anything. deadline is asked
// for as the charge of Arm is.
func (c *Client) Extend(deadline func() clock.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := deadline()
	if c.charge == nil || c.closed || at == 0 {
		return
	}
	c.charge.Deadline = at
	l := c.link
	silent := l.silent() > l.patience()
	_, err := c.post(l, message{Op: opExtend, Deadline: at})
	if err == nil && !silent && !l.frozen() {
		return
	}
	c.log.Error("the guard is frozen or gone, starting another one", "error", err)
	go func() {
		if _, err := c.replace(l); err != nil {
			c.log.Error("could not start another guard", "error", err)
		}
	}()
}

// Leave tells the guard that the agent is about to end with that exit code, which a guard that is not its parent
// would not learn.
func (c *Client) Leave(code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, err := c.post(c.link, message{Op: opLeaving, Code: code}); err != nil {
		c.log.Warn("could not tell the guard that the agent ends", "error", err)
	}
}

// post sends a message; the channel gets the answer. c.mu is held.
func (c *Client) post(l *link, m message) (<-chan message, error) {
	c.seq++
	m.Seq = c.seq
	return l.post(m)
}

// Close ends the connection. The guard keeps what it was told last.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.link.hangUp() // ends the listener, too
}
