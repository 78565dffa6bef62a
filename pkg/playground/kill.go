package playground

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/postgres/shmem"
	"github.com/hathi-ha/hathi/pkg/process"
)

// killTree ends by force what is left of a node: the processes that have its configuration as an argument,
// and its PostgreSQL with the shared memory of that.
func killTree(data, config string) {
	for _, pid := range withArgument(config) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = process.KillDirectory(ctx, data, "") // what could not be killed now can't be killed at all
	_ = shmem.Release(data)                  // nobody could do more about what stays
}

func withArgument(arg string) []int {
	var pids []int
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), "\x00"+arg+"\x00") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
