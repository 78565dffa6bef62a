package guard

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/process"
)

// link is the agent's connection to one guard. But for the channels it is protected by Client.mu; the listener
// alone closes the socket, so nobody ever sends to a number that the kernel has given out again.
type link struct {
	sock  int // -1: the guard has ended
	guard *process.Handle
	since time.Time
	// waiting are the messages without an answer so far, by number.
	waiting map[uint64]question
	ended   chan struct{} // closed when all that the guard has said was taken in, and nothing will follow

	// ready is closed when a guard that was started in another one's place has confirmed the charge, or err
	// says why it has not.
	ready chan struct{}
	err   error
}

type question struct {
	sent   time.Time
	answer chan message // has room for the one answer
}

func newLink(sock int, h *process.Handle) *link {
	return &link{
		sock: sock, guard: h, since: time.Now(), waiting: map[uint64]question{},
		ended: make(chan struct{}), ready: make(chan struct{}),
	}
}

func (l *link) post(m message) (<-chan message, error) {
	if err := send(l.sock, m); err != nil {
		return nil, err
	}
	q := question{sent: time.Now(), answer: make(chan message, 1)}
	l.waiting[m.Seq] = q
	return q.answer, nil
}

// answered takes in an answer. The guard answers in the order it was asked, so what is older is answered, too.
func (l *link) answered(m message) {
	for seq, q := range l.waiting {
		if seq == m.Seq {
			q.answer <- m
		}
		if seq <= m.Seq {
			delete(l.waiting, seq)
		}
	}
}

// silent gives for how long the guard has left a message unanswered.
func (l *link) silent() time.Duration {
	var longest time.Duration
	for _, q := range l.waiting {
		longest = max(longest, time.Since(q.sent))
	}
	return longest
}

// patience is how long this guard may leave a message unanswered. It is asked about only with the next
// renewal, so being late by itself is no reason to give up a guard that was asked a moment ago.
func (l *link) patience() time.Duration {
	if time.Since(l.since) < startTimeout {
		return startTimeout
	}
	return ackTimeout
}

// guardIsGone: the guard has ended for certain. A socket that can't be written to alone may also be full.
func (l *link) guardIsGone() bool { return l.guard == nil || !l.guard.Alive() }

// frozen: the guard is there and does nothing.
func (l *link) frozen() bool { return l.guard != nil && l.guard.Frozen() }

// hangUp ends the connection; the listener wakes up and closes the socket. Close alone would not wake it.
func (l *link) hangUp() {
	if l.sock >= 0 {
		_ = unix.Shutdown(l.sock, unix.SHUT_RDWR) // gone already is as good
	}
}

// await waits for the answer to one message.
func await(ctx context.Context, answer <-chan message, limit time.Duration) error {
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case m := <-answer:
		if m.Refused == noWatchdog {
			return ErrWatchdog
		}
		if m.Refused != "" {
			return fmt.Errorf("%w: %s", errRefused, m.Refused)
		}
		return nil
	case <-t.C:
		return fmt.Errorf("no answer within %s", limit)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
