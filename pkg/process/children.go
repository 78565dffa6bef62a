package process

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Children are the children of a process while it lived.
type Children []*Handle

// ChildrenOf takes hold of the children of a postmaster before it is killed. KillDirectory finds them by their working
// directory; this finds one, too, that has left it (code in an untrusted language may do that) or hides it. Nothing
// is found on a kernel that does not tell. Source: proc(5), children.
func ChildrenOf(h *Handle) Children {
	pid := strconv.Itoa(h.pid)
	raw, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil || !h.Alive() { // the number may be somebody else's by now
		return nil
	}
	var c Children
	for f := range strings.FieldsSeq(string(raw)) {
		if n, err := strconv.Atoi(f); err == nil {
			if child, err := Open(n); err == nil {
				c = append(c, child)
			}
		}
	}
	return c
}

// Kill kills them all and waits until they have ended, which they must have when the directory is asked about again.
// It lets go of them, and fails when ctx ends first.
func (c Children) Kill(ctx context.Context) error {
	for _, h := range c {
		_ = h.Signal(syscall.SIGKILL) // gone already is as good
		defer h.Close()
	}
	for _, h := range c {
		select {
		case <-h.Done():
		case <-ctx.Done():
			return fmt.Errorf("wait for process %d: %w", h.pid, context.Cause(ctx))
		}
	}
	return nil
}
