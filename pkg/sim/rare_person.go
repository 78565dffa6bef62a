package sim

import (
	"context"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
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

// stranded: a cluster that was promoted while its members were being rewound to the remote primary has lost its leader before
// one of them was a primary, and by what it has published on the branch that it gave up nobody may lead. Somebody looks
// into that when nothing else is wrong any more, and names the member that has most.
func (w *world) stranded(rule string) {
	lost, s := w.check.lost, w.slowest()
	if rule != "race-lag" && rule != "race-timeline" || len(w.hard) == 0 || !w.check.blind || w.doc.Standby {
		return
	}
	if lost == nil || w.now-lost.at < s.TTL+2*s.LoopWait || w.active > 0 {
		return
	}
	var most *node
	for _, n := range w.nodes {
		switch {
		case w.check.ordered(n) || !n.guarded() || n.server.phase != phaseServing || n.server.replaying():
			return
		case !n.tags.NoFailover() && (most == nil || n.server.pos.lsn > most.server.pos.lsn):
			most = n
		}
	}
	if most != nil {
		w.request("failover of a stranded cluster", cluster.FailoverRequest{Candidate: most.name})
	}
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
