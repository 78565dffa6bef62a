package guard

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"

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
	former := append(slices.Clone(c.former), old)
	confirmed, err := c.brief(l, former)
	if err == nil {
		l.guard, err = c.start(file)
	}
	if err != nil {
		unix.Close(ours)
		return nil, err
	}
	c.former = former
	c.use(l)
	go c.finish(l, slices.Clone(former), confirmed)
	return l, nil
}

// brief puts all that the new guard has to know into its socket, from where it takes it whatever happens to us.
// The answer comes when it has done what is asked: it takes the charge over, and kills whoever had it before. These
// are all that may still be there: one that was to end another may have died before it did.
func (c *Client) brief(l *link, former []*link) (<-chan message, error) {
	if c.charge != nil && (c.charge.LeaseID == 0 || c.charge.LeaseID != c.givenUp) {
		arm := armMessage(*c.charge)
		arm.TakeOver = true
		if _, err := c.post(l, arm); err != nil {
			return nil, err
		}
	}
	for _, f := range former {
		if f.guardIsGone() {
			continue
		}
		if _, err := c.post(l, message{Op: opSucceed, PID: f.guard.PID(), Ticks: f.guard.StartTicks()}); err != nil {
			return nil, err
		}
	}
	return c.post(l, message{Op: opReady})
}

// start starts the process of another guard as our child.
func (c *Client) start(sock *os.File) (*process.Handle, error) {
	briefing, err := pipeWith(c.briefing)
	if err != nil {
		return nil, fmt.Errorf("start another guard: %w", err)
	}
	defer briefing.Close()
	cmd := exec.Command(c.command[0])
	cmd.Args = append(append([]string{}, c.command[1:]...), strconv.Itoa(os.Getpid()))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{sock, briefing}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives us
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start another guard: %w", err)
	}
	return held(cmd, process.Open)
}

// held takes hold of a guard that was started. One that can't be held does not live on: it has the charge, and nobody would
// know of it, so at the deadline that it was started with it would stop a server that is well.
func held(cmd *exec.Cmd, open func(pid int) (*process.Handle, error)) (*process.Handle, error) {
	h, err := open(cmd.Process.Pid)
	if err != nil {
		_ = cmd.Process.Kill() // gone already is as good
	}
	go func() { _ = cmd.Wait() }() // it tells by its socket when it ends
	if err != nil {
		return nil, fmt.Errorf("start another guard: %w", err)
	}
	return h, nil
}

// finish waits until the new guard has confirmed, and takes leave of the former ones. They are killed by now, but
// for the first process of a container, which can't be killed from inside: it is told who has replaced it, for the
// case that it wakes up, and is told again with the next replacement.
func (c *Client) finish(l *link, former []*link, confirmed <-chan message) {
	err := await(context.Background(), confirmed, startTimeout)
	if err != nil {
		err = fmt.Errorf("the new guard (pid %d): %w", l.guard.PID(), err)
		c.log.Error("another guard was started and does not answer", "pid", l.guard.PID(), "error", err)
	} else {
		c.log.Info("another guard is in place", "pid", l.guard.PID())
	}
	l.err = err
	close(l.ready)
	if err == nil {
		for _, f := range former {
			c.dismiss(f, l)
		}
	}
}

// dismiss takes leave of a guard that another one has replaced.
func (c *Client) dismiss(f, by *link) {
	if f.guard != nil {
		select {
		case <-f.guard.Done():
		case <-time.After(ackTimeout):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.guardIsGone() {
		f.hangUp()
		if f.guard != nil {
			f.guard.Close()
		}
		c.former = slices.DeleteFunc(c.former, func(other *link) bool { return other == f })
		return
	}
	if f.sock < 0 || c.link != by {
		return // whoever has replaced that one is named in its time
	}
	if err := send(f.sock, message{Op: opReplaced, PID: by.guard.PID(), Ticks: by.guard.StartTicks()}); err != nil && !errors.Is(err, unix.EPIPE) {
		c.log.Warn("could not tell the former guard that it was replaced", "error", err)
	}
}

// pipeWith gives the end of a pipe from which a text can be read.
func pipeWith(text []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer w.Close()
	const room = 64 << 10 // source: pipe(7); more would wait for a reader that is not there yet
	if len(text) > room {
		r.Close()
		return nil, fmt.Errorf("a briefing of %d bytes does not fit into a pipe", len(text))
	}
	if _, err := w.Write(text); err != nil {
		r.Close()
		return nil, fmt.Errorf("write to a pipe: %w", err)
	}
	return r, nil
}

// Briefing reads what the agent that has started this guard has to say besides the charge. It is called once.
func Briefing() ([]byte, error) {
	f := os.NewFile(4, "briefing") // see Client.start
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read the briefing; this command is started by hathi, start hathi run instead: %w", err)
	}
	return text, nil
}
