// Package leftover removes what the processes of a test leave on the machine: the processes themselves, the shared
// memory of PostgreSQL servers that were killed, and their files. It does so also when the test binary dies.
package leftover

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/postgres/shmem"
)

// endLimit is how long the kernel may take to end processes on a busy machine.
const endLimit = 20 * time.Second

// Remove ends by force all that works in a directory or has a path in it as an argument, unmounts what is mounted in it,
// and removes it.
func Remove(dir string) error {
	disks := mounts(dir)
	thaw(disks)
	mine := func(p Process) bool {
		return p.PID != os.Getpid() && (within(p.Cwd, dir) || slices.ContainsFunc(p.Args, func(a string) bool { return within(a, dir) }))
	}
	err := End(mine)
	if err != nil && len(disks) > 0 { // what lets a disk hang now and then may have been the quicker one
		thaw(disks)
		err = End(mine)
	}
	return errors.Join(err, freeMemory(dir), unmount(disks), os.RemoveAll(dir))
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// freeMemory frees the shared memory of servers whose data directories lie in a directory.
func freeMemory(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // it has gone meanwhile, or RemoveAll tells
		case !d.IsDir():
			return nil
		}
		if err := shmem.Release(path); err != nil {
			return err
		}
		if _, err := os.Lstat(filepath.Join(path, "PG_VERSION")); err == nil {
			return fs.SkipDir // nobody's data lies in a database
		}
		return nil // it may be data, too: of a copy that has only begun
	})
}

// End kills all processes that are mine and waits until they are gone. Guard and agent start each other again, so it stops
// them all until it finds none that it has not stopped: whoever is stopped starts nobody.
func End(mine func(Process) bool) error {
	for deadline := time.Now().Add(endLimit); ; {
		pids := freezeAll(mine)
		switch {
		case len(pids) == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("processes %v live %s after they were killed", pids, endLimit)
		}
		for _, pid := range pids {
			signal(pid, syscall.SIGKILL)
		}
		time.Sleep(5 * time.Millisecond) // several processes without a common parent: nothing to wait on
	}
}

func freezeAll(mine func(Process) bool) []int {
	frozen := map[int]bool{}
	for found := true; found; {
		found = false
		for _, p := range Processes() {
			if !frozen[p.PID] && p.State != "Z" && mine(p) {
				frozen[p.PID], found = true, true
				signal(p.PID, syscall.SIGSTOP)
			}
		}
	}
	return slices.Collect(maps.Keys(frozen))
}

func signal(pid int, sig syscall.Signal) {
	if pid > 1 {
		_ = syscall.Kill(pid, sig) // gone already is as good
	}
}
