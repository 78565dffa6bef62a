package sim

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/guard"
)

// fence is the guard process of a node. It follows the plan that ships.
type fence struct {
	n *node
	p *process

	armed    bool
	charge   guard.Charge
	window   time.Duration
	stopping bool
	working  bool // a kill is under way
	fenced   bool // and the agent has not been heard of since
	// given is the newest lease that was given up, zero if none was.
	given int64
	timer *event
	dogged
}

func newFence(n *node) *fence {
	n.w.serial++
	return &fence{n: n, p: &process{s: n.w.sched, name: n.name + " guard"}}
}

// judge does what the plan asks for now.
func (f *fence) judge() {
	f.p.run(func() {
		if f.n.fence == f && !f.working {
			f.follow()
		}
	})
}

func (f *fence) follow() {
	s := f.n.server
	dead := !s.runs(f.charge.PostmasterPID)
	agentDead := f.n.agent == nil || f.n.agent.p.dead
	step, until := guard.Plan(guard.Situation{
		Now: f.n.clock.Now(), Armed: f.armed, Deadline: f.charge.Deadline, Window: f.window,
		AgentDead: agentDead, ServerDead: dead, Stopping: f.stopping, Overdue: f.n.leaving && agentDead,
	})
	switch step {
	case guard.StopServer:
		f.stopping, f.fenced = true, true
		f.n.w.tracef(f.n, "guard", "stops the server before the lock ends")
		f.n.w.mark("guard: clean stop")
		s.fastStop()
		f.follow()
	case guard.KillServer:
		f.fenced = true
		f.n.w.mark("guard: kill")
		f.work("kills the server")
	case guard.ReleaseLock:
		f.n.w.mark("guard: release")
		f.work("gives the lock up")
	case guard.Rest:
		f.rest(until)
	}
}

func (f *fence) rest(until clock.Instant) {
	if f.timer != nil {
		f.timer.dead = true
		f.timer = nil
	}
	if until != 0 {
		f.timer = f.n.w.at(f.n.clock.when(until)+f.n.w.between(0, 2*time.Millisecond), f.judge)
	}
	f.retire()
}

// work kills what is left of the server, and then gives the key up. Killing takes a moment.
func (f *fence) work(what string) {
	f.n.w.tracef(f.n, "guard", "%s", what)
	f.working = true
	f.n.w.after(f.n.w.between(2*time.Millisecond, 60*time.Millisecond), func() {
		f.p.run(func() {
			f.working = false
			if f.n.fence != f || !f.armed {
				return
			}
			f.n.server.kill()
			f.armed, f.stopping = false, false
			f.calm()
			f.given = f.charge.LeaseID
			if r := f.n.agent; r != nil {
				r.p.run(func() { r.agent.GivenUp(f.given) })
			}
			f.release(f.given)
			f.follow()
		})
	})
}

// release ends the lease, and tries until etcd has answered. No server is armed on it ever again.
func (f *fence) release(id int64) {
	w, n := f.n.w, f.n
	answered := false
	if there, ok := w.net.carry(n.number, w.etcdHost()); ok {
		w.after(there, func() {
			if !w.etcd.up {
				return
			}
			if kv := w.etcd.get(dcs.KeyLeader); kv != nil && string(kv.Value) == n.name && kv.Lease != id {
				w.mark("guard: ends a lease that the lock does not hang on")
			}
			w.etcd.revoke(id)
			if back, ok := w.net.carry(w.etcdHost(), n.number); ok {
				w.after(back, func() { answered = true })
			}
		})
	}
	w.after(2*time.Second, func() {
		f.p.run(func() {
			if !answered {
				f.release(id)
			}
		})
	})
}

// retire ends an agent that is frozen after a fence: only a living one brings the server back.
func (f *fence) retire() {
	a := f.n.agent
	if f.fenced && !f.armed && a != nil && a.p.frozen && !f.n.frozen {
		f.fenced = false
		f.n.w.mark("guard: retire agent")
		f.n.w.tracef(f.n, "guard", "kills the agent, which does not answer")
		f.n.crashAgent()
	}
}

// heard takes in a message of the agent.
func (f *fence) heard() { f.fenced = false }

// client is the agent's side of its guard; it implements agent.Guard as guard.Client does.
type client struct {
	n      *node
	charge *guard.Charge
}

// errGuard is what is left to say when no guard can be had.
var errGuard = errors.New("the guard refuses or does not answer")

// serve gives the agent that the guard starts its side, which knows what is watched over.
func (f *fence) serve() *client {
	c := &client{n: f.n}
	if f.armed && f.n.server.runs(f.charge.PostmasterPID) {
		charge := f.charge
		c.charge = &charge
	}
	return c
}

// alive gives a guard that answers: the one there is, or another one if that is dead or frozen.
func (c *client) alive() *fence {
	f := c.n.fence
	if f != nil && !f.p.dead && !f.p.frozen {
		return f
	}
	if f != nil {
		f.p.kill()
		c.n.w.sleep(time.Second) // the agent waits this long for an answer
	}
	c.n.newGuard()
	c.n.w.sleep(c.n.w.between(30*time.Millisecond, 150*time.Millisecond))
	return c.n.fence
}

// Arm implements agent.Guard.
func (c *client) Arm(_ context.Context, ask func() agent.Charge) error {
	former, charge := c.charge, ask()
	c.charge = &charge
	f := c.alive()
	c.n.w.sleep(c.n.w.between(50*time.Microsecond, time.Millisecond))
	for f.working && !f.p.frozen && !f.p.dead {
		c.n.w.sleep(time.Millisecond) // it does one thing after the other
	}
	if f.p.dead || f.p.frozen {
		return errGuard
	}
	if f.given != 0 && f.given == charge.LeaseID || charge.Deadline <= c.n.clock.Now() {
		if c.charge == &charge {
			c.charge = former
		}
		return errGuard
	}
	if err := f.refuses(charge.Watchdog); err != nil {
		return err
	}
	f.arm(charge)
	return nil
}

func (f *fence) arm(charge guard.Charge) {
	f.n.w.check.deadline(f.n, charge.Deadline)
	f.heard()
	f.armed, f.stopping, f.charge = true, false, charge
	f.window = max(0, charge.Deadline.Sub(f.n.clock.Now()))
	f.judge()
}

// Extend implements agent.Guard.
func (c *client) Extend(ask func() clock.Instant) {
	deadline := ask()
	if c.charge == nil || deadline == 0 {
		return
	}
	c.charge.Deadline = deadline
	f := c.n.fence
	if f.p.dead || f.p.frozen {
		c.replace()
		return
	}
	f.heard()
	if f.armed && !f.stopping {
		if deadline > f.charge.Deadline {
			f.feed() // one that is only taken back proves nothing
		}
		c.n.w.check.deadline(c.n, deadline)
		f.charge.Deadline, f.window = deadline, deadline.Sub(f.n.clock.Now())
		f.judge()
	}
}

// replace starts another guard and hands the charge on.
func (c *client) replace() {
	c.n.w.mark("guard: replaced")
	c.n.fence.p.kill()
	f := c.n.newGuard()
	if c.charge != nil {
		_ = f.mind(c.charge.Watchdog) // it takes over, whatever becomes of the device
		f.arm(*c.charge)
	}
}

// Disarm implements agent.Guard.
func (c *client) Disarm(context.Context) error {
	c.charge = nil
	f := c.alive()
	c.n.w.sleep(c.n.w.between(50*time.Microsecond, time.Millisecond))
	if f.p.dead || f.p.frozen {
		return errGuard
	}
	f.heard()
	f.armed, f.stopping = false, false
	f.calm()
	return nil
}
