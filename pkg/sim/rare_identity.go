package sim

import (
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

const (
	foreignData    = "data of another cluster"
	identityLost   = "cluster forgets its identity"
	identityPaused = "identity changed in pause"
	foreignID      = "7000000000000000007"
)

// bringForeign replaces the machine of a replica by one whose disk holds another cluster.
func (w *world) bringForeign(n *node) bool {
	if !w.spare(n) {
		return false
	}
	w.befalls(n, foreignData)
	n.lose()
	s := n.server
	s.data, s.foreign, s.standby, s.control = true, foreignID, w.rare.IntN(2) == 0, "shut down"
	s.pos = position{&branch{timeline: 1, owner: n.name}, 0x3000000}
	w.lasts(n, "machine replaced", 20*time.Second, n.bootIfDead)
	return true
}

// ours reports whether the server has data of this cluster.
func (s *server) ours() bool { return s.data && s.foreign == "" }

// touched: what belongs to another cluster is neither started nor thrown away.
func (c *checker) touched(s *server) {
	if s.foreign != "" {
		c.violate("%s does not leave the data of another cluster alone", s.n.name)
	}
}

// closed keeps new members away: one without data founds a cluster where it finds neither /initialize nor a leader, which
// is beyond what anybody promises. See docs/safety.md.
func closed(w *world) { w.swaps = nil }

// loseIdentity removes /initialize while the only ones that could write it again have died: the leader, and the agents of
// the others. Those must not name the cluster, for the primary may go on somewhere.
func (w *world) loseIdentity(*node) bool {
	leader := w.node(w.etcd.text(dcs.KeyLeader))
	if leader == nil || w.paused || w.active > 0 || w.check.healthy() != "" {
		return false
	}
	w.befalls(leader, identityLost)
	w.crashNode(leader)
	w.etcd.remove(dcs.KeyInitialize)
	for _, n := range w.nodes {
		w.crashAgent(n)
	}
	return true
}

// foresees tells which agents give up as they should.
func (w *world) foresees(n *node, message string) bool {
	switch {
	case strings.Contains(message, "belongs to a different cluster"):
		return n.server.foreign != ""
	case strings.Contains(message, "aborting start"):
		return w.has(identityLost)
	}
	return false
}

// disturbIdentity has a user remove /initialize in pause, or write something else there and correct it.
func (w *world) disturbIdentity(*node) bool {
	if w.leaderGoes() || w.check.healthy() != "" || w.leader().storeLost { // who alone can write the key again
		return false
	}
	if !w.inPause() || w.mislabelled {
		return false
	}
	w.befalls(nil, identityPaused)
	if w.rare.IntN(2) == 0 {
		w.etcd.remove(dcs.KeyInitialize)
		return true
	}
	w.check.moment(nil)
	w.mislabelled = true
	w.etcd.put(dcs.KeyInitialize, []byte(foreignID), 0)
	w.after(between(w.rare, time.Second, 8*time.Second), w.relabel)
	return true
}

// relabel corrects what is in /initialize. Nobody resumes the cluster before that: each agent would end.
func (w *world) relabel() {
	if w.mislabelled {
		w.etcd.put(dcs.KeyInitialize, []byte(systemID), 0)
	}
	w.mislabelled = false
}
