package leftover

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// mounts gives what is mounted in a directory.
func mounts(dir string) (paths []string) {
	table, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(table)) {
		if fields := strings.Fields(line); len(fields) > 1 && within(fields[1], dir) {
			paths = append(paths, fields[1])
		}
	}
	return paths
}

// thaw lets disks go on that a test has made hang: who waits for one can't be killed.
func thaw(paths []string) {
	for _, p := range paths {
		if f, err := os.Open(p); err == nil {
			_ = unix.IoctlSetInt(int(f.Fd()), fithaw, 0) // one that does not hang says so
			f.Close()
		}
	}
}

// fithaw is FITHAW of linux/fs.h: _IOWR('X', 120, int).
const fithaw = 0xc0045878

func unmount(paths []string) (err error) {
	for _, p := range paths {
		if failed := unix.Unmount(p, unix.MNT_DETACH); failed != nil {
			err = errors.Join(err, fmt.Errorf("unmount %s: %w", p, failed))
		}
	}
	return err
}
