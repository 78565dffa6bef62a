package postgres

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/shmem"
)

// TestKilledServerLeavesNoMemory: nobody but the next server of a directory frees the memory of one that was killed, and
// a directory that was moved aside has no next server.
func TestKilledServerLeavesNoMemory(t *testing.T) {
	i := primary(t)
	segment, files := memoryOf(t, i)
	if err := shmem.Release(i.cfg.DataDir); err != nil || !hasSegment(t, segment) || missing(files) > 0 {
		t.Errorf("a server that runs: %v, segment %s there: %t, %d of %q are gone", err, segment, hasSegment(t, segment), missing(files), files)
	}
	if _, err := i.Stop(t.Context(), cluster.StopKill, false); err != nil {
		t.Fatal(err)
	}
	if !hasSegment(t, segment) || len(files) == 0 || missing(files) > 0 {
		t.Fatalf("a killed server has freed segment %s or some of %q by itself: the test is about nothing", segment, files)
	}
	must(t, i, i.MoveDataAside(t.Context()))
	if hasSegment(t, segment) || missing(files) < len(files) {
		t.Errorf("segment %s there: %t; %d of %q are gone", segment, hasSegment(t, segment), missing(files), files)
	}
}

// memoryOf gives the id of a server's segment and its files in /dev/shm: one that lists the others, and from PostgreSQL 15
// on at least that of the statistics.
func memoryOf(t *testing.T, i *Instance) (segment string, files []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(i.cfg.DataDir, "postmaster.pid"))
	must(t, i, err)
	f, err := readPIDFile(i.cfg.DataDir)
	must(t, i, err)
	segment = strings.Fields(strings.Split(string(text), "\n")[6])[1]
	found := map[string]bool{}
	pids, err := i.leftovers()
	must(t, i, err)
	for _, pid := range append(pids, f.pid) {
		maps, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "maps")) // it may have ended
		for line := range strings.Lines(string(maps)) {
			if _, file, ok := strings.Cut(line, " /dev/shm/PostgreSQL."); ok {
				found["/dev/shm/PostgreSQL."+strings.TrimSpace(file)] = true
			}
		}
	}
	return segment, slices.Sorted(maps.Keys(found))
}

func missing(files []string) int {
	n := 0
	for _, f := range files {
		if !exists(f) {
			n++
		}
	}
	return n
}

// hasSegment looks for the id of a System V segment. Source: proc(5), /proc/sysvipc/shm.
func hasSegment(t *testing.T, id string) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[1] == id {
			return true
		}
	}
	return false
}
