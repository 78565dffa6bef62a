package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/guard"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// What the agent has its guard do: every server that may write is armed before it may, for as long as the leader
// key is proven.

// fence is what the guard was last told.
type fence struct {
	// busy is held until the guard has answered: the loop and a job tell it one thing after the other.
	busy  sync.Mutex
	state armState
	as    armedAs // if state is armOn
}

// armState is what the agent knows of its guard.
type armState int

const (
	armUnknown armState = iota // not since this agent began, or there was no answer
	armOff
	armOn
)

// armedAs is what a guard is armed for. A deadline can be changed later, these can't.
type armedAs struct {
	pid   int
	ticks uint64
	lease int64
	dog   watchdog.Demand
}

// errUnguarded: without a fence a server must not become a primary.
var errUnguarded = errors.New("no guard could be armed")

// arm makes sure that the guard counts the deadline of the lock before the server may write under it. It may be
// called by the loop and by a job. An error means that there is no fence: then the server must not become a
// primary.
func (a *Agent) arm(ctx context.Context, pid int, ticks uint64) error {
	settings := a.shared()
	if settings.Pause {
		return nil // in pause nothing is fenced, as nothing is promoted or demoted
	}
	f := &a.fence
	f.busy.Lock()
	defer f.busy.Unlock()
	as := armedAs{pid: pid, ticks: ticks}
	as.dog, _ = a.watchdog(settings)
	charge := func() Charge { // asked for when it is sent: the keeper may have found a shorter proof meanwhile
		p := a.proven()
		as.lease = p.lease
		return Charge{PostmasterPID: pid, PostmasterTicks: ticks, Deadline: p.until, LeaseID: p.lease, Watchdog: as.dog}
	}
	f.state = armUnknown
	if err := a.o.Guard.Arm(ctx, charge); err != nil {
		if errors.Is(err, guard.ErrWatchdog) {
			a.refuse(as.dog)
		}
		return fmt.Errorf("%w: %w", errUnguarded, err)
	}
	f.state, f.as = armOn, as
	return nil
}

// disarm takes the fence away from a server that can't write.
func (a *Agent) disarm(ctx context.Context) {
	f := &a.fence
	f.busy.Lock()
	defer f.busy.Unlock()
	if f.state == armOff {
		return
	}
	f.state = armUnknown
	if err := a.o.Guard.Disarm(ctx); err != nil {
		a.failed("could not disarm the guard", err)
		return
	}
	f.state = armOff
}

// fenceRunning arms the guard for a server that is primary already: one that was found running, or that has just
// taken the lock back. If that fails the server goes on, because it does hold the lock, and the next turn
// tries again.
func (a *Agent) fenceRunning(ctx context.Context, o ha.Observation) {
	if o.Job != nil || !a.holds(o) || !o.Server.IsPrimary() || !o.Now.Before(o.Store.LockProven) {
		return
	}
	want := armedAs{pid: o.Server.PostmasterPID, ticks: o.Server.PostmasterTicks, lease: a.proven().lease}
	want.dog, _ = a.watchdog(a.settings)
	a.fence.busy.Lock()
	armed := a.fence.state == armOn && a.fence.as == want
	a.fence.busy.Unlock()
	if !armed {
		a.failed("the running primary has no fence", a.arm(ctx, want.pid, want.ticks))
	}
}

// settle is what a member does when there is nothing to do: a server in recovery needs no fence, because the
// guard is armed again before it is promoted. As long as the key is ours, or may be, the guard stays armed: an
// agent before this one may have begun a promotion; and if the server is down and the agent dies, too, it gives
// the key up. It stays armed, too, for a server that was told to become a primary.
func (a *Agent) settle(ctx context.Context, o ha.Observation) {
	if o.Job != nil || o.Store.View == nil {
		return
	}
	recovering := o.Server.Answered && !o.MayWrite()
	gone := o.Server.Process == cluster.ProcessNone
	if !a.holds(o) && (recovering || gone) || a.settings.Pause {
		a.disarm(ctx)
	}
}

// GivenUp takes note that the guard has stopped the server and is ending a lease: no server is armed under it any
// more. The key may still be ours, so it is moved to another lease; whoever took it under this one would have to give
// it back.
func (a *Agent) GivenUp(lease int64) {
	a.mu.Lock()
	a.givenUp = lease
	if a.proof.lease == lease {
		a.proof = proof{}
	}
	a.mu.Unlock()
	a.o.Store.Forsake(lease)
	a.o.Log.Info("the guard has given the lease up, asking for another one")
	a.o.Wake()
}

func (a *Agent) holds(o ha.Observation) bool {
	return o.Store.View != nil && o.Store.View.Leader.Name == a.o.Name
}

// refusal is a demand for a watchdog that could not be met. It counts for a while: then somebody may have mended
// the device, and there is no event for that.
type refusal struct {
	demand watchdog.Demand
	until  clock.Instant
}

func (a *Agent) refuse(d watchdog.Demand) {
	a.mu.Lock()
	a.refused = refusal{demand: d, until: a.o.Clock.Now().Add(2 * a.ttl.LoopWait)}
	a.mu.Unlock()
}

// watchdog gives what is demanded of the device, and whether a member that requires it has to do without.
func (a *Agent) watchdog(s cluster.Settings) (demand watchdog.Demand, failed bool) {
	if a.o.Watchdog == nil {
		return watchdog.Demand{}, false
	}
	demand, usable := a.o.Watchdog(s)
	a.mu.Lock()
	refused := demand == a.refused.demand && a.o.Clock.Now().Before(a.refused.until)
	a.mu.Unlock()
	return demand, demand.Mode == watchdog.Required && (!usable || refused)
}
