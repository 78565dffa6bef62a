package sim

import (
	"context"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What users do besides, in every third run: tags, restarts, new copies, schedules, settings, and hands on
// etcd and on PostgreSQL. It draws from numbers of its own.

// chooseMoreTags adds to the tags of a member. One member at most is kept from leading, and one cascades.
func (w *world) chooseMoreTags(i, count int, tags cluster.Tags) cluster.Tags {
	r := w.orders
	if !w.busy {
		return tags
	}
	more := cluster.Tags{}
	for k, v := range tags {
		more[k] = v
	}
	switch kind := r.IntN(4); {
	case i > 0 && kind == 0:
		more["failover_priority"] = 2
	case i == 2 && kind == 1:
		more["nofailover"] = true
	case i == count-1 && i > 1 && kind > 1:
		more["replicatefrom"] = "node1"
	}
	return more
}

// upstream is the server that a replica streams from in a healthy cluster; nil if it does not stream.
func (n *node) upstream(leader *node) *server {
	if n.tags.NoStream() {
		return nil
	}
	if from := n.w.node(n.tags.ReplicateFrom()); from != nil && from != n {
		return from.server
	}
	return leader.server
}

// command lets users give orders now and then, for as long as faults happen.
func (w *world) command(until time.Duration) {
	w.after(between(w.orders, 2*time.Second, 25*time.Second), func() {
		if w.now < until && w.faulty {
			w.order()
			w.command(until)
		}
	})
}

// order does one of them. What makes no sense now is left out.
func (w *world) order() {
	n := w.nodes[w.orders.IntN(len(w.nodes))]
	if !w.etcd.up || w.now < w.calm || w.paused && w.has(pauseFaults) {
		return
	}
	orders := []func(*node){w.restart, w.restart, w.reinitialize, w.schedule, w.schedule, w.appoint, w.configure, w.deleteLeader, w.overwriteLeader, w.removeKey, w.removeKey, w.removeKey}
	if w.paused {
		orders = []func(*node){w.stopByHand, w.stopByHand, w.deletePausedLeader, w.appoint, w.appoint, w.switchPaused, w.leave, w.leave}
	}
	orders[w.orders.IntN(len(orders))](n)
}

// ask puts a request to the REST API of a member; nobody waits for the answer.
func (w *world) ask(n *node, what string, request func(context.Context) error) {
	if !n.guarded() {
		return
	}
	w.tracef(n, "USER", "%s", what)
	w.mark("user: " + what)
	w.check.moment(n)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n.agent.p.spawn(what, func() { _ = request(ctx) })
}

func (w *world) restart(n *node) {
	n.urged = n.server.life
	w.ask(n, "restart", func(ctx context.Context) error { return n.agent.agent.Restart(ctx, api.RestartRequest{}) })
}

func (w *world) reinitialize(n *node) {
	force, fromLeader := w.orders.IntN(2) == 0, w.orders.IntN(2) == 0
	w.ask(n, "reinitialize", func(ctx context.Context) error { return n.agent.agent.Reinitialize(ctx, force, fromLeader) })
}

// schedule plans a switchover; some of the times have passed when the leader learns of it.
func (w *world) schedule(*node) {
	leader := w.node(w.etcd.text(dcs.KeyLeader))
	if leader == nil || w.requested() {
		return
	}
	at := leader.clock.Wall().Add(between(w.orders, 0, 40*time.Second))
	if w.orders.IntN(4) == 0 {
		at = at.Add(-2 * time.Minute)
	}
	w.request("scheduled switchover", cluster.FailoverRequest{Leader: leader.name, ScheduledAt: at})
}

// appoint orders a failover to a member. With failsafe mode somebody looks first whether a primary goes on without
// the lock, as docs/safety.md says.
func (w *world) appoint(n *node) {
	hidden := w.base.FailsafeMode && w.etcd.text(dcs.KeyLeader) == "" &&
		slices.ContainsFunc(w.nodes, func(n *node) bool { return n.server.canAck() })
	if !w.requested() && !hidden {
		w.request("failover", cluster.FailoverRequest{Candidate: n.name})
	}
}

func (w *world) requested() bool {
	return dcs.DecodeFailover([]byte(w.etcd.text(dcs.KeyFailover))).Pending()
}

func (w *world) request(what string, req cluster.FailoverRequest) {
	w.tracef(nil, "USER", "%s from %q to %q", what, req.Leader, req.Candidate)
	w.mark("user: " + what)
	w.etcd.put(dcs.KeyFailover, dcs.EncodeFailover(req), 0)
}

// configure changes settings at any moment. With failsafe mode the TTL stays: what members promise each
// other rests on it, see docs/safety.md.
func (w *world) configure(*node) {
	if w.etcd.get(dcs.KeyConfig) == nil {
		return
	}
	w.doc.MaximumLag = []uint64{1 << 20, 1 << 16, 1 << 22}[w.orders.IntN(3)]
	if !w.base.FailsafeMode {
		w.doc.Times = 1 + w.orders.IntN(len(times))
	}
	w.tracef(nil, "USER", "settings %s", w.doc.text())
	w.mark("user: settings changed")
	w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
}

// deleteLeader removes the leader key by hand. That takes the lock from a primary that may not hear of it, so
// nothing is promised while a member can't be reached: it is done in calm, and a calm follows.
func (w *world) deleteLeader(*node) {
	if w.active == 0 && w.now-w.strike > 10*time.Second && w.check.healthy() == "" {
		w.rest(10 * time.Second)
		w.tracef(nil, "USER", "deletes the leader key")
		w.check.moment(nil)
		w.mark("user: leader key deleted")
		w.etcd.remove(dcs.KeyLeader)
	}
}

// overwriteLeader writes a name into the leader key that is nobody's, and removes it later.
func (w *world) overwriteLeader(*node) {
	if w.active > 0 || w.now-w.strike < 10*time.Second || w.check.healthy() != "" {
		return
	}
	stay := between(w.orders, time.Second, 10*time.Second)
	w.rest(stay + 10*time.Second)
	w.tracef(nil, "USER", "overwrites the leader key")
	w.check.moment(nil)
	w.mark("user: leader key overwritten")
	name := []string{"nobody", ""}[w.orders.IntN(2)]
	w.etcd.put(dcs.KeyLeader, []byte(name), 0)
	w.after(stay, func() {
		if kv := w.etcd.get(dcs.KeyLeader); kv != nil && string(kv.Value) == name {
			w.etcd.remove(dcs.KeyLeader)
		}
	})
}

// leaderGoes reports whether the leader may be about to go by an order: it can't restore /initialize then, and no other member does.
func (w *world) leaderGoes() bool { return w.requested() || w.now-w.check.requestAt < 10*time.Second }

// removeKey removes what the leader has to restore.
func (w *world) removeKey(*node) {
	if w.active > 0 || w.check.healthy() != "" {
		return
	}
	key := []string{dcs.KeyConfig, dcs.KeyInitialize, dcs.KeyHistory}[w.orders.IntN(3)]
	if key == dcs.KeyInitialize && w.leaderGoes() {
		return
	}
	w.rest(5 * time.Second)
	w.tracef(nil, "USER", "removes %s", key)
	w.mark("user: key removed")
	w.etcd.remove(key)
}

// switchPaused asks for a switchover in pause, which needs a candidate then.
func (w *world) switchPaused(n *node) {
	leader := w.etcd.text(dcs.KeyLeader)
	if leader == "" || w.requested() {
		return
	}
	req := cluster.FailoverRequest{Leader: leader}
	if w.orders.IntN(2) == 0 && n.name != leader {
		req.Candidate = n.name
	}
	w.request("switchover in pause", req)
}

// rest keeps faults away for a while.
func (w *world) rest(d time.Duration) {
	w.calm, w.aiming = w.now+d, false
}

// deletePausedLeader removes the leader key in pause, where nobody is fenced and only a primary takes it.
func (w *world) deletePausedLeader(*node) {
	if w.active == 0 {
		w.mark("user: leader key deleted in pause")
		w.check.moment(nil)
		w.etcd.remove(dcs.KeyLeader)
	}
}

// stopByHand stops a server in pause, which is what pause is for, and starts it again as it was.
func (w *world) stopByHand(n *node) {
	s := n.server
	if n.dead || n.frozen || s.phase != phaseServing || s.acting {
		return
	}
	w.tracef(n, "USER", "stops PostgreSQL")
	w.check.moment(n)
	w.mark("user: PostgreSQL stopped by hand")
	s.fastStop()
	w.after(between(w.orders, 3*time.Second, 15*time.Second), func() {
		// Whoever does it looks first whether another primary has taken over, or may.
		ours := s.standby || w.etcd.text(dcs.KeyLeader) == n.name
		if w.paused && s.phase == phaseDown && s.data && !s.acting && ours {
			s.start()
		}
	})
}

// leave ends the agent of a replica in pause; its server goes on.
func (w *world) leave(n *node) {
	if !n.server.primary && n.server.phase == phaseServing {
		w.stopAgent(n)
	}
}
