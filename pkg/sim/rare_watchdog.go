package sim

import (
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/guard"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// Watchdog devices that fail, and machines that they reset.

const watchdogFails = "watchdog fails"

// device is the watchdog of a machine. Its timer runs in hardware: neither the end of whoever fed it nor a frozen machine
// stops it.
type device struct {
	n     *node
	mode  watchdog.Mode
	fault deviceFault
	timer *event
}

// deviceFault is what is wrong with a device.
type deviceFault int

const (
	deviceWorks deviceFault = iota
	deviceGone              // it is not there any more, and resets nothing
	deviceBusy              // it can't be opened, which only shows when that is tried
	deviceStuck             // it takes no food, and goes on counting
)

// watchdogs gives each machine a device.
func watchdogs(w *world) {
	mode := watchdog.Required
	if w.rare.IntN(4) == 0 {
		mode = watchdog.Automatic
	}
	for _, n := range w.nodes {
		n.dog = &device{n: n, mode: mode}
	}
}

// failWatchdog breaks a device. One at a time is found out only when it is opened: of two such members, each would give
// the lock to the other.
func (w *world) failWatchdog(n *node) bool {
	if n.dead || n.frozen || w.paused || n.dog == nil || n.dog.fault != deviceWorks {
		return false
	}
	fault := deviceFault(1 + w.rare.IntN(3))
	for _, other := range w.nodes {
		if other.dog != nil && other.dog.fault >= deviceBusy && fault >= deviceBusy {
			return false
		}
	}
	w.befalls(n, watchdogFails)
	d := n.dog
	d.fault = fault
	if fault == deviceGone {
		d.stop()
	}
	w.lasts(n, watchdogFails, time.Minute, func() { d.fault = deviceWorks })
	return true
}

// demand is the agent's Options.Watchdog. Source: package cli, run_agent.go.
func (d *device) demand(s cluster.Settings) (watchdog.Demand, bool) {
	return watchdog.Demand{
		Mode: d.mode, Device: "/dev/watchdog", Driver: "default",
		Timeout: watchdog.Timeout(s.TTL, 5), LoopWait: s.LoopWait, TTL: s.TTL,
	}, d.fault != deviceGone
}

func (d *device) stop() {
	if d.timer != nil {
		d.timer.dead = true
		d.timer = nil
	}
}

// feed starts the timer anew.
func (d *device) feed(timeout time.Duration) error {
	if d.fault == deviceGone || d.fault == deviceStuck {
		return errDevice
	}
	d.stop()
	d.timer = d.n.w.after(timeout, d.reset)
	return nil
}

var errDevice = errors.New("watchdog device: input/output error")

// reset is what the device is for: the machine starts anew.
func (d *device) reset() {
	n := d.n
	if n.dead || n.gone {
		return
	}
	n.w.mark("watchdog: reset")
	n.w.tracef(n, "dog", "resets the machine")
	n.w.check.moment(n)
	n.frozen = false
	n.switchOff()
	n.w.after(between(n.w.rare, 5*time.Second, 20*time.Second), n.bootIfDead)
}

// dogged is what a guard knows of the device. Source: package guard, dog.go.
type dogged struct {
	open   bool
	demand watchdog.Demand
}

// mind opens the device that is demanded, or closes the one that is not.
func (f *fence) mind(d watchdog.Demand) error {
	if f.open && f.demand == d {
		f.feed()
		return nil
	}
	f.calm()
	f.demand = d
	if f.n.dog == nil || !d.Wanted() {
		return nil
	}
	if f.n.dog.fault == deviceBusy {
		return errDevice
	}
	err := f.n.dog.feed(d.Timeout)
	f.open = err == nil
	return err
}

// feed tells the device that the lock was proven again; one that is required and could not be opened is tried again.
func (f *fence) feed() {
	switch {
	case f.open:
		_ = f.n.dog.feed(f.demand.Timeout) // if it can't, the machine may be reset
	case f.demand.Mode == watchdog.Required:
		_ = f.mind(f.demand)
	}
}

// calm stops the device: nothing is to be fenced.
func (f *fence) calm() {
	if f.open && f.n.dog.fault != deviceStuck {
		f.n.dog.stop()
	}
	f.dogged = dogged{}
}

// refuses says why a guard does not take a charge over. Each time it costs its member the lead; that the device does not
// work shows only when it is tried, so it may be tried again before the fault has ended.
func (f *fence) refuses(d watchdog.Demand) error {
	if f.mind(d) != nil && d.Mode == watchdog.Required {
		f.n.w.check.moment(f.n)
		return guard.ErrWatchdog
	}
	return nil
}

// dogWatches: who requires a watchdog does not begin to write as the leader without one.
func (c *checker) dogWatches(n *node) {
	if c.w.etcd.text(dcs.KeyLeader) == n.name && n.dog != nil && n.dog.mode == watchdog.Required && !c.w.paused && n.guarded() && !n.fence.open {
		c.violate("%s begins to write without the watchdog that it requires", n.name)
	}
}
