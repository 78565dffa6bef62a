package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// cpuTime gives the time that a process has run. Source: proc_pid_stat(5), with the kernel's hundredths of a second.
func cpuTime(t *testing.T, pid uint32) time.Duration {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	user, err1 := strconv.Atoi(f[11])
	system, err2 := strconv.Atoi(f[12])
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// TestObserveIsCheap holds what one look costs; an agent at rest takes one each ten seconds.
func TestObserveIsCheap(t *testing.T) {
	i := primary(t)
	i.Observe(t.Context())
	r := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if s := i.Observe(context.Background()); !s.Answered || s.Process != cluster.ProcessRunning {
				b.Fatalf("%+v", s)
			}
		}
	})
	t.Logf("one observation: %s, %s", r, r.MemString())
	const looks = 500
	queries := func() int { return strings.Count(serverLog(i), "execute monitor") }
	statements := func() int {
		return strings.Count(serverLog(i), "LOG:  execute") + strings.Count(serverLog(i), "LOG:  statement")
	}
	sql(t, i, "SELECT 'before all looks'") // what was logged before it is in the file when it is
	waitFor(t, "the log", func() bool { return strings.Contains(serverLog(i), "before all looks") })
	before, all, cpu := queries(), statements(), cpuTime(t, i.watch.conn.PID())
	for range looks {
		i.Observe(t.Context())
	}
	each := (cpuTime(t, i.watch.conn.PID()) - cpu) / looks
	waitFor(t, "all that was asked in the log", func() bool { return queries()-before >= looks }) // another process writes it
	if now, other := queries()-before, statements()-all; now != looks || other != looks {
		t.Errorf("%d observations took %d monitoring queries and %d statements", looks, now, other)
	}
	// One takes place each loop_wait, ten seconds by default.
	load := each.Seconds() / 10
	t.Logf("the server spends %s on one observation: %.4f %% of a CPU", each, 100*load)
	if load > 0.001 {
		t.Errorf("a server that is observed spends %.2f %% of a CPU on that", 100*load)
	}
	if r.AllocedBytesPerOp() > 256<<10 {
		t.Errorf("one observation allocates %d bytes", r.AllocedBytesPerOp())
	}
}
