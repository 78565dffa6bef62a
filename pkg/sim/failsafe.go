package sim

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Failsafe mode: what members promise each other while etcd is away, and what that allows.

// AskFailsafe implements agent.Peers: each member is asked once more if it does not answer.
func (p *peers) AskFailsafe(ctx context.Context, members map[string]string, q cluster.FailsafeQuestion) []cluster.FailsafeAnswer {
	names := slices.Sorted(maps.Keys(members))
	answers := make([]cluster.FailsafeAnswer, len(names))
	got := make([]bool, len(names))
	for i, name := range names {
		answers[i] = cluster.FailsafeAnswer{Name: name, Error: "no answer in time"}
	}
	for range 2 {
		for i, name := range names {
			if !got[i] {
				p.askFailsafe(name, q, func(s cluster.FailsafeAnswer) {
					if !got[i] {
						answers[i], got[i] = s, true
					}
				})
			}
		}
		for end := p.n.w.now + askLimit; p.n.w.now < end && ctx.Err() == nil && slices.Contains(got, false); {
			p.n.w.sleep(10 * time.Millisecond)
		}
	}
	got = slices.Repeat([]bool{true}, len(names)) // what comes later is lost
	return answers
}

// askFailsafe sends one question; then is called when the answer has come, if it comes.
func (p *peers) askFailsafe(name string, q cluster.FailsafeQuestion, then func(cluster.FailsafeAnswer)) {
	w := p.n.w
	other := w.node(name)
	if other == nil {
		return // it has left
	}
	there, ok := w.net.carry(p.n.number, other.number)
	if !ok {
		return
	}
	w.after(there, func() {
		switch {
		case other.dead:
		case other.agent != nil:
			p.deliver(other, q, then)
		default:
			then(cluster.FailsafeAnswer{Name: name, Error: "connection refused"})
		}
	})
}

// deliver puts a question to a member; a nil then is nobody who waits for the answer.
func (p *peers) deliver(other *node, q cluster.FailsafeQuestion, then func(cluster.FailsafeAnswer)) {
	w, a := p.n.w, other.agent
	a.p.run(func() {
		lsn, err := a.failsafe(q)
		w.check.answered(p.n, other, q, err == nil)
		s := cluster.FailsafeAnswer{Name: other.name, Accepted: err == nil, Refused: err != nil, LSN: lsn}
		if err != nil {
			s.Error = err.Error()
		}
		if back, ok := w.net.carry(other.number, p.n.number); ok && then != nil {
			w.after(back+w.between(500*time.Microsecond, 5*time.Millisecond), func() { then(s) })
		}
	})
}

// failsafe puts a question to what runs on a node.
func (r *runner) failsafe(q cluster.FailsafeQuestion) (cluster.LSN, error) {
	if r.patroni != nil {
		return 0, r.patroni.answer(q)
	}
	return r.agent.Failsafe(q)
}

// promoting reports whether a promotion runs. Patroni promises nothing about that.
func (r *runner) promoting() bool {
	refused := r.n.server.refused // the snapshot may be from before
	return r.patroni == nil && r.agent.Snapshot().Job == string(ha.JobPromote) && (refused == 0 || r.n.w.now-refused > time.Second)
}

// answered takes down what a member has promised: for the TTL of the question from now on it makes no primary
// of its server.
func (c *checker) answered(asker, other *node, q cluster.FailsafeQuestion, accepted bool) {
	c.w.tracef(other, "asked", "%s may go on without etcd: %v", asker.name, accepted)
	if !accepted {
		c.w.mark("failsafe: refused")
		return
	}
	c.w.mark("failsafe: accepted")
	if asker.patroni != other.patroni {
		c.w.mark("failsafe: " + other.kind() + " lets " + asker.kind() + " go on")
	}
	if other.server.canAck() || other.agent.promoting() {
		c.violate("%s is a primary, or about to be one, and lets %s go on without etcd", other.name, asker.name)
	}
	if c.promises == nil {
		c.promises = map[[2]string]time.Duration{}
	}
	c.promises[[2]string{asker.name, other.name}] = c.w.now + q.TTL
}

// kind names what runs on a node.
func (n *node) kind() string {
	if n.patroni {
		return "Patroni"
	}
	return "hathi"
}

// assured is until when no other member becomes a primary by what the members have promised to this one.
func (c *checker) assured(n *node) time.Duration {
	listed := dcs.DecodeFailsafe([]byte(c.w.etcd.text(dcs.KeyFailsafe)))
	if view := n.store.mirror.view(); view != nil { // else the agent has just begun, and its guard counts to what the one before was promised
		listed = view.Failsafe
	}
	if listed[n.name] == "" {
		return 0
	}
	until := c.w.now + time.Hour // for who is alone in the list
	for name := range listed {
		if name != n.name { // it may have left since, and keeps what it has promised
			until = min(until, c.promises[[2]string{n.name, name}])
		}
	}
	return until
}

// stray lets a question of a former primary arrive late: just when a member has taken the lock.
func (w *world) stray(to *node) {
	if to == nil {
		return
	}
	from := w.nodes[(slices.Index(w.nodes, to)+1)%len(w.nodes)]
	w.after(w.between(0, 400*time.Millisecond), func() {
		if w.faulty && to.agent != nil && !to.dead {
			(&peers{n: from}).deliver(to, cluster.FailsafeQuestion{Name: from.name, TTL: w.base.TTL}, nil)
		}
	})
}
