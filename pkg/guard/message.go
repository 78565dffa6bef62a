package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// The agent and the guard speak over a pair of sockets of type SOCK_SEQPACKET: each message is a packet,
// and the end of the other process is the end of the stream.

// The messages of the agent. The guard answers each with an ack, in order.
const (
	opArm    = "arm"    // watch over this server until this deadline under this lease
	opExtend = "extend" // the deadline is another now
	opDisarm = "disarm" // there is nothing to watch over
	// opLeaving tells that the agent is about to end, with which exit code: a guard that is not its parent can't
	// see that.
	opLeaving = "leaving"
	// opSucceed is among the messages with which a guard is started in another one's place: that one, whose
	// process it names, has to end now.
	opSucceed = "succeed"
	// opReady ends the messages with which a guard is started: it has to answer that it is in place.
	opReady = "ready"
	// opReplaced tells a guard that it is no guard any more; the process it names is.
	opReplaced = "replaced"
)

// The messages of the guard.
const (
	opAck     = "ack"
	opGivenUp = "given up" // nothing runs here any more and the lease is being ended
	// opCharged is the first message to an agent that an armed guard starts: what it watches over.
	opCharged = "charged"
)

// message is one packet.
type message struct {
	Op       string        `json:"op"`
	Seq      uint64        `json:"seq,omitempty"`
	PID      int           `json:"pid,omitempty"`   // arm: the postmaster; succeed, replaced: a guard
	Ticks    uint64        `json:"ticks,omitempty"` // when that was started: the number alone is given out again
	Code     int           `json:"code,omitempty"`  // leaving
	Deadline clock.Instant `json:"deadline,omitempty"`
	Lease    int64         `json:"lease,omitempty"`
	Window   time.Duration `json:"window,omitempty"` // charged: by how much the deadline was ahead when it was given
	// Watchdog is for arm, too. TakeOver: the server is running and another guard has watched over it.
	Watchdog watchdog.Demand `json:"watchdog,omitzero"`
	TakeOver bool            `json:"take_over,omitempty"`
	Refused  string          `json:"refused,omitempty"` // in an ack: why it was not done
}

// Why a guard refuses to be armed.
const (
	leaseGivenUp = "the lease was given up"
	notHeld      = "the process of the server could not be taken hold of"
	notProven    = "the leader lock is not proven to be ours"
	noWatchdog   = "Configuration requires watchdog, but watchdog could not be configured."
)

func armMessage(c Charge) message {
	return message{
		Op: opArm, PID: c.PostmasterPID, Ticks: c.PostmasterTicks, Deadline: c.Deadline, Lease: c.LeaseID, Watchdog: c.Watchdog,
	}
}

// charged tells the next agent what is watched over.
func (g *guard) charged() message {
	m := armMessage(Charge{
		PostmasterPID: g.server.PID(), PostmasterTicks: g.server.StartTicks(),
		Deadline: g.charge.Deadline, LeaseID: g.charge.Lease, Watchdog: g.demand,
	})
	m.Op, m.Window = opCharged, g.charge.Window
	return m
}

// process takes hold of the process that a message names; nil if it has ended, and its number is perhaps somebody
// else's. The error says that it could not be taken hold of, and may live.
func (m message) process() (*process.Handle, error) {
	h, err := process.Open(m.PID)
	if errors.Is(err, process.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if h.StartTicks() != m.Ticks {
		h.Close()
		return nil, nil
	}
	return h, nil
}

const maxMessage = 8192 // a path may be 4096 bytes long

// socketPair makes the two ends; both are closed at exec unless they are passed on.
func socketPair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1, fmt.Errorf("make the sockets between guard and agent: %w", err)
	}
	return fds[0], fds[1], nil
}

// send never blocks: a frozen reader must not stop the writer.
func send(fd int, m message) error {
	raw, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode %s: %w", m.Op, err)
	}
	if err := unix.Sendto(fd, raw, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, nil); err != nil {
		return fmt.Errorf("send %s: %w", m.Op, err)
	}
	return nil
}

// receive takes one packet. ok is false when there is none (then ended says whether there will never be one).
func receive(fd, flags int) (m message, ok, ended bool) {
	buf := make([]byte, maxMessage)
	for {
		n, _, err := unix.Recvfrom(fd, buf, flags)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return m, false, false
		case err != nil || n == 0:
			return m, false, true
		case json.Unmarshal(buf[:n], &m) != nil:
			continue // not ours; nothing may be concluded from it
		}
		return m, true, false
	}
}
