package postgres

import (
	"context"
	"log/slog"
	"sync"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// The callbacks. Source: Patroni 4.1, postgresql/callback_executor.py and postgresql/__init__.py.
const (
	onStart      = "on_start"
	onStop       = "on_stop"
	onRestart    = "on_restart"
	onReload     = "on_reload"
	onRoleChange = "on_role_change"
)

// callbackRunner runs the user's callbacks beside everything else, one at a time: a newer one kills an older one,
// and takes the place of one that still waits. on_reload has a place of its own.
type callbackRunner struct {
	log *slog.Logger

	mu    sync.Mutex
	place map[bool]*running

	// role is what the server was when callbacks were last told, or would have been; empty: not known yet.
	role cluster.Role
	// called: a callback other than on_reload was called for, by this agent.
	called bool
	// announce is the callback of a server that is not ready yet; empty: none.
	announce string
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// fire calls for the callback of an action in the role that the server has. Nothing is told of a cluster that is
// not founded yet.
func (i *Instance) fire(action string) {
	if action == "" || i.isFounding() {
		return
	}
	cfg := i.config()
	r := &i.callbacks
	r.mu.Lock()
	defer r.mu.Unlock()
	r.called = r.called || action != onReload
	if r.role == "" {
		r.role = inspectRole(cfg.DataDir)
	}
	line := cfg.Callbacks[action]
	if line == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	before := r.place[action == onReload]
	now := &running{cancel: cancel, done: make(chan struct{})}
	r.place[action == onReload] = now
	c := command{path: line, args: []string{action, string(r.role), cfg.Scope}, user: true, free: true, atOnce: true}
	go func() {
		defer close(now.done)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.done
		}
		if _, err := i.run(ctx, c); err != nil && ctx.Err() == nil {
			r.log.Warn("callback failed", "action", action, "error", err)
		}
	}()
}

// become notes what the server is now, and gives the callback that tells it: the usual one, or on_role_change if
// it was a primary that follows now, or began or ceased to follow a server outside of the cluster.
// Source: Patroni 4.1, postgresql/__init__.py, follow.
func (r *callbackRunner) become(role cluster.Role, usual string) (action string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.role
	r.role = role
	if r.called && before != "" && before != role && role != cluster.RolePrimary && role != cluster.RoleDemoted {
		return onRoleChange
	}
	return usual
}

// later keeps the callback of a server that is not ready yet until it is.
func (r *callbackRunner) later(action string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.announce = action
}

// adopted notes a server that somebody else has started: what it is shows when it answers.
func (r *callbackRunner) adopted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.role, r.announce = "", onStart
}

// due gives the callback that was kept, once, for a server that has been found to be ready.
func (r *callbackRunner) due(inRecovery bool) (action string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	action, r.announce = r.announce, ""
	if r.role == "" {
		r.role = map[bool]cluster.Role{true: cluster.RoleReplica, false: cluster.RolePrimary}[inRecovery]
	}
	return action
}

// toldStop notes that the server was stopped and gives the role that on_stop is told: a primary that could hand
// over is demoted by then. Source: postgresql.md 1.12, the observed sequences.
func (i *Instance) toldStop(mode cluster.StopMode) {
	r := &i.callbacks
	demoted := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.role == cluster.RolePrimary {
			r.role = cluster.RoleDemoted
		}
	}
	if mode == cluster.StopFast {
		demoted()
	}
	i.fire(onStop)
	demoted()
}

// roleUnder is what a server in recovery is under an upstream.
func roleUnder(u cluster.Upstream) cluster.Role {
	if u.Host != "" && u.Member == "" {
		return cluster.RoleStandbyLeader
	}
	return cluster.RoleReplica
}
