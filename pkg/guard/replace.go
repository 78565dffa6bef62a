package guard

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/process"
)

// replace puts another guard in the place of old, unless that has happened. It does not wait until the new
// one is ready. At no moment is there a primary without a guard that knows it: the charge lies in the new
// guard's socket before its process exists, and only the new guard kills the old one, after it has read it.
// So it does not matter when on the way the agent itself is killed.
func (c *Client) replace(old *link) (*link, error) {
	if old.guardIsGone() {
		<-old.ended // its last words count: it may have given up the lease
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return nil, errClosed
	case c.link != old:
		return c.link, nil
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(theirs), "guard")
	defer file.Close()
	l := newLink(ours, nil)
	confirmed, err := c.brief(l, old)
	if err != nil {
		unix.Close(ours)
		return nil, err
	}
	if l.guard, err = c.start(file); err != nil {
		unix.Close(ours)
		return nil, err
	}
	c.use(l)
	go c.finish(l, old, confirmed)
	return l, nil
}

// guardIsGone: the guard has ended for certain. A socket that can't be written to alone may also be full.
func (l *link) guardIsGone() bool { return l.guard == nil || !l.guard.Alive() }

// brief puts all that the new guard has to know into its socket, from where it takes it whatever happens to us.
// The answer comes when it has done what is asked.
func (c *Client) brief(l, old *link) (<-chan message, error) {
	if c.charge != nil && (c.charge.LeaseID == 0 || c.charge.LeaseID != c.givenUp) {
		arm := armMessage(*c.charge)
		arm.TakeOver = true
		if _, err := c.post(l, arm); err != nil {
			return nil, err
		}
	}
	succeed := message{Op: opSucceed}
	if old.guard != nil {
		succeed.PID, succeed.Ticks = old.guard.PID(), old.guard.StartTicks()
	}
	return c.post(l, succeed)
}

// start starts the process of another guard as our child.
func (c *Client) start(sock *os.File) (*process.Handle, error) {
	cmd := exec.Command(c.command[0])
	cmd.Args = append(append([]string{}, c.command[1:]...), strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{sock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives us
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start another guard: %w", err)
	}
	h, err := process.Open(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // it tells by its socket when it ends
	if err != nil {
		return nil, fmt.Errorf("start another guard: %w", err)
	}
	return h, nil
}

// finish waits until the new guard has confirmed, and takes leave of the old one. That is killed by now, but
// for the first process of a container, which can't be killed from inside: it is told that it was replaced, for
// the case that it wakes up.
func (c *Client) finish(l, old *link, confirmed <-chan message) {
	err := await(context.Background(), confirmed, startTimeout)
	if err != nil {
		err = fmt.Errorf("the new guard (pid %d): %w", l.guard.PID(), err)
		c.log.Error("another guard was started and does not answer", "pid", l.guard.PID(), "error", err)
	} else {
		c.log.Info("another guard is in place", "pid", l.guard.PID())
	}
	c.mu.Lock()
	if err == nil && old.sock >= 0 {
		if lost := send(old.sock, message{Op: opReplaced, PID: l.guard.PID(), Ticks: l.guard.StartTicks()}); lost != nil && !errors.Is(lost, unix.EPIPE) {
			c.log.Warn("could not tell the former guard that it was replaced", "error", lost)
		}
	}
	old.hangUp()
	if old.guard != nil {
		old.guard.Close()
	}
	c.mu.Unlock()
	l.err = err
	close(l.ready)
}
