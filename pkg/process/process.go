// Package process watches, signals and kills processes that are not our children. A process is held by a
// pidfd, so that a process id that the kernel has given to somebody else is never taken for the old one.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Handle is one process. Its methods are safe for concurrent use.
type Handle struct {
	pid   int
	ticks uint64
	fd    int
	done  chan struct{}

	mu     sync.Mutex
	closed bool
	wake   [2]int // closing the write end ends the watcher
}

// ErrGone: there is no such process.
var ErrGone = errors.New("no such process")

// Open takes hold of a running process. It fails with ErrGone if there is none, or only a zombie.
func Open(pid int) (*Handle, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			return nil, fmt.Errorf("open process %d: %w", pid, ErrGone)
		}
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	// Read after the pidfd is held: if the process lives now, both are about the same one.
	st, err := readStat(pid)
	if err != nil || st.state == 'Z' || st.state == 'X' {
		unix.Close(fd)
		return nil, fmt.Errorf("open process %d: %w", pid, ErrGone)
	}
	h := &Handle{pid: pid, ticks: st.ticks, fd: fd, done: make(chan struct{})}
	if err := unix.Pipe2(h.wake[:], unix.O_CLOEXEC); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	go h.watch()
	return h, nil
}

// watch waits in poll(2) until the process has ended or the handle is closed. The kernel makes a pidfd
// readable at the end of the process; the runtime's own poller does not take pidfds.
func (h *Handle) watch() {
	fds := []unix.PollFd{{Fd: int32(h.fd), Events: unix.POLLIN}, {Fd: int32(h.wake[0]), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		break
	}
	if fds[0].Revents != 0 {
		close(h.done)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	unix.Close(h.wake[0])
	if h.closed {
		unix.Close(h.fd)
	}
	h.wake[0] = -1
}

// PID gives the process id.
func (h *Handle) PID() int { return h.pid }

// StartTicks gives when the process was started, in clock ticks since boot. With the process id it names a
// process for good.
func (h *Handle) StartTicks() uint64 { return h.ticks }

// Done gives a channel that is closed when the process has ended. A zombie has ended.
func (h *Handle) Done() <-chan struct{} { return h.done }

// Alive reports whether the process has not ended.
func (h *Handle) Alive() bool {
	select {
	case <-h.done:
		return false
	default:
	}
	st, err := readStat(h.pid)
	return err == nil && st.ticks == h.ticks && st.state != 'Z' && st.state != 'X'
}

// Frozen reports whether the process is stopped by a signal or a debugger.
func (h *Handle) Frozen() bool {
	st, err := readStat(h.pid)
	return err == nil && st.ticks == h.ticks && (st.state == 'T' || st.state == 't')
}

// Signal sends a signal to the process; ErrGone if it has ended.
func (h *Handle) Signal(sig syscall.Signal) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return fmt.Errorf("signal process %d: %w", h.pid, os.ErrClosed)
	}
	switch err := unix.PidfdSendSignal(h.fd, sig, nil, 0); {
	case err == nil:
		return nil
	case errors.Is(err, unix.ESRCH):
		return fmt.Errorf("signal process %d: %w", h.pid, ErrGone)
	default:
		return fmt.Errorf("signal process %d: %w", h.pid, err)
	}
}

// Close lets go of the process; it does nothing to it.
func (h *Handle) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return
	}
	h.closed = true
	unix.Close(h.wake[1])
	if h.wake[0] == -1 { // the watcher has ended
		unix.Close(h.fd)
	}
}

// StartTicks gives when the process with that id was started.
func StartTicks(pid int) (uint64, error) {
	st, err := readStat(pid)
	return st.ticks, err
}

type stat struct {
	state byte
	ticks uint64
}

// readStat reads /proc/<pid>/stat. The name of the program is in parentheses and may hold anything, so the
// fields are counted from the last one. Source: proc(5).
func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, fmt.Errorf("read state of process %d: %w", pid, ErrGone)
	}
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("read state of process %d: malformed %q", pid, raw)
	}
	fields := bytes.Fields(raw[end+1:])
	const state, startTime = 0, 19 // fields 3 and 22 of the file
	if len(fields) <= startTime {
		return stat{}, fmt.Errorf("read state of process %d: malformed %q", pid, raw)
	}
	ticks, err := strconv.ParseUint(string(fields[startTime]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return stat{state: fields[state][0], ticks: ticks}, nil
}
