package guard

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/process"
)

// waker is what a guard rests on: it wakes for a socket, for a moment, and for everybody who calls woken.
type waker struct {
	event int // an eventfd that everybody may add to
	timer int // a timerfd
}

func newWaker() (*waker, error) {
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	// Boot time goes on while the machine is suspended, as the lease does; timers of package time do not.
	timer, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		unix.Close(event)
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return &waker{event: event, timer: timer}, nil
}

func (w *waker) close() {
	unix.Close(w.event)
	unix.Close(w.timer)
}

// woken makes the loop look again. It may be called from any goroutine.
func (w *waker) woken() {
	_, _ = unix.Write(w.event, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // full is as good: it is readable
}

// watch wakes when a process ends.
func (w *waker) watch(h *process.Handle) {
	go func() {
		if h.Wait() {
			w.woken()
		}
	}()
}

// wait rests until something happens, at most until an instant; zero is for ever. sock is a socket, or -1.
func (w *waker) wait(until clock.Instant, sock int) {
	spec := unix.ItimerSpec{}
	if until != 0 {
		spec.Value = unix.NsecToTimespec(max(1, int64(clock.Kernel(until))))
	}
	_ = unix.TimerfdSettime(w.timer, unix.TFD_TIMER_ABSTIME, &spec, nil) // can't fail for a timer of ours
	fds := []unix.PollFd{{Fd: int32(w.event), Events: unix.POLLIN}, {Fd: int32(w.timer), Events: unix.POLLIN}}
	if sock >= 0 {
		fds = append(fds, unix.PollFd{Fd: int32(sock), Events: unix.POLLIN})
	}
	_, _ = unix.Poll(fds, -1) // interrupted is as good: we look again
	var buf [8]byte
	_, _ = unix.Read(w.event, buf[:])
	_, _ = unix.Read(w.timer, buf[:])
}
