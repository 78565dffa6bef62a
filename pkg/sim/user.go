package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What users do. Their commands write the same keys as the real ones.

// switchover asks for another leader, with or without naming one.
func (w *world) switchover(*node) {
	req := cluster.FailoverRequest{Leader: w.etcd.text(dcs.KeyLeader)}
	pending := dcs.DecodeFailover([]byte(w.etcd.text(dcs.KeyFailover)))
	if req.Leader == "" || !w.etcd.up || w.paused || pending.Pending() {
		return
	}
	if w.chance(60) {
		req.Candidate = w.nodes[w.rand.IntN(len(w.nodes))].name
		if req.Candidate == req.Leader {
			return
		}
	}
	w.tracef(nil, "USER", "switchover from %s to %q", req.Leader, req.Candidate)
	w.mark("user: switchover")
	w.etcd.put(dcs.KeyFailover, dcs.EncodeFailover(req), 0)
}

// pause puts the cluster into maintenance for a while. In pause nothing is fenced, so hathi promises nothing
// if the leader is cut off meanwhile; pauses therefore begin and end in calm.
func (w *world) pause(*node) {
	if w.active > 0 || !w.etcd.up || w.check.healthy() != "" {
		return
	}
	w.tracef(nil, "USER", "pause")
	w.mark("user: pause")
	w.paused = true
	w.pauses++
	w.etcd.put(dcs.KeyConfig, w.document(true), 0)
	w.after(w.between(5*time.Second, time.Minute), w.resume)
}

func (w *world) resume() {
	if w.paused && (w.faulty && w.check.healthy() != "" || w.mislabelled) {
		w.after(time.Second, w.resume)
		return
	}
	if w.paused {
		w.tracef(nil, "USER", "resume")
		w.paused = false
		w.etcd.put(dcs.KeyConfig, w.document(false), 0)
	}
}

// stopAgent ends an agent cleanly and starts it again later.
func (w *world) stopAgent(n *node) {
	if !n.guarded() || n.leaving {
		return
	}
	w.tracef(n, "USER", "stops the agent")
	w.check.moment(n)
	w.mark("user: stop")
	n.leaving = true
	n.agent.stop()
	w.after(w.between(5*time.Second, 90*time.Second), n.bootAgain)
}

// stop asks what runs on a node to end.
func (r *runner) stop() {
	if r.patroni == nil {
		r.agent.Stop()
		return
	}
	r.patroni.stopping = true
	r.n.wake()
}

// bootAgain starts an agent that was told to end, once it has.
func (n *node) bootAgain() {
	switch {
	case n.gone:
	case n.agent != nil && !n.leaving, n.agent == nil && !n.dead && !n.leaving:
	case n.agent != nil || n.frozen:
		n.w.after(time.Second, n.bootAgain)
	default:
		n.boot()
	}
}
