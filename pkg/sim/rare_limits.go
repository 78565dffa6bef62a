package sim

import "github.com/hathi-ha/hathi/pkg/dcs"

// A primary is restarted with a higher max_connections than its replicas have. They pause replay when they get there,
// and go on with what is in the control file after a restart. They go on receiving meanwhile, and can't be promoted.

const limitsRaised = "limits raised"

func (w *world) raiseLimits(*node) bool {
	leader := w.node(w.etcd.text(dcs.KeyLeader))
	if w.paused || leader == nil || !leader.server.canAck() {
		return false
	}
	w.befalls(leader, limitsRaised)
	for _, n := range w.nodes {
		if s := n.server; n != leader && s.phase == phaseServing && !s.primary {
			s.limited = s.life
		}
	}
	return true
}

// limitsTooSmall reports whether the server has stopped replaying since its last start.
func (s *server) limitsTooSmall() bool {
	return s.phase == phaseServing && !s.primary && s.limited == s.life && s.life != 0
}
