package guard

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/process"
)

// What the guard knows of PostgreSQL: a postmaster, a data directory, and signals.

// hold takes hold of the postmaster of a charge. It is the process that the agent named, whatever its program is
// called: the agent has started it or found it by its pid file. One that has ended is not looked for again, its
// number may be somebody else's.
func (g *guard) hold(postmaster *process.Handle) {
	g.letGo()
	g.server = postmaster
	if postmaster == nil {
		return
	}
	g.watch(postmaster)
	g.learn()
}

// learn takes down the names of the program that the postmaster runs, by which its children are found when it is
// gone.
func (g *guard) learn() { g.programs.Learn(g.server, g.o.DataDir) }

// serverDead reports whether the postmaster is gone.
func (g *guard) serverDead() bool { return g.server == nil || !g.server.Alive() }

// letGo forgets the server.
func (g *guard) letGo() {
	g.armed, g.stopping, g.complaint = false, false, ""
	if g.server != nil {
		g.server.Close()
		g.server = nil
	}
}

// killServer leaves nothing of the server: SIGQUIT lets it tell its clients, SIGKILL asks nobody. The
// postmaster first, so that it does not answer the death of its children by starting others.
func (g *guard) killServer(ctx context.Context, grace time.Duration) error {
	g.learn()
	h := g.server
	if h == nil {
		return process.KillDirectory(ctx, g.o.DataDir, g.programs...)
	}
	if !h.Frozen() && h.Signal(syscall.SIGQUIT) == nil {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-h.Done():
		case <-t.C:
		}
	}
	children := process.ChildrenOf(h)
	_ = h.Signal(syscall.SIGKILL) // gone already is as good
	if err := children.Kill(ctx); err != nil {
		return err
	}
	if err := process.KillDirectory(ctx, g.o.DataDir, g.programs...); err != nil {
		return err
	}
	select {
	case <-h.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the postmaster (pid %d): %w", h.PID(), context.Cause(ctx))
	}
}
