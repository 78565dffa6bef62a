package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What a lease permits, whether anybody else could lead or not: a server that accepts writes without etcd stops in time.

// renewed: etcd has taken in that a member goes on with its lease. If the leader key hangs on that, it permits the member to
// accept writes for a life of the lease from now on, and not for longer.
func (c *checker) renewed(n *node, l *lease) {
	l.renewed = c.w.now
	if kv := c.w.etcd.get(dcs.KeyLeader); kv != nil && string(kv.Value) == n.name && c.w.etcd.leases[kv.Lease] == l {
		n.permitted = l.permits()
	}
}

// hangs: the leader key was written on a lease.
func (c *checker) hangs(kv dcs.KV) {
	if n, l := c.w.node(string(kv.Value)), c.w.etcd.leases[kv.Lease]; n != nil && l != nil {
		n.permitted = l.permits()
	}
}

// permits is until when it may hold the lock by its last renewal, by two clocks that are each wrong by a thousandth.
func (l *lease) permits() time.Duration { return l.renewed + l.ttl + l.ttl/500 }

// permits: a server that accepts writes was permitted that by the lease of the leader key when that was last renewed, or in
// failsafe mode by what all others have promised since. In pause nothing is fenced, nor is what something else has started.
func (c *checker) permits(s *server) {
	n := s.n
	founded := n.permitted == 0 // its server hangs on the empty /initialize, which is checked by itself
	free := n.patroni || s.bare || founded || c.w.paused || n.paused.number > 0 && (n.paused.within || n.paused.hears || c.w.now <= n.paused.left+pauseLeft)
	if free || c.w.now <= n.permitted {
		return
	}
	if late := c.w.now - max(n.permitted, n.assured); late > 0 {
		c.violate("%s accepts writes %s after its lease has ended", n.name, late)
	}
}
