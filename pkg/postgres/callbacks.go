package postgres

import (
	"context"
	"log/slog"
	"sync"
)

// callbackRunner runs the user's callbacks one after the other, beside everything else. A newer one of the
// same kind ends an older one first. Source: Patroni 4.1, postgresql/callback_executor.py.
type callbackRunner struct {
	log *slog.Logger

	mu   sync.Mutex
	kind map[bool]*running // on_reload has a place of its own
}

type running struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// fire starts the callback of an action, if there is one: command, action, role, scope.
func (i *Instance) fire(action string) {
	cfg := i.config()
	line := cfg.Callbacks[action]
	if line == "" {
		return
	}
	role := "primary"
	switch {
	case hasStandbySignal(cfg.DataDir):
		role = "replica"
	case action == "on_stop":
		role = "demoted"
	}
	r := &i.callbacks
	ctx, cancel := context.WithCancel(context.Background())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kind == nil {
		r.kind = make(map[bool]*running)
	}
	before := r.kind[action == "on_reload"]
	now := &running{cancel: cancel, done: make(chan struct{})}
	r.kind[action == "on_reload"] = now
	go func() {
		defer close(now.done)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.done
		}
		if _, err := i.run(ctx, command{path: line, args: []string{action, role, cfg.Scope}, user: true, free: true}); err != nil && ctx.Err() == nil {
			r.log.Warn("callback failed", "action", action, "error", err)
		}
	}()
}
