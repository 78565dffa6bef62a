package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// What happens to agents and servers that start.

const (
	restartAlone = "the agent of a primary starts while etcd is away"
	unfitFirst   = "members that must not found the cluster come first"
)

// restartWithoutEtcd: etcd is away, and the agent of the primary dies. The next one knows nothing of the cluster.
func (w *world) restartWithoutEtcd(*node) bool {
	leader := w.leader()
	if !w.etcd.up || w.paused || leader == nil || !leader.fenced() || !leader.server.canAck() {
		return false
	}
	w.befalls(leader, restartAlone)
	w.etcd.up = false
	w.plague(nil, "etcd down", 12*time.Second, 40*time.Second, w.etcd.restart)
	w.after(between(w.rare, 0, 2*time.Second), func() { w.crashAgent(leader) })
	return true
}

// unfitComeFirst: all members but one must not lead, or have no bootstrap section, and that one comes last.
func (w *world) unfitComeFirst() {
	w.befalls(nil, unfitFirst)
	for i, n := range w.nodes {
		n.tags = nil
		switch {
		case i == len(w.nodes)-1:
			n.notBefore = between(w.rare, 3*time.Second, 15*time.Second)
		case i == 0 && len(w.nodes) > 2:
			n.tags = cluster.Tags{"nofailover": true}
		default:
			n.joinsOnly = true
		}
	}
}
