package guard

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/process"
)

// What the guard knows of PostgreSQL: a data directory, and signals.

// findPostmaster gives the living postmaster of a data directory; nil if there is none.
// Source: PostgreSQL 17, src/include/utils/pidfile.h: the first line is the process id.
func findPostmaster(dir, program string) *process.Handle {
	raw, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return nil
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 {
		return nil
	}
	h, err := process.Open(pid)
	if err != nil {
		return nil
	}
	if !process.Serves(pid, dir, program) { // a stranger who was given the number
		h.Close()
		return nil
	}
	return h
}

// anybodyIn reports whether any process of a server works in the data directory.
func anybodyIn(dir, program string) bool {
	pids, err := process.InDirectory(dir, program)
	if err != nil {
		// Without an answer somebody has to be taken to be there, but for a directory that does not exist.
		return !errors.Is(err, os.ErrNotExist)
	}
	return len(pids) > 0
}

// killServer leaves nothing of the server: SIGQUIT lets it tell its clients, SIGKILL asks nobody. The
// postmaster first, so that it does not answer the death of its children by starting others.
func killServer(ctx context.Context, dir, program string, postmaster *process.Handle, grace time.Duration) error {
	if postmaster != nil && !postmaster.Frozen() && postmaster.Signal(syscall.SIGQUIT) == nil {
		t := time.NewTimer(grace)
		defer t.Stop()
		select {
		case <-postmaster.Done():
		case <-t.C:
		}
	}
	if postmaster != nil {
		_ = postmaster.Signal(syscall.SIGKILL) // gone already is as good
	}
	return process.KillDirectory(ctx, dir, program)
}
