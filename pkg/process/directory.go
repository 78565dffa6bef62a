package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// InDirectory gives the processes of the PostgreSQL server of a data directory: those whose working
// directory it is and whose program is named postgres. Every process of a server has its data directory as
// working directory, so this finds a postmaster's children also when it is gone and they belong to nobody.
// Source: PostgreSQL 17, src/backend/utils/init/miscinit.c, ChangeToDataDir.
func InDirectory(dir string) ([]int, error) {
	want, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("look for processes in %s: %w", dir, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes in %s: %w", dir, err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if belongs(pid, want) {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// belongs compares device and inode, because a directory has many paths.
func belongs(pid int, dir os.FileInfo) bool {
	base := "/proc/" + strconv.Itoa(pid)
	cwd, err := os.Stat(base + "/cwd")
	if err != nil || !os.SameFile(cwd, dir) {
		return false
	}
	exe, err := os.Readlink(base + "/exe")
	if err != nil {
		return false
	}
	name := filepath.Base(exe)
	// The kernel marks a program whose file was replaced, as a package upgrade does.
	return name == "postgres" || name == "postgres (deleted)"
}

// KillDirectory sends SIGKILL to all processes of a data directory and waits until none is left. New ones
// that a dying postmaster still forks are found by looking again. It fails only when ctx ends first.
func KillDirectory(ctx context.Context, dir string) error {
	for {
		pids, err := InDirectory(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if err := killOne(ctx, pid); err != nil {
				return fmt.Errorf("kill the processes in %s: %w", dir, err)
			}
		}
	}
}

func killOne(ctx context.Context, pid int) error {
	h, err := Open(pid)
	if errors.Is(err, ErrGone) {
		return pause(ctx) // a zombie whose parent is slow still has its place in /proc
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if err := h.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	select {
	case <-h.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d: %w", pid, context.Cause(ctx))
	}
}

// pause: nothing tells that a zombie has been reaped by somebody else.
func pause(ctx context.Context) error {
	t := time.NewTimer(2 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// SetSubreaper makes this process the parent of orphans below it, so that it can reap them.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}
