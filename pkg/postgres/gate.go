package postgres

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// GuardServer has a guard take over a process that is about to become a server, named by its id and its start in
// clock ticks since boot. With an error it does not become one.
type GuardServer = func(ctx context.Context, pid int, ticks uint64) error

// gate holds a process back that is to become a server, until a guard knows it: at no moment is there a server
// that could write and that nobody would kill when the leader lock ends. The process waits before it runs the
// program, whose process id it keeps, and ends if we do.
type gate struct {
	ours, theirs *os.File // the ends of a pipe; nil: there is no gate
}

// gated gives the command of a program that waits at a gate, if it shall. A PostgreSQL server can't be without a
// shell: it needs one for archive_command and the like.
func gated(program string, args []string, wait bool) (*exec.Cmd, *gate, error) {
	if !wait {
		return exec.Command(program, args...), &gate{}, nil
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, nil, fmt.Errorf("make a pipe for %s: %w", program, err)
	}
	// The end of the pipe without a word is a refusal.
	cmd := exec.Command("/bin/sh", append([]string{"-c", `read -r word <&3 && exec "$@" 3<&-`, "sh", program}, args...)...)
	cmd.ExtraFiles = []*os.File{theirs}
	return cmd, &gate{ours: ours, theirs: theirs}, nil
}

func (g *gate) open() error {
	if g.ours == nil {
		return nil
	}
	_, err := g.ours.WriteString("go\n")
	return err
}

// close may be called more than once.
func (g *gate) close() {
	if g.ours != nil {
		g.ours.Close()
		g.theirs.Close()
	}
}
