package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// InDirectory gives the processes of the PostgreSQL server of a data directory: those whose working
// directory it is and whose program is named postgres. Every process of a server has its data directory as
// working directory, so this finds a postmaster's children also when it is gone and they belong to nobody.
// Zombies are not among them.
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
// that a dying postmaster still forks are found by looking again. It fails when ctx ends first, or when a
// process can't be killed; the others are killed all the same.
func KillDirectory(ctx context.Context, dir string) error {
	for {
		pids, err := InDirectory(dir)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil || len(pids) == 0 {
			return err
		}
		if err := killAll(ctx, pids, dir); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("kill the processes in %s: %w", dir, err)
		}
	}
}

// killAll signals all before it waits for any: a server can have thousands of processes, and each takes its
// time to give back its memory.
func killAll(ctx context.Context, pids []int, dir string) error {
	want, err := os.Stat(dir)
	if err != nil {
		return err
	}
	var failed []error
	for _, pid := range pids {
		failed = append(failed, killOne(pid, want))
	}
	if err := errors.Join(failed...); err != nil {
		return err
	}
	for _, pid := range pids {
		if err := awaitEnd(ctx, pid, want); err != nil {
			return err
		}
	}
	return nil
}

func killOne(pid int, dir os.FileInfo) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if !belongs(pid, dir) { // now that the pidfd is held: the number may have become somebody else's
		return nil
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	return nil
}

// awaitEnd waits for the end of a process that was killed.
func awaitEnd(ctx context.Context, pid int, dir os.FileInfo) error {
	h, err := Open(pid)
	if errors.Is(err, ErrGone) {
		return nil
	}
	if err != nil {
		return err
	}
	defer h.Close()
	if !belongs(pid, dir) { // as above
		return nil
	}
	select {
	case <-h.Done():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for process %d: %w", pid, context.Cause(ctx))
	}
}

// SetSubreaper makes this process the parent of orphans below it, so that it can reap them.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}
