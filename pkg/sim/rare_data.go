package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

const (
	dataUnreadable    = "data directory unreadable"
	controlUnreadable = "control file unreadable"
	dataRemoved       = "data removed in pause"
)

// hideData has an agent find a data directory that it can't read: a file system that has gone, upon which the server
// dies, or a limit that the agent has run into while the server goes on.
func (w *world) hideData(n *node) bool {
	s := n.server
	if l := w.node(w.etcd.text(dcs.KeyLeader)); l != nil && w.rare.IntN(2) == 0 {
		n, s = l, l.server
	}
	if n.dead || n.frozen || !s.data || s.unreadable || w.paused {
		return false
	}
	w.befalls(n, dataUnreadable)
	s.unreadable = true
	if w.rare.IntN(2) == 0 {
		s.kill()
	}
	w.lasts(n, dataUnreadable, 40*time.Second, func() { s.unreadable = false })
	return true
}

// hideControl has an agent find a control file that it can't read. Now and then the server ends, too.
func (w *world) hideControl(n *node) bool {
	s := n.server
	if n.dead || n.frozen || !s.data || s.noControl || w.paused {
		return false
	}
	w.befalls(n, controlUnreadable)
	s.noControl = true
	if w.rare.IntN(2) == 0 {
		s.crash()
	}
	w.lasts(n, controlUnreadable, 40*time.Second, func() { s.noControl = false })
	return true
}

// inPause has users pause the cluster as soon as that may be.
func (w *world) inPause() bool {
	if !w.paused {
		w.pause(nil)
	}
	return w.paused
}

// removeInPause has a user stop a replica in pause and remove its data, to have it copied anew.
func (w *world) removeInPause(n *node) bool {
	s := n.server
	if !w.inPause() || n.dead || n.frozen || s.acting || !s.standby || s.phase != phaseServing || w.etcd.text(dcs.KeyLeader) == n.name {
		return false
	}
	w.befalls(n, dataRemoved)
	w.check.moment(n)
	s.kill()
	s.empty()
	return true
}

// empty removes the data.
func (s *server) empty() {
	s.data, s.standby, s.label, s.slots, s.configured = false, false, false, nil, nil
	s.emptied()
}
