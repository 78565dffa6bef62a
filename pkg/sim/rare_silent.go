package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A primary that is so busy that it answers nobody new, its agent neither. Clients that are connected go on, and WAL
// goes out.

const serverMute = "primary does not answer"

// impatient has a leader hand over that does not answer for longer than primary_start_timeout, or for a loop and a retry.
func impatient(w *world) {
	if i := w.rare.IntN(3); i > 0 {
		w.base.PrimaryStartTimeout = []time.Duration{20 * time.Second, 0}[i-1]
	}
}

// muteLeader silences the leader. Now and then a user overwrites the leader key then: with that nobody has the lock, and
// the primary can't be asked.
func (w *world) muteLeader(*node) bool {
	n := w.node(w.etcd.text(dcs.KeyLeader))
	calm := w.active == 0 && w.now-w.strike > 10*time.Second && w.check.healthy() == ""
	if n == nil || n.dead || n.frozen || w.paused || !n.server.canAck() || n.server.mute() || !n.guarded() {
		return false
	}
	w.befalls(n, serverMute)
	s := n.server
	s.muteLife, s.muteSince = s.life, w.now
	w.lasts(n, serverMute, time.Minute, func() { s.muteLife = 0 })
	if w.rare.IntN(3) == 0 {
		w.after(between(w.rare, 0, 20*time.Second), func() { w.relieve(n) })
	}
	if calm && w.rare.IntN(2) == 0 {
		w.rest(25 * time.Second)
		w.after(between(w.rare, 0, 5*time.Second), func() { w.misname(n) })
	}
	return true
}

// relieve has a user ask for another leader while this one does not answer.
func (w *world) relieve(n *node) {
	to := w.nodes[w.rare.IntN(len(w.nodes))]
	if to == n || !w.faulty || !n.server.mute() || w.etcd.text(dcs.KeyLeader) != n.name || w.requested() || !w.etcd.up {
		return
	}
	req := cluster.FailoverRequest{Candidate: to.name}
	if w.rare.IntN(2) == 0 {
		req.Leader = n.name
	}
	w.request(req.Action()+" while the leader does not answer", req)
}

// misname overwrites the leader key of a member that has heard of nothing else, for a while.
func (w *world) misname(n *node) {
	if !w.faulty || w.paused || !n.guarded() || w.etcd.text(dcs.KeyLeader) != n.name {
		return
	}
	w.tracef(nil, "USER", "overwrites the leader key")
	w.etcd.put(dcs.KeyLeader, []byte("nobody"), 0)
	w.after(between(w.rare, time.Second, 10*time.Second), func() {
		if w.etcd.text(dcs.KeyLeader) == "nobody" {
			w.etcd.remove(dcs.KeyLeader)
		}
	})
}
