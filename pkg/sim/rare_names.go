package sim

import (
	"errors"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// synchronous_standby_names can't be set on a server for a while: its disk is full, or its configuration can't be
// written. What was in force before stays so. It is one server at a time: of two, each would give the lock to the other.

const namesFail = "names can't be set"

func (w *world) failNames(n *node) bool {
	s := n.server
	if w.doc.Mode == cluster.SyncOff || slices.ContainsFunc(w.nodes, func(n *node) bool { return n.server.namesFail }) {
		return false
	}
	w.befalls(n, namesFail)
	s.namesFail = true
	w.lasts(n, namesFail, 90*time.Second, func() { s.namesFail = false })
	return true
}

var errNames = errors.New("set synchronous_standby_names: no space left on device")

// synchronously has commits wait, whatever the seed says.
func synchronously(w *world) {
	if w.doc.Mode == cluster.SyncOff {
		w.doc.Mode = []cluster.SynchronousMode{cluster.SyncOn, cluster.SyncQuorum}[w.rare.IntN(2)]
		w.check.mode = w.doc
	}
}
