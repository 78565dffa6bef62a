package sim

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// The model of Patroni: whom a member follows, and what it does about a history that has left its leader's (11, 12).

const patroniSecond = time.Second

// patroniRewind is what is known about that.
type patroniRewind int

const (
	patroniRewindInitial patroniRewind = iota
	patroniRewindCheck
	patroniRewindNeed
	patroniRewindNot
	patroniRewindDone
	patroniRewindFailed
)

// followOther is 10.2: somebody else holds the lock.
func (a *patroni) followOther() (string, error) {
	return a.follow("demoting self because I do not have the lock and I was a leader",
		"no action. I am ("+a.n.name+"), a secondary, and following a leader ("+a.view.Leader.Name+")")
}

// upstream is how a member is reached.
func (a *patroni) upstream(name string) cluster.Upstream {
	m, ok := a.view.Member(name)
	if !ok || name == a.n.name {
		return cluster.Upstream{}
	}
	host, port := m.Address()
	return cluster.Upstream{Member: name, Host: host, Port: port, Slot: cluster.SlotName(a.n.name)}
}

// target is 11.1: nobody while there is no leader.
func (a *patroni) target() cluster.Upstream {
	if from := a.n.tags.ReplicateFrom(); from != "" && from != a.n.name {
		if u := a.upstream(from); u.Host != "" {
			return u
		}
	}
	if !a.view.Locked() {
		return cluster.Upstream{}
	}
	return a.upstream(a.view.Leader.Name)
}

// follow is 11.2.
func (a *patroni) follow(demoted, followed string) (string, error) {
	rewind := a.view.Locked() && (a.rewind == patroniRewindCheck || a.rewind == patroniRewindNeed)
	to := a.target()
	if a.settings.Pause && !rewind {
		if a.primary() {
			a.role = cluster.RolePrimary
			return "continue to run as primary without lock", nil
		}
		a.role = cluster.RoleReplica
		if to.Host == "" {
			return "no action. I am (" + a.n.name + ")", nil
		}
	}
	if !a.settings.Pause && a.primary() {
		a.demote("immediate-nolock")
		return demoted, nil
	}
	if !a.followed {
		a.followed = true
		a.trigger()
	}
	if line, done := a.decideRewind(); done {
		return line, nil
	}
	a.role = cluster.RoleReplica
	if have := a.server.PrimaryConninfo; a.server.Answered && (have.Host != to.Host || have.Port != to.Port) {
		_ = a.pg.Follow(context.Background(), to)
		a.trigger()
	}
	return followed, nil
}

// trigger asks for a look at the histories (12.1). It always has an effect here: each run can rewind or copy.
func (a *patroni) trigger() {
	if a.rewind != patroniRewindNeed {
		a.rewind = patroniRewindCheck
	}
}

// decideRewind is 12.2 and 12.3.
func (a *patroni) decideRewind() (string, bool) {
	leader := a.view.Leader.Name
	if !a.view.Locked() || a.mine() {
		return "", false
	}
	m, known := a.view.Member(leader)
	if !known || m.Role != cluster.RolePrimary {
		return "", false
	}
	to := a.upstream(leader)
	if a.rewind == patroniRewindCheck {
		a.check(to)
	}
	if a.rewind != patroniRewindNeed {
		return "", false
	}
	if !a.settings.UsePgRewind {
		a.begin("reinitializing due to diverged timelines", func(ctx context.Context) { a.cloneAnew(ctx, to) })
		return "reinitializing due to diverged timelines", true
	}
	if control := a.server.Control; !a.up() && control != nil && control.State == "in archive recovery" && !a.crashTried {
		a.crashTried = true
		a.begin("doing crash recovery in a single user mode", func(ctx context.Context) { _ = a.pg.CrashRecovery(ctx) })
		return "doing crash recovery in a single user mode", true
	}
	if m.CheckpointPending {
		return "Waiting for checkpoint on " + leader + " before rewind", true
	}
	a.begin("running pg_rewind from "+leader, func(ctx context.Context) { a.runRewind(ctx, to) })
	return "running pg_rewind from " + leader, true
}

// check compares the histories. What it can't find out now it asks again in the next cycle.
func (a *patroni) check(leader cluster.Upstream) {
	if !a.up() {
		switch control := a.server.Control; {
		case control == nil:
			return
		case control.State != "shut down" && control.State != "shut down in recovery" && control.State != "in archive recovery":
			return
		}
	}
	d, err := a.pg.CheckDivergence(context.Background(), leader)
	switch {
	case err != nil:
	case d.Needed:
		a.rewind = patroniRewindNeed
	default:
		a.rewind = patroniRewindNot
	}
}

// needsRewind is the question that a former primary asks before it starts.
func (a *patroni) needsRewind(leader cluster.Upstream) bool {
	d, err := a.pg.CheckDivergence(context.Background(), leader)
	return err == nil && d.Needed
}

// runRewind is the end of section 12.3: what fails against a healthy primary is copied anew.
func (a *patroni) runRewind(ctx context.Context, leader cluster.Upstream) {
	if a.pg.Rewind(ctx, leader) == nil {
		a.rewind = patroniRewindDone
		return
	}
	if _, err := a.pg.CheckDivergence(ctx, leader); err == nil && a.settings.RemoveDataDirOnRewindFailure && ctx.Err() == nil {
		a.rewind = patroniRewindFailed
		a.cloneAnew(ctx, leader)
	}
}

// cloneAnew removes the data and copies the leader's.
func (a *patroni) cloneAnew(ctx context.Context, leader cluster.Upstream) {
	_, _ = a.pg.Stop(ctx, cluster.StopImmediate, false)
	if a.pg.Clone(ctx, cluster.Copy{From: leader, Replace: true}) == nil && ctx.Err() == nil {
		a.rewind = patroniRewindInitial
		a.recovering = true
		a.start(ctx, leader)
	}
}
