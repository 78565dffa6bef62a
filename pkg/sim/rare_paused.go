package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What happens to a cluster while it is paused: the faults that happen at other times, and then it is resumed, whatever has
// become of it. Nobody gives it orders meanwhile.

const (
	pauseFaults     = "faults happen while the cluster is paused"
	pauseLeftBeside = "a primary goes on by a pause that is over, beside another one"
)

// pauseLeft is how long the server of an agent that has heard of the resume may go on beside another primary, from the end of
// the turn in which it heard: in that one it may wait for etcd, to prove the lock or to take it again.
const pauseLeft = 3 * time.Second

// paused is what the agent of a member knows of pauses.
type paused struct {
	number int           // of the pause that it goes by, or went by last; zero: of none yet
	within bool          // it still does
	hears  bool          // it is in the turn in which it has heard that that one is over
	left   time.Duration // when that turn has ended
}

// strikePaused pauses the cluster, or lets a fault happen in the pause.
func (w *world) strikePaused(n *node) bool {
	if !w.paused {
		if !w.requested() {
			w.pause(nil)
		}
		if w.paused {
			w.after(between(w.rare, 5*time.Second, time.Minute), w.resumeStruck)
		}
		return false
	}
	if l := w.leader(); l != nil && w.rare.IntN(2) == 0 {
		n = l
	}
	faults := []func(*node){
		w.crashAgent, w.freezeAgent, w.freezeAgent, w.crashServer, w.freezeServer, w.killGuard, w.freezeGuard,
		w.crashNode, w.freezeNode, w.cutEtcd, w.cutEtcd, w.isolate, w.isolate, w.loseMessages, w.slowLink, w.stopEtcd, w.stopAgent,
	}
	f, before := faults[w.rare.IntN(len(faults))], w.strike
	if w.active < 3 {
		f(n)
	}
	if w.strike == before {
		return false // it made no sense
	}
	w.befalls(n, pauseFaults)
	return true
}

// resumeStruck ends a pause as soon as etcd takes the order.
func (w *world) resumeStruck() {
	switch {
	case !w.paused:
	case !w.etcd.up:
		w.after(time.Second, w.resumeStruck)
	default:
		w.tracef(nil, "USER", "resume, whatever has happened")
		w.paused = false
		w.etcd.put(dcs.KeyConfig, w.document(false), 0)
	}
}

// goesBy takes down whether an agent acts as in a pause.
func (n *node) goesBy(pause bool) {
	p := &n.paused
	switch {
	case pause:
		*p = paused{number: n.w.pauses, within: true}
	case p.within:
		p.within, p.hears = false, true
	case p.hears:
		p.hears, p.left = false, n.w.now
		n.w.after(pauseLeft+1, n.w.check.writable)
	}
}

// unaware: the server runs by a pause that is over, and its agent has not heard of that, or only just. Pause promises nothing
// of it beside others.
func (n *node) unaware() bool {
	p, w := &n.paused, n.w
	over := p.number > 0 && (p.number < w.pauses || !w.paused)
	return over && (p.within || p.hears || w.now <= p.left+pauseLeft)
}
