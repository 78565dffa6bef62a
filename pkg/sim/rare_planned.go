package sim

import (
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Restarts that users plan for later. Each is done, or dropped for a reason that holds, and the agent that knows of it says
// which in its log; with the agent it is forgotten.

const restartsPlanned = "restarts are planned for later"

// plannedRestart is what a user has asked of a member, until it has come to an end.
type plannedRestart struct {
	agent *runner // that was asked; nil: there is no such restart
	at    time.Time
	role  string // condition; empty: any
	began time.Time
	due   bool // it is to be done now
}

// planRestart plans one, and now and then lets something happen to the member when its time has come.
func (w *world) planRestart(n *node) bool {
	if l := w.leader(); l != nil && w.rare.IntN(3) == 0 {
		n = l
	}
	if !n.guarded() || n.leaving || n.planned.agent == n.agent {
		return false
	}
	left := between(w.rare, -20*time.Second, 40*time.Second)
	p := plannedRestart{
		agent: n.agent, at: n.clock.Wall().Add(left), began: n.agent.agent.Snapshot().Server.PostmasterStart,
		role: []string{"", "", "primary", "replica"}[w.rare.IntN(4)],
	}
	asked := cluster.ScheduledRestart{Schedule: cluster.FormatISO(p.at), Role: p.role, RestartPending: w.rare.IntN(8) == 0}
	n.agent.p.run(func() {
		if err := n.agent.agent.ScheduleRestart(asked, p.at); err != nil {
			w.check.violate("%s does not take a restart for later: %v", n.name, err)
			return
		}
		w.befalls(n, restartsPlanned)
		n.planned = p
	})
	w.after(max(0, left+between(w.rare, -3*time.Second, time.Second)), func() { w.disturbPlan(n, p) })
	return true
}

// disturbPlan lets something happen about when a restart is due, or nothing.
func (w *world) disturbPlan(n *node, p plannedRestart) {
	kind := w.rare.IntN(12)
	if !w.faulty || w.now < w.calm || n.planned != p || n.agent != p.agent || !n.guarded() {
		return
	}
	switch kind {
	case 0:
		w.orderAway(n)
	case 1:
		w.crashServer(n)
	case 2:
		w.crashAgent(n)
	case 3:
		w.pause(nil)
	case 4:
		w.stopEtcd(nil)
	case 5:
		w.restart(n)
	case 6:
		n.agent.p.run(func() { _ = n.agent.agent.CancelScheduledRestart() })
		n.planned = plannedRestart{}
	}
}

// fate reads in the log of an agent what has become of a restart for later, and whether that is right.
func (c *checker) fate(n *node, line string) {
	p, s := &n.planned, n.server
	late, shortest := n.clock.Wall().Sub(p.at), c.w.shortestLoop()
	wrong := func(why string) { c.violate("%s: %q, but %s", n.name, line, why) }
	switch {
	case strings.HasPrefix(line, "Manual scheduled restart"):
		if late < 0 || late > c.w.slowest().LoopWait*3/2+time.Second {
			wrong("it is " + late.String() + " late")
		}
		c.w.mark("a planned restart is due")
		c.moment(n)
		p.due = true
		return
	case strings.HasPrefix(line, "Cancelling scheduled restart: "):
		if s.started.Equal(p.began) {
			wrong("the server is still the same")
		}
	case strings.HasPrefix(line, "Found a stale restart value"):
		if late < shortest*3/2 {
			wrong("it is only " + late.String() + " late")
		}
	case strings.HasPrefix(line, "not proceeding with the restart: "):
		if late < 0 {
			return // of one that was asked for besides
		}
	default:
		return
	}
	c.w.mark("a planned restart is dropped")
	*p = plannedRestart{}
}

// shortestLoop is the shortest loop_wait that may be in force.
func (w *world) shortestLoop() time.Duration {
	shortest := w.base.LoopWait
	if w.doc.Times > 0 {
		for _, t := range times {
			shortest = min(shortest, t[1]*time.Second)
		}
	}
	return shortest
}

// restartsFor: a restart that was asked for one role is not done in another one, unless one was asked for in any case, too.
func restartsFor(w *world, n *node, d ha.Decision) {
	p := &n.planned
	p.settle(n)
	if _, ok := d.Action.(ha.Restart); !ok || !p.due || n.urged == n.server.life {
		return
	}
	if primary := n.server.primary; p.role != "" && primary != (p.role == "primary") && n.server.phase == phaseServing {
		w.check.violate("%s is restarted as planned for a %s, which it is not", n.name, p.role)
	}
}

// settle takes down that a restart is forgotten, or done.
func (p *plannedRestart) settle(n *node) {
	if p.agent != n.agent || p.due && !n.server.started.Equal(p.began) {
		*p = plannedRestart{}
	}
}

// plans says which member has not done what was planned and has come due, nothing if there is none.
func (c *checker) plans() string {
	if !c.w.has(restartsPlanned) {
		return ""
	}
	for _, n := range c.w.nodes {
		p := &n.planned
		p.settle(n)
		m := dcs.DecodeMember(n.name, []byte(c.w.etcd.text(dcs.MemberKey(n.name))))
		switch {
		case p.due:
			return n.name + " was not restarted as planned"
		case p.agent != nil && n.clock.Wall().After(p.at):
			return n.name + " has a restart before it whose time has passed"
		case (p.agent != nil) != (m.ScheduledRestart != nil):
			return n.name + " shows another planned restart than it has"
		}
	}
	return ""
}
