package guard

import (
	"context"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// judge does what the plan asks for and gives the moment until which to rest.
func (g *guard) judge(ctx context.Context, now clock.Instant) clock.Instant {
	for {
		s := situation{now: now, armed: g.armed, charge: g.charge, agentDead: g.agent == nil, stopping: g.stopping}
		if g.armed {
			s.serverDead = g.serverDead()
			s.overdue = g.leaving && g.agent == nil
		}
		next, until := plan(s)
		switch next {
		case stepStop:
			g.stopServer()
		case stepKill:
			g.kill(ctx)
			return g.retire(g.restart(g.lookAgain()))
		case stepRelease:
			g.end(ctx, 0)
			return g.retire(g.restart(g.lookAgain()))
		case stepRest:
			return g.retire(g.restart(until))
		}
	}
}

// lookAgain is until when to rest after something was done: while the guard is still armed it did not succeed,
// and is tried again.
func (g *guard) lookAgain() clock.Instant {
	if g.armed {
		return g.o.Clock.Now().Add(lookAgain)
	}
	return 0
}

func earliest(a, b clock.Instant) clock.Instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// stopServer begins a clean shutdown.
func (g *guard) stopServer() {
	g.stopping = true
	g.fenced = g.o.Clock.Now()
	g.o.Log.Warn("the leader lock was not renewed in time, stopping PostgreSQL cleanly before it ends",
		"left", g.charge.Deadline.Sub(g.fenced).Round(time.Millisecond))
	if g.server == nil {
		return // it has ended
	}
	if err := g.server.Signal(syscall.SIGINT); err != nil {
		g.o.Log.Warn("could not stop PostgreSQL", "error", err)
	}
}

// kill carries the fence out. It is repeated until that has succeeded.
func (g *guard) kill(ctx context.Context) {
	if g.fenced == 0 {
		g.fenced = g.o.Clock.Now()
		g.o.Log.Error("the leader lock may end now, killing PostgreSQL")
	}
	g.end(ctx, g.charge.margin()/4)
}

// end gives the leader key up, after making sure that nothing is left here that could acknowledge anything:
// children outlive a postmaster that was killed, for as long as they are busy. It fails by staying armed.
func (g *guard) end(ctx context.Context, grace time.Duration) {
	killing, cancel := context.WithTimeout(ctx, max(time.Second, g.charge.margin()))
	defer cancel()
	if err := g.killServer(killing, grace); err != nil {
		if err.Error() != g.complaint {
			g.complaint = err.Error() // once, not with every try
			g.o.Log.Error("not giving the leader lock up: could not kill PostgreSQL, trying again", "error", err)
		}
		return
	}
	lease, deadline := g.charge.Lease, g.charge.Deadline
	g.disarm()
	g.o.Log.Warn("nothing of PostgreSQL is left here, giving the leader lock up")
	g.released.Add(1)
	// An agent that lives may start PostgreSQL again while this is under way; on this lease it must not.
	g.givenUp.Store(lease)
	g.tell(message{Op: opGivenUp, Lease: lease})
	go func() { // the loop must go on: etcd may take its time
		defer g.woken()
		defer g.released.Add(-1)
		g.tryRelease(ctx, lease, deadline)
	}()
}

// tell says something to the agent that it need not hear.
func (g *guard) tell(m message) {
	if g.sock >= 0 {
		_ = send(g.sock, m) // dead or frozen: whoever comes next asks for a lease of its own
	}
}

// tryRelease tries until etcd has answered, because no server is armed under the lease any more; or, when the
// guard is ending, until the lease is over anyway.
func (g *guard) tryRelease(ctx context.Context, lease int64, deadline clock.Instant) {
	pause, said := 100*time.Millisecond, false
	for {
		if g.forsaken.Load() && g.o.Clock.Now().After(deadline) {
			return
		}
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := g.o.Release(try, lease)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		if !said {
			said = true
			g.o.Log.Warn("could not give the leader lock up, trying on", "error", err)
		}
		pause = min(2*pause, 2*time.Second)
		time.Sleep(pause) // etcd does not tell when it can be reached again
	}
}

// retire ends an agent that was frozen or stuck when the fence was carried out and has not been heard of
// since: PostgreSQL is stopped, and only a living agent brings it back.
func (g *guard) retire(until clock.Instant) clock.Instant {
	if g.fenced == 0 || g.agent == nil {
		return until
	}
	at := g.fenced.Add(g.charge.budget() + g.charge.Window)
	if g.agent.Frozen() {
		at = g.fenced
	}
	if g.armed || g.o.Clock.Now().Before(at) {
		if g.armed {
			return until // one thing after the other
		}
		return earliest(until, at)
	}
	g.o.Log.Error("the agent does not answer, killing it", "pid", g.agentPID)
	g.fenced = 0
	_ = g.agent.Signal(syscall.SIGKILL) // gone already is as good
	return until
}
