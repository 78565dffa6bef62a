package sim

import (
	"context"
	"slices"
	"time"
)

// What a member asks a person for, and what the person does: after some seconds, and after the faults have ended, too.

// appeals are the rules that ask for a new copy.
var appeals = []string{"rewind-cut", "rewind-impossible", "replica-wal-gone"}

// appealed has somebody read what a member has logged.
func (w *world) appealed(n *node, rule string) {
	if len(w.hard) == 0 || w.now < n.server.helped || !slices.Contains(appeals, rule) {
		return
	}
	wait := between(w.rare, time.Second, 8*time.Second)
	n.server.helped = w.now + wait + 10*time.Second // a copy takes its time
	w.after(wait, func() {
		if !n.guarded() {
			return
		}
		w.tracef(n, "USER", "has it copied anew")
		w.mark("user: reinitializes what can't go on")
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		n.agent.p.spawn("reinitialize", func() { _ = n.agent.agent.Reinitialize(ctx, true, false) })
	})
}

// expects reports whether an agent rightly gives up, and has somebody see to it.
func (w *world) expects(n *node, message string) bool {
	if !w.foresees(n, message) {
		return false
	}
	w.mark("rare: an agent gives up")
	w.after(between(w.rare, 3*time.Second, 15*time.Second), func() {
		if n.server.foreign != "" {
			w.tracef(n, "USER", "removes the data of another cluster")
			n.server.kill()
			n.server.empty()
		}
		n.bootAgain()
	})
	return true
}
