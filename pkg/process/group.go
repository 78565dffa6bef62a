package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Group are processes that are held, to be killed together.
type Group []*Handle

// ChildrenOf takes hold of the children of a postmaster before it is killed. KillDirectory finds them by their working
// directory; this finds one, too, that has left it (code in an untrusted language may do that) or hides it. Nothing
// is found on a kernel that does not tell. Source: proc(5), children.
func ChildrenOf(h *Handle) Group {
	// Each thread has children of its own. A postmaster has one thread, unless a library has started another.
	lists, _ := filepath.Glob("/proc/" + strconv.Itoa(h.pid) + "/task/*/children") // fails only for a bad pattern
	var pids strings.Builder
	for _, list := range lists {
		raw, _ := os.ReadFile(list) // a thread that has ended leaves its children to another
		pids.Write(raw)
	}
	if !h.Alive() { // the number may be somebody else's by now
		return nil
	}
	var g Group
	for f := range strings.FieldsSeq(pids.String()) {
		if n, err := strconv.Atoi(f); err == nil {
			if child, err := Open(n); err == nil {
				g = append(g, child)
			}
		}
	}
	return g
}

// Kill kills them all and waits until they have ended, which they must have when the directory is asked about again.
// All are signalled before any is waited for: a server can have thousands of processes, and each takes its time to
// give back its memory. Kill lets go of them, and fails when ctx ends first or one can't be killed.
func (g Group) Kill(ctx context.Context) error {
	defer g.Close()
	var failed []error
	for _, h := range g {
		if err := h.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
			failed = append(failed, err)
		}
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	for _, h := range g {
		select {
		case <-h.Done():
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d: %w", h.pid, context.Cause(ctx))
		}
	}
	return nil
}

// Close lets go of them.
func (g Group) Close() {
	for _, h := range g {
		h.Close()
	}
}
