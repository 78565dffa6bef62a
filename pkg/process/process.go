// Package process watches, signals and kills processes that are not our children. A process is held by a
// pidfd, so that a process id that the kernel has given to somebody else is never taken for the old one.
package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Handle is one process. Its methods are safe for concurrent use.
type Handle struct {
	pid    int
	ticks  uint64
	pidfd  *os.File
	done   chan struct{} // closed when the process has ended
	closed chan struct{} // closed when the watcher has ended for another reason
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
	if err == nil && (st.state == 'Z' || st.state == 'X') {
		err = ErrGone
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	// A file that does not block is waited for by the runtime, without a thread of its own.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	h := &Handle{
		pid: pid, ticks: st.ticks, pidfd: os.NewFile(uintptr(fd), "pidfd"),
		done: make(chan struct{}), closed: make(chan struct{}),
	}
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	go h.watch(conn)
	return h, nil
}

// watch waits until the process has ended or the handle is closed. The kernel makes a pidfd readable at the
// end of the process. Source: pidfd_open(2).
func (h *Handle) watch(conn syscall.RawConn) {
	ended := false
	err := conn.Read(func(fd uintptr) bool {
		ended = ended || readable(int(fd))
		return ended
	})
	if err != nil && !ended {
		close(h.closed)
		return
	}
	close(h.done)
}

// readable does not wait.
func readable(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, 0)
		if !errors.Is(err, unix.EINTR) {
			return err == nil && n > 0
		}
	}
}

// Wait waits until the process has ended, or until the handle is closed; it reports whether the process has
// ended.
func (h *Handle) Wait() bool {
	select {
	case <-h.done:
		return true
	case <-h.closed:
		return false
	}
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
	if err != nil { // that it could not be looked at, for want of a file descriptor, is no news of its end
		return !errors.Is(err, ErrGone)
	}
	return st.ticks == h.ticks && st.state != 'Z' && st.state != 'X'
}

// Frozen reports whether the process is stopped by a signal or a debugger.
func (h *Handle) Frozen() bool {
	st, err := readStat(h.pid)
	return err == nil && st.ticks == h.ticks && (st.state == 'T' || st.state == 't')
}

// Asleep reports whether the process waits for something other than a disk, and how many clock ticks it has computed for so
// far. What is asleep twice with the same ticks has done hardly anything between.
func (h *Handle) Asleep() (asleep bool, cpu uint64) {
	st, err := readStat(h.pid)
	return err == nil && st.ticks == h.ticks && st.state == 'S', st.cpu
}

// Signal sends a signal to the process; ErrGone if it has ended, os.ErrClosed if the handle was closed.
func (h *Handle) Signal(sig syscall.Signal) error {
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, err)
	}
	var sent error
	if conn.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), sig, nil, 0) }) != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, os.ErrClosed) // it fails for no other reason
	}
	if errors.Is(sent, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", h.pid, ErrGone)
	}
	if sent != nil {
		return fmt.Errorf("signal process %d: %w", h.pid, sent)
	}
	return nil
}

// Close lets go of the process; it does nothing to it. Done is not closed by it.
func (h *Handle) Close() { _ = h.pidfd.Close() } // closed already is as good

// StartTicks gives when the process with that id was started.
func StartTicks(pid int) (uint64, error) {
	st, err := readStat(pid)
	return st.ticks, err
}

// Started gives when the process with that id was started, in the wall clock's time of now, to a second or so.
// Source: proc(5), btime and starttime; the kernel counts 100 ticks a second for user space.
func Started(pid int) (time.Time, error) {
	ticks, err := StartTicks(pid)
	if err != nil {
		return time.Time{}, err
	}
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Time{}, fmt.Errorf("read when the machine was started: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		if boot, ok := strings.CutPrefix(line, "btime "); ok {
			seconds, err := strconv.ParseInt(strings.TrimSpace(boot), 10, 64)
			return time.Unix(seconds, 0).Add(time.Duration(ticks) * (time.Second / 100)), err
		}
	}
	return time.Time{}, errors.New("/proc/stat does not say when the machine was started")
}

type stat struct {
	state byte
	ticks uint64 // of its start
	cpu   uint64 // ticks in user and kernel mode
}

// readStat reads /proc/<pid>/stat. The name of the program is in parentheses and may hold anything, so the
// fields are counted from the last one. Source: proc(5).
func readStat(pid int) (stat, error) {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		if gone(err) {
			err = ErrGone
		}
		return stat{}, fmt.Errorf("read state of process %d: %w", pid, err)
	}
	end := bytes.LastIndexByte(raw, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("read state of process %d: malformed %q", pid, raw)
	}
	fields := bytes.Fields(raw[end+1:])
	const state, user, kernel, startTime = 0, 11, 12, 19 // fields 3, 14, 15 and 22 of the file
	if len(fields) <= startTime {
		return stat{}, fmt.Errorf("read state of process %d: malformed %q", pid, raw)
	}
	ticks, err := strconv.ParseUint(string(fields[startTime]), 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	var cpu uint64
	for _, field := range []int{user, kernel} {
		n, err := strconv.ParseUint(string(fields[field]), 10, 64)
		if err != nil {
			return stat{}, fmt.Errorf("read processor time of process %d: %w", pid, err)
		}
		cpu += n
	}
	return stat{state: fields[state][0], ticks: ticks, cpu: cpu}, nil
}
