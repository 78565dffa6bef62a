package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
	g.learn(patience)
}

// patience is how long the guard waits for what takes no time unless the file system of the data does not answer.
const patience = 50 * time.Millisecond

// learn takes down the marks of the server, by which its children are found when the postmaster is gone. The file
// system is asked beside the loop, for it may not answer; the loop waits only for so long.
func (g *guard) learn(limit time.Duration) {
	g.learned(0)
	if g.server == nil || g.learning != nil {
		return
	}
	h, answer := g.server, make(chan process.Marks, 1)
	g.learning = answer
	go func() { answer <- process.MarksOf(h, g.o.DataDir) }()
	g.learned(limit)
}

// learned takes in the answer, if there is one within the limit.
func (g *guard) learned(limit time.Duration) {
	var m process.Marks
	select {
	case m = <-g.learning:
	default:
		if limit == 0 || g.learning == nil {
			return
		}
		t := time.NewTimer(limit)
		defer t.Stop()
		select {
		case m = <-g.learning:
		case <-t.C:
			return
		}
	}
	g.learning = nil
	g.marks.Programs.Add(m.Programs)
	if m.Place != "" {
		g.marks.Place, g.marks.Mounts = m.Place, m.Mounts
	}
}

// serverDead reports whether the postmaster is gone.
func (g *guard) serverDead() bool { return g.server == nil || !g.server.Alive() }

// letGo forgets the server.
func (g *guard) letGo() {
	g.armed, g.stopping, g.complaint = false, false, ""
	if g.look != nil {
		go g.look.forget()
		g.look = nil
	}
	if g.server != nil {
		g.server.Close()
		g.server = nil
	}
}

// killServer leaves nothing of the server: SIGQUIT lets it tell its clients, SIGKILL asks nobody. The
// postmaster first, so that it does not answer the death of its children by starting others. What is known by process
// id or by name ends before the file system of the data is asked, which may not answer.
func (g *guard) killServer(ctx context.Context, grace time.Duration) error {
	g.learn(patience)
	h := g.server
	if h != nil {
		if err := killPostmaster(ctx, h, grace); err != nil {
			return err
		}
	}
	err := g.marks.Kill(ctx) // whom it could not kill may be found by the directory
	if err = errors.Join(err, g.killRest(ctx)); err != nil || h == nil {
		return err
	}
	select {
	case <-h.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the postmaster (pid %d): %w", h.PID(), context.Cause(ctx))
	}
}

func killPostmaster(ctx context.Context, h *process.Handle, grace time.Duration) error {
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
	return children.Kill(ctx)
}

// killRest kills what works in the data directory, until nothing does. It fails when ctx ends first, and at once if
// the file system has still not answered what it was asked at another try.
func (g *guard) killRest(ctx context.Context) error {
	asked := g.look != nil
	for {
		if g.look == nil {
			g.look = lookInto(g.o.DataDir, g.marks.Programs)
		}
		if asked && !g.look.over() || !g.look.await(ctx) {
			return fmt.Errorf("look for processes in %s: its file system does not answer", g.o.DataDir)
		}
		found, unknown := g.look.found, g.look.err
		g.look, asked = nil, false
		if len(found) == 0 {
			return unknown
		}
		if err := found.Kill(ctx); err != nil {
			return errors.Join(err, unknown)
		}
	}
}

// look is a question for the processes of a data directory.
type look struct {
	done  chan struct{} // closed when it was answered
	found process.Group
	err   error
}

func lookInto(dir string, programs process.Programs) *look {
	l := &look{done: make(chan struct{})}
	programs = slices.Clone(programs)
	go func() {
		defer close(l.done)
		l.found, l.err = process.HoldDirectory(dir, programs...)
	}()
	return l
}

func (l *look) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func (l *look) await(ctx context.Context) bool {
	select {
	case <-l.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// forget lets go of what is found when nobody wants it any more.
func (l *look) forget() {
	<-l.done
	l.found.Close()
}
