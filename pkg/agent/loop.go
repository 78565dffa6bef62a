package agent

import (
	"context"
	"reflect"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Turn makes one turn of the loop: observe, decide, act. It gives the instant at which the next one is due
// if nothing happens before; an instant that has passed means at once.
func (a *Agent) Turn(ctx context.Context) clock.Instant {
	a.receive()
	o := a.observe(ctx)
	a.tell(o)
	d := a.o.Decide(o)
	a.report(o, d)
	again := a.act(ctx, o, d)
	a.publish(ctx, o, d)
	a.first = false
	a.measure(o, d)

	now := a.o.Clock.Now()
	if now.Sub(o.Now) > a.settings.LoopWait {
		a.o.Log.Warn("Loop time exceeded, rescheduling immediately.")
	}
	a.mu.Lock()
	a.turned = now
	a.mu.Unlock()
	next := a.nextTurn(now, d, again)
	if left := a.untilRestart(o.Wall); left > 0 {
		next = min(next, o.Now.Add(left))
	}
	return next
}

// nextTurn: after an action the world is looked at again at once. The same action again and again means
// that it does not achieve anything, also if others, which undo it, take turns with it; then the pauses grow, up to
// loop_wait, until there is nothing to do for once.
func (a *Agent) nextTurn(now clock.Instant, d ha.Decision, again bool) clock.Instant {
	next := now.Add(a.settings.LoopWait)
	if d.WakeAt != 0 {
		next = min(next, d.WakeAt)
	}
	if at := a.watchRenewals(now); at != 0 {
		next = min(next, at)
	}
	if !again {
		clear(a.repeats)
		return max(next, now.Add(time.Millisecond))
	}
	rule := ruleOf(d)
	a.repeats[rule]++
	if a.repeats[rule] <= 2 {
		return now
	}
	return now.Add(min(50*time.Millisecond<<min(a.repeats[rule]-3, 10), a.settings.LoopWait))
}

func ruleOf(d ha.Decision) string {
	if len(d.Reasons) == 0 {
		return ""
	}
	return d.Reasons[0].Rule
}

// report logs the line of the decision: the heartbeat line at every regular turn, as Patroni does and as
// users grep for, everything else when it changes.
func (a *Agent) report(o ha.Observation, d ha.Decision) {
	line := d.Line(a.settings.Pause)
	if line == "" {
		return
	}
	_, waiting := d.Action.(ha.Wait)
	due := a.published.heartbeat == 0 || o.Now.Sub(a.published.heartbeat) >= a.settings.LoopWait-100*time.Millisecond
	if line == a.lastLine && (!waiting || !due || a.o.QuietHeartbeat) {
		a.o.Log.Debug(line, "rule", ruleOf(d))
		return
	}
	a.lastLine, a.published.heartbeat = line, o.Now
	switch d.Action.(type) {
	case ha.AskPeers, ha.ProveLock, ha.SyncSlots, ha.SyncLogicalSlots:
		a.o.Log.Debug(line, "rule", ruleOf(d))
	case ha.Exit:
		a.o.Log.Error(line)
	default:
		a.owner(o, line)
		a.o.Log.Info(line)
	}
	for _, r := range d.Reasons[1:] {
		a.o.Log.Info(r.Text)
	}
}

// owner logs the line that in Patroni's log stands before what a member does about the lock; for a member at rest
// it stays out, as there. Source: Patroni 4.1, ha.py, has_lock.
func (a *Agent) owner(o ha.Observation, line string) {
	if o.Store.View == nil || strings.HasPrefix(strings.TrimPrefix(line, "PAUSE: "), "no action") {
		return
	}
	owner := "None"
	if o.Store.View.Locked() {
		owner = o.Store.View.Leader.Name
	}
	a.o.Log.Info("Lock owner: " + owner + "; I am " + a.o.Name)
}

// same reports whether two values are equal all the way down.
func same(x, y any) bool { return reflect.DeepEqual(x, y) }

// failed logs what went wrong with an action; the next observation shows what became of it.
func (a *Agent) failed(what string, err error) {
	if err != nil {
		a.o.Log.Warn(what, "error", err)
	}
}
