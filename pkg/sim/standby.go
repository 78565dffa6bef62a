package sim

import (
	"math/rand/v2"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A standby cluster: a server outside of it, which nobody here controls, writes, and the cluster follows it.

// outside is the host name of that server.
const outside = "outside"

// standbyCluster makes the world that of a standby cluster. It draws from numbers of its own, so that other
// runs do not change with it.
func (w *world) standbyCluster(seed uint64) {
	w.far = rand.New(rand.NewPCG(seed, 0x7374616e64627921))
	w.doc, w.live = document{Standby: true}, false
	w.check.mode = w.doc
	w.base.UsePgRewind = true // without it a person has to reinitialize what has diverged
	w.newest = 1
	n := &node{w: w, number: w.etcdHost() + 1, name: outside}
	n.server = &server{
		w: w, n: n, data: true, phase: phaseServing, primary: true, checkpoint: 1, control: "in production",
		pos: position{&branch{timeline: 1, owner: outside}, 0x3000000},
	}
	w.remote = n
	w.outsideWrites()
}

func (w *world) outsideWrites() {
	w.remote.server.pos.lsn += cluster.LSN(8192 + w.far.IntN(32768))
	w.check.standby()
	w.after(between(w.far, 50*time.Millisecond, 400*time.Millisecond), w.outsideWrites)
}

// servers are all hosts that run a server.
func (w *world) servers() []*node {
	if w.remote == nil {
		return w.nodes
	}
	return append(w.nodes[:len(w.nodes):len(w.nodes)], w.remote)
}

// turns lets a user promote the cluster in the middle of the faults, and make a standby cluster of it again. The
// way to the server outside is cut now and then.
func (w *world) turns(until time.Duration) {
	w.after(between(w.far, 30*time.Second, 2*time.Minute), func() { w.turnCluster(false, until) })
	w.cutOutside(until)
}

func (w *world) turnCluster(standby bool, until time.Duration) {
	if w.now >= until || !w.faulty {
		return
	}
	if !w.etcd.up || w.paused || w.now < w.calm || w.etcd.get(dcs.KeyConfig) == nil {
		w.after(time.Second, func() { w.turnCluster(standby, until) })
		return
	}
	w.doc.Standby = standby
	w.tracef(nil, "USER", "standby cluster: %v", standby)
	w.mark(map[bool]string{true: "user: demote-cluster", false: "user: promote-cluster"}[standby])
	w.check.turned(standby)
	w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
	if !standby && w.far.IntN(2) == 0 {
		w.after(between(w.far, time.Second, 90*time.Second), func() { w.turnCluster(true, until) })
	}
}

func (w *world) cutOutside(until time.Duration) {
	w.after(between(w.far, 5*time.Second, 40*time.Second), func() {
		if w.now >= until || !w.faulty {
			return
		}
		way := [2]int{w.nodes[w.far.IntN(len(w.nodes))].number, w.remote.number}
		w.net.cut[way] = true
		w.mark("fault: cut off from the server outside")
		w.after(between(w.far, time.Second, 30*time.Second), func() { delete(w.net.cut, way) })
		w.cutOutside(until)
	})
}

// turned: what was published and handed over before is of a branch that may be given up now.
func (c *checker) turned(standby bool) {
	c.published, c.handed = position{}, position{}
	c.standbySince = c.w.now
	if standby {
		c.blind = true
	}
}

// standby holds what a standby cluster promises: nobody in it accepts writes. Whoever was a primary before, or
// about to be one, has until its proof of the lock is over.
func (c *checker) standby() {
	since := time.Duration(0)
	if c.standbySince != 0 {
		ttl := c.w.longestTTL()
		since = c.standbySince + ttl
		if c.w.base.FailsafeMode {
			since += 2 * ttl // a promise that was just given, after an answer of somebody who knew no better
		}
	}
	if !c.w.doc.Standby || c.w.now < since {
		return
	}
	for _, n := range c.w.nodes {
		if n.server.acking {
			c.violate("%s accepts writes in a standby cluster", n.name)
		}
	}
}

// followsOutside says what is missing to a healthy standby cluster.
func (c *checker) followsOutside(leader *node) string {
	for _, n := range c.w.nodes {
		s, from := n.server, c.w.remote.server
		if n != leader {
			from = n.upstream(leader)
		}
		switch {
		case n.agent == nil:
			return n.name + " has no agent"
		case s.phase != phaseServing || s.primary:
			return n.name + " is no running replica"
		case !s.connected || s.source() != from:
			return n.name + " does not stream from " + from.n.name
		}
	}
	c.standby()
	return ""
}
