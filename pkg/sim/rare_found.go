package sim

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// founderStruck: post_bootstrap takes up to two lives of a lease, and something happens to the member meanwhile. Its server
// accepts writes all that time.
const founderStruck = "something happens to the member that founds the cluster"

// mostFoundings is how many bootstraps something happens to; then the cluster is to come up.
const mostFoundings = 2

// leaveEmpty: in some of the runs a member of Patroni has died over an empty /initialize before.
func (w *world) leaveEmpty() {
	if w.rare.IntN(4) == 0 {
		w.mark("somebody has died over an empty initialize key")
		w.etcd.put(dcs.KeyInitialize, nil, 0)
	}
}

// comesUpIn is how long a cluster may take to come up.
func (w *world) comesUpIn() time.Duration {
	limit := 2 * time.Minute
	if w.has(founderStruck) {
		limit += w.base.TTL + mostFoundings*(4*w.base.TTL+longestStrike)
	}
	if len(w.base.PermanentSlots) > 0 {
		limit += asksAboutSlot * w.slowest().LoopWait // the founder may have died once, and what is copied last is the slot
	}
	return limit
}

// longestStrike is how long it lasts at most.
const longestStrike = 90 * time.Second

// postBootstrap is what a user runs on the server of a new cluster.
func (s *server) postBootstrap(ctx context.Context) error {
	w := s.w
	if !w.has(founderStruck) || w.foundings == mostFoundings {
		return nil
	}
	w.foundings++
	w.befalls(s.n, founderStruck)
	life, lasts := s.life, between(w.rare, 0, 2*w.base.TTL)
	if w.rare.IntN(4) == 0 {
		w.after(lasts+between(w.rare, 0, 10*time.Millisecond), func() { w.strikeKeys(s.n) })
	} else {
		w.after(between(w.rare, 0, lasts), func() { w.strikeFounder(s.n) })
	}
	for end := w.now + lasts; w.now < end; {
		if err := w.sleepContext(ctx, min(100*time.Millisecond, end-w.now)); err != nil {
			return err
		}
		if s.life != life || s.phase != phaseServing {
			return errors.New("post_bootstrap: the server has ended")
		}
	}
	return nil
}

// strikeFounder lets one thing happen to a member, or nothing.
func (w *world) strikeFounder(n *node) {
	kind := w.rare.IntN(8)
	if !n.guarded() || !w.etcd.up {
		return
	}
	long := func(what string, end func()) { w.plague(n, what, time.Second, longestStrike, end) }
	switch kind {
	case 0, 1:
		long("agent frozen", n.holdAgent())
	case 2:
		w.crashAgent(n)
	case 3:
		w.cutFounder(n)
	case 4:
		n.freeze()
		long("node frozen", n.thaw)
	case 5:
		w.crashServer(n)
	case 6:
		w.killGuard(n)
	}
}

// strikeKeys cuts a member off from etcd while it writes the keys of the cluster that it has founded. What else could happen to it
// then is not promised to end well; see docs/safety.md.
func (w *world) strikeKeys(n *node) {
	if n.guarded() && w.etcd.up {
		w.cutFounder(n)
	}
}

func (w *world) cutFounder(n *node) {
	end := w.sever([2]int{n.number, w.etcdHost()}, [2]int{w.etcdHost(), n.number})
	w.plague(n, "cut off from etcd", time.Second, longestStrike, end)
}
