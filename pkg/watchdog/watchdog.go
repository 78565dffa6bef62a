// Package watchdog feeds a watchdog device: a timer, in hardware or in the kernel, that resets the machine when
// it is not fed. It is for the one fault that no process can see to, a machine that hangs as a whole and goes on
// after the leader lock has ended.
package watchdog

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Mode says how much the user wants it.
type Mode string

// The modes. Source: ha.md 22.
const (
	Off       Mode = "off"
	Automatic Mode = "automatic" // use it if it works
	Required  Mode = "required"  // without it this member must not lead
)

// Demand is what is asked of a device. The zero value asks for nothing.
type Demand struct {
	Mode Mode `json:"mode,omitempty"`
	// Device is a path. Driver is default, or testing for a pipe that stands for a device.
	Device string `json:"device,omitempty"`
	Driver string `json:"driver,omitempty"`
	// Timeout is after how long without food the machine is reset, in whole seconds; LoopWait is the longest
	// time between two meals while all is well.
	Timeout  time.Duration `json:"timeout,omitempty"`
	LoopWait time.Duration `json:"loop_wait,omitempty"`
	TTL      time.Duration `json:"ttl,omitempty"`
}

// Wanted reports whether there is anything to do.
func (d Demand) Wanted() bool { return d.Mode == Automatic || d.Mode == Required }

// Timeout gives after how long without food the machine has to be reset: safetyMargin before the lock can end,
// or, if that is -1, after half of the lock's life. Source: ha.md 22.
func Timeout(ttl time.Duration, safetyMargin int) time.Duration {
	if safetyMargin == -1 {
		return (ttl / 2).Truncate(time.Second)
	}
	return ttl - time.Duration(safetyMargin)*time.Second
}

// Check says why the device can't be used, without opening it: opening starts the timer.
func (d Demand) Check() error {
	if err := d.slack(); err != nil {
		return err
	}
	if d.Driver != driverDefault && d.Driver != driverTesting {
		return fmt.Errorf("watchdog.driver: %s is unknown; use default", d.Driver)
	}
	switch err := unix.Faccessat(unix.AT_FDCWD, d.Device, unix.W_OK, unix.AT_EACCESS); {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("watchdog device %s: %w; load its driver (modprobe softdog), correct watchdog.device, or set watchdog.mode: off", d.Device, err)
	case err != nil:
		return fmt.Errorf("watchdog device %s can't be written to: %w; give it to the user that runs PostgreSQL", d.Device, err)
	}
	return nil
}

func (d Demand) slack() error {
	if d.Timeout < d.LoopWait {
		//lint:ignore ST1005 wording of the contract
		return fmt.Errorf("Watchdog not supported because leader TTL %.0f is less than 2x loop_wait %.0f",
			d.TTL.Seconds(), d.LoopWait.Seconds())
	}
	return nil
}

// The drivers. Source: configuration.md 3.11.
const (
	driverDefault = "default"
	driverTesting = "testing"
)

// Device is an open device: its timer runs.
type Device struct {
	demand  Demand
	fd      int
	timeout time.Duration
}

// Open opens the device and starts its timer. It never waits. A device that counts longer than asked for is an
// error in mode required; in mode automatic it is used, and Warning says so.
func Open(d Demand) (*Device, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	fd, err := unix.Open(d.Device, unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open watchdog device %s: %w", d.Device, err)
	}
	w := &Device{demand: d, fd: fd, timeout: d.Timeout}
	if err := w.setTimeout(); err != nil {
		return nil, errors.Join(err, w.Disable())
	}
	switch {
	case w.timeout < d.LoopWait:
		err = fmt.Errorf("watchdog device %s counts %s at most, less than loop_wait (%s)", d.Device, w.timeout, d.LoopWait)
	case w.timeout > d.Timeout && d.Mode == Required:
		err = errors.New(w.Warning())
	default:
		err = w.Feed()
	}
	if err != nil {
		return nil, errors.Join(err, w.Disable())
	}
	return w, nil
}

// Warning says what is not as it should be; empty if nothing is.
func (w *Device) Warning() string {
	if w.timeout <= w.demand.Timeout {
		return ""
	}
	return fmt.Sprintf("Watchdog timeout %.0f seconds does not ensure safe termination within %.0f seconds",
		w.timeout.Seconds(), w.demand.TTL.Seconds())
}

// String tells what was reached, in the words of the contract.
func (w *Device) String() string {
	return fmt.Sprintf("%s activated with %.0f second timeout, timing slack %.0f seconds",
		w.demand.Device, w.timeout.Seconds(), (w.timeout - w.demand.LoopWait).Seconds())
}

// Demand gives what the device was opened for.
func (w *Device) Demand() Demand { return w.demand }

// setTimeout asks for the timeout and finds out what became of it: devices round, and some have a fixed one.
// Source: Linux, Documentation/watchdog/watchdog-api.rst.
func (w *Device) setTimeout() error {
	seconds := int(w.demand.Timeout / time.Second)
	if w.demand.Driver == driverTesting {
		return w.write(fmt.Sprintf("Ctimeout=%d\n", seconds))
	}
	if err := unix.IoctlSetPointerInt(w.fd, unix.WDIOC_SETTIMEOUT, seconds); err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("set the timeout of watchdog device %s to %d s: %w", w.demand.Device, seconds, err)
	}
	real, err := unix.IoctlGetInt(w.fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return fmt.Errorf("read the timeout of watchdog device %s: %w", w.demand.Device, err)
	}
	w.timeout = time.Duration(real) * time.Second
	return nil
}

// Feed starts the timer anew.
func (w *Device) Feed() error { return w.write("1") }

// Disable stops the timer and closes the device. A device that can't be stopped goes on, and resets the machine
// unless somebody opens and feeds it again; nothing tells, so the caller has to count on it only if there is an
// error.
func (w *Device) Disable() error {
	err := w.write("V") // the magic character; source: watchdog-api.rst
	return errors.Join(err, unix.Close(w.fd))
}

func (w *Device) write(text string) error {
	if _, err := unix.Write(w.fd, []byte(text)); err != nil {
		return fmt.Errorf("write to watchdog device %s: %w", w.demand.Device, err)
	}
	return nil
}
