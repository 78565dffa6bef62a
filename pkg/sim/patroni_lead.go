package sim

import (
	"context"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// The model of Patroni: the lock is its own (10, 14.1), and what happens without etcd (17).

// lead is 10.1.
func (a *patroni) lead() (string, error) {
	if a.settings.Pause && !a.primary() {
		if a.view.Failover.Candidate == a.n.name {
			return "waiting to become primary after promote...", nil
		}
		a.release(0)
		return "removed leader lock because postgres is not running as primary", nil
	}
	locked, err := a.updateLock()
	switch {
	case err != nil:
		return "", err
	case !locked && !a.primary():
		return "not promoting because failed to update leader lock in DCS", nil
	case !locked && a.settings.Pause:
		return "continue to run as primary after failing to update leader lock in DCS", nil
	case !locked:
		a.demote("immediate-nolock")
		return "demoted self because failed to update leader lock in DCS", nil
	}
	a.writeStatus()
	if line := a.handle(); line != "" {
		return line, nil
	}
	a.checkpointOnce()
	return a.bePrimary("no action. I am ("+a.n.name+"), the leader with the lock", "promoted self to leader because I had the session lock")
}

// handle is 14.1: a request, seen by who leads.
func (a *patroni) handle() string {
	r := a.view.Failover
	if !r.Pending() || a.settings.Pause && !a.primary() || !r.ScheduledAt.IsZero() {
		return ""
	}
	switch {
	case r.Leader != "" && r.Leader != a.n.name, r.Candidate == a.n.name, a.settings.Pause && r.Candidate == "":
	case a.possible(a.manual(), 0):
		a.begin(r.Action()+": demote", a.handOver)
		return r.Action() + ": demoting myself"
	}
	a.clearFailover()
	return ""
}

// checkpointOnce is 12.4.
func (a *patroni) checkpointOnce() {
	if !a.primary() || a.checkpoint || a.checking {
		return
	}
	if a.server.CheckpointTimeline == a.server.Timeline {
		a.checkpoint = true
		return
	}
	a.checking = true
	a.r.p.spawn("checkpoint", func() {
		a.checkpoint = a.pg.Checkpoint(context.Background()) == nil
		a.checking = false
		a.woken = patroniNews{}
		a.n.wake()
	})
}

// bePrimary is 10.3.
func (a *patroni) bePrimary(already, promoted string) (string, error) {
	if a.primary() {
		a.role = cluster.RolePrimary
		err := a.keepSync()
		a.writeHistory()
		return already, err
	}
	if a.role == cluster.RolePrimary || a.role == cluster.RolePromoted {
		return already, a.keepSync()
	}
	if err := a.syncBeforePromotion(); err != nil {
		return "Postponing promotion because synchronous replication state was updated by somebody else", notConflict(err)
	}
	a.failsafe = patroniPing{}
	a.checkpoint = false
	a.begin("promote", func(ctx context.Context) {
		a.rewind = patroniRewindInitial
		a.role = cluster.RolePromoted
		if a.pg.Promote(ctx) == nil && ctx.Err() == nil {
			a.role = cluster.RolePrimary
		} else if a.role == cluster.RolePromoted {
			a.role = cluster.RoleReplica
		}
	})
	return promoted, nil
}

// withoutStore is section 17.
func (a *patroni) withoutStore() string {
	a.look()
	if a.settings.Pause || !a.primary() {
		return "DCS is not accessible"
	}
	if a.settings.FailsafeMode && a.agreed() {
		a.leads, a.leaderUntil = true, a.now().Add(a.settings.TTL)
		return "continue to run as a leader because failsafe mode is enabled and all members are accessible"
	}
	a.callOff()
	a.demote("offline")
	return "demoted self because DCS is not accessible and I was a leader"
}

// patroniPing is the last primary that has asked whether it may go on without etcd.
type patroniPing struct {
	name  string
	until clock.Instant
}

// agreed asks every member of /failsafe as it was last read or written.
func (a *patroni) agreed() bool {
	if a.listed[a.n.name] == "" {
		return false
	}
	others := map[string]string{}
	for name, url := range a.listed {
		if name != a.n.name {
			others[name] = url
		}
	}
	if len(others) == 0 {
		return true
	}
	q := cluster.FailsafeQuestion{Name: a.n.name} // it tells no ttl
	for _, answer := range (&peers{n: a.n}).AskFailsafe(context.Background(), others, q) {
		if !answer.Accepted {
			return false
		}
	}
	return true
}

// answer is the other side.
func (a *patroni) answer(q cluster.FailsafeQuestion) error {
	if !a.settings.FailsafeMode {
		return errStore
	}
	if a.server.State == cluster.StateRunning && a.role == cluster.RolePrimary {
		return errStore
	}
	if (a.leads || a.role == cluster.RolePromoted || a.n.server.canAck()) && !a.w.weak(weakAccept) {
		return errStore
	}
	a.failsafe = patroniPing{name: q.Name, until: a.now().Add(a.settings.TTL)}
	return nil
}

// writeFailsafe is keyspace.md 4.10.
func (a *patroni) writeFailsafe() {
	members := map[string]string{a.n.name: "http://" + a.n.name + ":8008/patroni"}
	for _, m := range a.view.Members {
		if m.APIURL != "" {
			members[m.Name] = m.APIURL
		}
	}
	if a.put(dcs.KeyFailsafe, dcs.EncodeFailsafe(members)) {
		a.listed = members
	}
}

// told is what GET /patroni answers: without a position if the server can't be asked.
func (a *patroni) told() cluster.PeerStatus {
	s := a.pg.Observe(context.Background())
	if !s.Answered {
		return cluster.PeerStatus{Error: "it does not know its position"}
	}
	return cluster.PeerStatus{
		Reachable: true, InRecovery: s.InRecovery, Position: s.Position(), Timeline: s.Timeline, Tags: a.tags(),
	}
}
