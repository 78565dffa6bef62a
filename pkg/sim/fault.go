package sim

import (
	"slices"
	"time"
)

// disturb lets faults happen one after the other until a moment.
func (w *world) disturb(until time.Duration) {
	w.after(w.between(0, 25*time.Second), func() {
		if w.now < until && w.faulty {
			if w.active < 3 && w.now >= w.calm && !w.spared() {
				w.inject()
			}
			w.disturb(until)
		}
	})
}

// inject lets one fault happen. A fault that makes no sense now is left out.
func (w *world) inject() {
	n := w.nodes[w.rand.IntN(len(w.nodes))]
	if w.chance(50) {
		if l := w.node(w.etcd.text("leader")); l != nil {
			n = l // most of what is interesting happens to the leader
		}
	}
	faults := []func(*node){
		w.crashAgent, w.freezeAgent, w.freezeAgent, w.crashServer, w.crashServer, w.freezeServer,
		w.killGuard, w.freezeGuard, w.crashNode, w.freezeNode,
		w.cutEtcd, w.cutEtcd, w.cutEtcd, w.cutPeer, w.isolate, w.slowLink, w.slowLink, w.loseMessages,
		w.stopEtcd, w.stopAgent, w.switchover, w.switchover, w.switchover, w.pause,
	}
	f := faults[w.rand.IntN(len(faults))]
	if w.paused {
		f = w.crashAgent // what pause is for; nothing else is promised in it
	}
	f(n)
}

// lasts begins a fault and ends it after a random time.
func (w *world) lasts(n *node, what string, longest time.Duration, end func()) {
	x := w.check.cause(n)
	w.goesOn(n, what, longest, func() {
		end()
		w.check.over(x)
	})
}

// goesOn is lasts for what may not cost anybody the lead.
func (w *world) goesOn(n *node, what string, longest time.Duration, end func()) {
	w.tracef(n, "FAULT", "%s", what)
	w.mark("fault: " + what)
	w.active++
	w.strike = w.now
	w.after(w.between(100*time.Millisecond, longest), func() {
		w.tracef(n, "HEALED", "%s", what)
		end()
		w.active--
		w.strike = w.now
	})
}

// once is a fault without an end of its own.
func (w *world) once(n *node, what string) {
	w.tracef(n, "FAULT", "%s", what)
	w.mark("fault: " + what)
	w.check.moment(n)
	w.strike = w.now
}

// guarded reports whether agent and guard of a node are both well. No more than one of the two is ever at
// fault: the promise is about any one process.
func (n *node) guarded() bool {
	return !n.dead && !n.frozen && n.agent != nil && !n.agent.p.frozen && !n.fence.p.dead && !n.fence.p.frozen
}

// fenced reports whether any one of the two may fail: a member without a guard has nobody who fences it then.
func (n *node) fenced() bool { return n.guarded() && n.watched() }

// watched reports whether somebody else looks after what a process of the node leaves undone.
func (n *node) watched() bool { return !n.patroni || n.w.weak(weakFence) }

func (w *world) crashAgent(n *node) {
	if n.fenced() {
		w.once(n, "agent crashes")
		n.crashAgent()
	}
}

func (w *world) freezeAgent(n *node) {
	if !n.fenced() {
		return
	}
	w.lasts(n, "agent frozen", 90*time.Second, n.holdAgent())
}

// holdAgent freezes the agent; release lets it go on, unless the whole machine is frozen by then.
func (n *node) holdAgent() (release func()) {
	p := n.agent.p
	p.frozen = true
	return func() {
		if !n.frozen {
			p.thaw()
		}
	}
}

func (w *world) crashServer(n *node) {
	if !n.dead && !n.frozen && n.server.phase != phaseDown {
		w.once(n, "postmaster killed")
		n.server.crash()
	}
}

func (w *world) freezeServer(n *node) {
	if n.dead || n.server.phase == phaseDown || n.server.frozen || !n.watched() {
		return
	}
	life := n.server.life
	n.server.frozen = true
	w.lasts(n, "postmaster frozen", time.Minute, func() {
		if n.server.life == life {
			n.server.frozen = false
		}
	})
}

func (w *world) killGuard(n *node) {
	if !n.fenced() {
		return
	}
	w.once(n, "guard killed")
	f := n.fence
	f.p.kill()
	// The agent notices by its socket and starts another one.
	w.after(w.between(30*time.Millisecond, 150*time.Millisecond), func() {
		if n.agent != nil && n.fence == f {
			n.agent.p.run(func() { n.agent.guard.replace() })
		}
	})
}

func (w *world) freezeGuard(n *node) {
	if !n.fenced() {
		return
	}
	p := n.fence.p
	p.frozen = true
	w.lasts(n, "guard frozen", 40*time.Second, func() {
		if !n.frozen {
			p.thaw()
		}
	})
}

func (w *world) crashNode(n *node) {
	if n.dead || n.frozen {
		return
	}
	n.switchOff()
	w.lasts(n, "node down", 90*time.Second, n.bootIfDead)
}

func (n *node) bootIfDead() {
	if n.dead {
		n.boot()
	}
}

func (w *world) freezeNode(n *node) {
	if n.fenced() {
		n.freeze()
		w.lasts(n, "node frozen", 90*time.Second, n.thaw)
	}
}

// cut breaks the ways between two hosts, in one direction or in both.
func (w *world) cut(n *node, what string, pairs ...[2]int) {
	oneWay, swap := w.chance(30), w.chance(50)
	var ways [][2]int
	for _, p := range pairs {
		there, back := p, [2]int{p[1], p[0]}
		if swap {
			there, back = back, there
		}
		ways = append(ways, there)
		if !oneWay {
			ways = append(ways, back)
		}
	}
	if oneWay {
		what += " (one way)"
	}
	join := w.sever(ways...)
	begin := w.lasts
	if !slices.ContainsFunc(ways, func(way [2]int) bool { return slices.Contains(way[:], w.etcdHost()) }) {
		begin = w.goesOn // no way between members is needed to lead
	}
	begin(n, what, 90*time.Second, join)
}

// sever cuts ways of messages, each in its direction; join lets them be used again.
func (w *world) sever(ways ...[2]int) (join func()) {
	for _, way := range ways {
		w.net.cut[way] = true
	}
	return func() {
		for _, way := range ways {
			delete(w.net.cut, way)
		}
	}
}

func (w *world) cutEtcd(n *node) { w.cut(n, "cut off from etcd", [2]int{n.number, w.etcdHost()}) }

func (w *world) cutPeer(n *node) {
	other := w.nodes[w.rand.IntN(len(w.nodes))]
	if other != n {
		w.cut(n, "cut off from "+other.name, [2]int{n.number, other.number})
	}
}

func (w *world) isolate(n *node) {
	var pairs [][2]int
	for _, other := range w.nodes {
		if other != n {
			pairs = append(pairs, [2]int{n.number, other.number})
		}
	}
	w.cut(n, "cut off from everybody", append(pairs, [2]int{n.number, w.etcdHost()})...)
}

func (w *world) slowLink(n *node) {
	to := w.etcdHost()
	if i := w.rand.IntN(len(w.nodes) + 1); i < len(w.nodes) {
		to = w.nodes[i].number
	}
	if to == n.number {
		return
	}
	a, b := [2]int{n.number, to}, [2]int{to, n.number}
	w.net.slow[a], w.net.slow[b] = w.between(0, 3*time.Second), w.between(0, 3*time.Second)
	begin := w.lasts
	if to != w.etcdHost() {
		begin = w.goesOn
	}
	begin(n, "slow link", 90*time.Second, func() {
		delete(w.net.slow, a)
		delete(w.net.slow, b)
	})
}

func (w *world) loseMessages(n *node) {
	to := w.etcdHost()
	a, b := [2]int{n.number, to}, [2]int{to, n.number}
	w.net.lost[a], w.net.lost[b] = w.rand.IntN(60), w.rand.IntN(60)
	w.lasts(n, "messages lost", 60*time.Second, func() {
		delete(w.net.lost, a)
		delete(w.net.lost, b)
	})
}

func (w *world) stopEtcd(*node) {
	if !w.etcd.up {
		return
	}
	w.etcd.up = false
	w.lasts(nil, "etcd down", 60*time.Second, w.etcd.restart)
}

// heal ends every fault that has not healed by itself.
func (w *world) heal() {
	w.tracef(nil, "HEAL", "all faults end")
	w.check.healed()
	clear(w.net.cut)
	clear(w.net.slow)
	clear(w.net.lost)
	if !w.etcd.up {
		w.etcd.restart()
	}
	w.relabel()
	w.resume()
	for _, n := range w.nodes {
		n.server.frozen, n.server.slow = false, 0
		n.mend()
		n.thaw()
		n.fence.p.thaw()
		if n.agent != nil {
			n.agent.p.thaw()
		}
		if n.dead || n.leaving {
			n.bootAgain()
		}
	}
}
