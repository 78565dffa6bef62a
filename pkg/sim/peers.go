package sim

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// peers asks other agents for their state, as the REST client does; it implements agent.Peers.
type peers struct{ n *node }

// askLimit is how long an answer is waited for. Source: pkg/api, client.
const askLimit = 2 * time.Second

// Ask implements agent.Peers.
func (p *peers) Ask(_ context.Context, members []cluster.Member) []cluster.PeerStatus {
	answers := make([]cluster.PeerStatus, len(members))
	wait := p.n.w.newWaiter()
	missing := len(members)
	for i, m := range members {
		answers[i] = cluster.PeerStatus{Name: m.Name, Error: "no answer in time"}
		p.ask(m.Name, func(s cluster.PeerStatus) {
			if wait.fired {
				return
			}
			s.Name = m.Name
			answers[i] = s
			if missing--; missing == 0 {
				wait.fire()
			}
		})
	}
	if missing == 0 {
		return answers
	}
	wait.limit(askLimit)
	wait.wait()
	return answers
}

// ask sends one question; then is called when the answer has come, if it comes.
func (p *peers) ask(name string, then func(cluster.PeerStatus)) {
	w := p.n.w
	other := w.node(name)
	if other == nil {
		return // it has left
	}
	there, ok := w.net.carry(p.n.number, other.number)
	if !ok {
		return
	}
	reply := func(s cluster.PeerStatus) {
		if back, ok := w.net.carry(other.number, p.n.number); ok {
			w.after(back+w.between(500*time.Microsecond, 5*time.Millisecond), func() { then(s) })
		}
	}
	w.after(there, func() {
		if other.dead {
			return
		}
		if other.agent == nil {
			reply(cluster.PeerStatus{Error: "connection refused"})
			return
		}
		a := other.agent
		a.p.run(func() { a.p.spawn("answer", func() { reply(a.told(p.n.patroni)) }) })
	})
}

// told is what GET /patroni tells, and what Patroni reads of it; see package api, documents and client.
func (r *runner) told(patroni bool) cluster.PeerStatus {
	if r.patroni != nil {
		return r.patroni.told()
	}
	s := r.agent.Look(context.Background())
	position := s.Server.Position()
	if patroni {
		counting := s.Server.Counting(s.View)
		position = counting.Position()
		if s.Server.Withheld(s.View, s.Settings.SynchronousMode, s.Name) {
			position = 0
		}
	}
	switch s.State {
	case cluster.StateRunning, cluster.StateRestarting, cluster.StateStarting:
	default:
		position = 0
	}
	if position == 0 {
		mayWrite := s.Server.Promoting || s.Role == cluster.RolePrimary && s.Server.Process != cluster.ProcessNone
		return cluster.PeerStatus{Error: "it does not know its position", MayWrite: mayWrite, Stopped: s.State == cluster.StateStopped && !mayWrite}
	}
	return cluster.PeerStatus{
		Reachable: true, InRecovery: s.Server.InRecovery, Position: position,
		Timeline: s.Server.Timeline, History: s.Server.History, Tags: s.Tags, Replaying: s.Server.Replaying, Copied: s.Server.Copied && s.Server.InRecovery,
		WatchdogFailed: s.WatchdogFailed, MayWrite: s.Server.Promoting && s.Server.InRecovery,
	}
}
