package guard

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

// Charge is what an agent asks its guard to watch over.
type Charge struct {
	PostmasterPID int // zero: not started yet; the guard finds it by the data directory
	// Deadline is the earliest moment at which the leader key may be somebody else's.
	Deadline clock.Instant
	LeaseID  int64
}

// errRefused: the guard is well and says no.
var errRefused = errors.New("the guard refuses")

// ackTimeout is how long a guard may take to confirm. It does nothing but answer, so one that needs longer is
// frozen or gone.
const ackTimeout = time.Second

// Client is the agent's side. It is safe for concurrent use. If the guard dies or is frozen, it starts
// another one and hands the charge on.
type Client struct {
	log *slog.Logger
	// command starts a replacement: the path of the program, then its arguments, its name first. The agent's
	// process id is added as the last. The new guard finds its socket as file descriptor 3.
	command []string

	mu   sync.Mutex
	sock int
	// turn counts the guards that were in use. A listener knows by it that its guard was replaced; the number of
	// its socket would not do, because the kernel gives it out again.
	turn   int
	since  time.Time // when the present guard came into use
	guard  *process.Handle
	seq    uint64
	acks   chan message
	charge *Charge // as last armed; nil: disarmed
	closed bool
}

// Connect takes up the socket that the guard has passed to its child, which is this process.
func Connect(log *slog.Logger, command []string) (*Client, error) {
	const sock = 3
	if _, err := unix.GetsockoptInt(sock, unix.SOL_SOCKET, unix.SO_TYPE); err != nil {
		return nil, errors.New("this command is started by hathi run; start that instead")
	}
	unix.CloseOnExec(sock)
	h, err := process.Open(os.Getppid())
	if err != nil {
		return nil, fmt.Errorf("look at the guard: %w", err)
	}
	c := &Client{log: log, command: command}
	c.use(sock, h)
	return c, nil
}

// use takes another guard into use; c.mu is held, or nobody knows c yet.
func (c *Client) use(sock int, h *process.Handle) {
	c.sock, c.guard, c.acks, c.since = sock, h, make(chan message, 16), time.Now()
	c.turn++
	go c.listen(sock, c.turn, c.acks)
}

// listen takes in the answers of one guard until it ends, and then sees to another one.
func (c *Client) listen(sock, turn int, acks chan<- message) {
	for {
		m, ok, ended := receive(sock, 0)
		if ended {
			break
		}
		if ok && m.Op == "ack" {
			select {
			case acks <- m:
			default: // nobody waits for it any more
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn == turn && time.Since(c.since) < time.Second {
		// One that dies at its start would be followed by the next without end.
		c.mu.Unlock()
		time.Sleep(time.Second) // nothing tells when the next would live
		c.mu.Lock()
	}
	if c.closed || c.turn != turn {
		return // it was replaced
	}
	c.log.Error("the guard has died, starting another one")
	if err := c.replace(); err != nil {
		c.log.Error("could not start another guard", "error", err)
	}
}

// Arm tells the guard that the server may be a primary from now on. It returns when the guard has confirmed
// it; with an error the server must not be promoted.
func (c *Client) Arm(ctx context.Context, charge Charge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.charge = &charge
	err := c.confirmed(ctx, armMessage(charge))
	if err == nil || errors.Is(err, errRefused) {
		return err
	}
	c.log.Warn("the guard does not answer, starting another one", "error", err)
	if err := c.replace(); err != nil { // which arms it
		return fmt.Errorf("arm the guard: %w", err)
	}
	return nil
}

func armMessage(c Charge) message {
	return message{Op: "arm", Postmaster: c.PostmasterPID, Deadline: c.Deadline, Lease: c.LeaseID}
}

// Extend gives a later deadline to an armed guard. It does not wait for the guard.
func (c *Client) Extend(deadline clock.Instant) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.charge == nil {
		return
	}
	c.charge.Deadline = deadline
	err := send(c.sock, message{Op: "extend", Deadline: deadline})
	if err == nil && !c.guard.Frozen() {
		return
	}
	c.log.Error("the guard is frozen or gone, starting another one", "error", err)
	if err := c.replace(); err != nil {
		c.log.Error("could not start another guard", "error", err)
	}
}

// Disarm tells the guard that the server needs no fence. It returns when the guard has confirmed it.
func (c *Client) Disarm(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.charge = nil
	err := c.confirmed(ctx, message{Op: "disarm"})
	if err == nil {
		return nil
	}
	c.log.Warn("the guard does not answer, starting another one", "error", err)
	if err := c.replace(); err != nil {
		return fmt.Errorf("disarm the guard: %w", err)
	}
	return nil
}

// confirmed sends a message and waits for its ack; c.mu is held.
func (c *Client) confirmed(ctx context.Context, m message) error {
	c.seq++
	m.Seq = c.seq
	if err := send(c.sock, m); err != nil {
		return err
	}
	t := time.NewTimer(ackTimeout)
	defer t.Stop()
	for {
		select {
		case ack := <-c.acks:
			switch {
			case ack.Seq != m.Seq: // of an earlier message that was given up
			case ack.Refused != "":
				return fmt.Errorf("%w to %s: %s", errRefused, m.Op, ack.Refused)
			default:
				return nil
			}
		case <-t.C:
			return fmt.Errorf("no answer to %s within %s", m.Op, ackTimeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// replace starts another guard as our child and hands the charge on; c.mu is held. A frozen guard is killed:
// it must not wake up with an old deadline. The first process of a container can't be killed from inside;
// when it wakes it finds its socket closed while we live, and disarms itself.
func (c *Client) replace() error {
	if c.guard != nil {
		_ = c.guard.Signal(syscall.SIGKILL) // gone already is as good
		c.guard.Close()
		c.guard = nil
	}
	_ = unix.Shutdown(c.sock, unix.SHUT_RDWR) // wakes our listener; close alone would not
	unix.Close(c.sock)
	c.sock = -1
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(theirs), "guard")
	defer file.Close()
	cmd := exec.Command(c.command[0])
	cmd.Args = append(append([]string{}, c.command[1:]...), strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives us
	if err := cmd.Start(); err != nil {
		unix.Close(ours)
		return fmt.Errorf("start another guard: %w", err)
	}
	go func() { _ = cmd.Wait() }() // it tells by its socket when it ends
	h, err := process.Open(cmd.Process.Pid)
	if err != nil {
		unix.Close(ours)
		return fmt.Errorf("start another guard: %w", err)
	}
	c.use(ours, h)
	hello := message{Op: "ping"}
	if c.charge != nil {
		hello = armMessage(*c.charge)
	}
	// A program that has to be loaded first takes longer than one that runs.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		if err = c.confirmed(ctx, hello); err == nil || errors.Is(err, errRefused) || ctx.Err() != nil {
			return err
		}
	}
}

// Close ends the connection; the guard takes it for our end.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	_ = unix.Shutdown(c.sock, unix.SHUT_RDWR) // ends the listener, too
}
