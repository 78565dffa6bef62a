package postgres

import (
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/process"
)

// forgotten recognises a fast stop that has no end:
//
//  1. a child of the postmaster dies by a signal, and the postmaster restarts all of them;
//  2. before the recovery has begun it is asked to stop;
//  3. it ends the startup process, and takes the crash for still under way, in which everybody was told to end at once;
//  4. the new checkpointer was told nothing. It sleeps, and the postmaster waits for it for ever.
//
// A checkpointer that was told to end works, or waits for a disk. Source: PostgreSQL 15, postmaster.c,
// PostmasterStateMachine, PM_WAIT_BACKENDS with FatalError; seen with 15.18.
type forgotten struct {
	pid   int
	cpu   uint64
	looks int // at the same checkpointer, which slept and had done nothing since the one before
}

// forgottenLooks is how many looks, a stopGrace apart, make sure of it.
const forgottenLooks = 3

// look reports whether by now it is sure that a postmaster waits in vain. left gives the processes of the server.
func (f *forgotten) look(postmaster int, left func() ([]int, error)) bool {
	pids, err := left()
	// The workers of PostgreSQL 18 for input and output, "io worker 0", end after the checkpointer.
	pids = slices.DeleteFunc(pids, func(pid int) bool { return pid == postmaster || titled(pid, "logger") || titled(pid, "io") })
	if err != nil || len(pids) != 1 || !titled(pids[0], "checkpointer") {
		*f = forgotten{}
		return false
	}
	h, err := process.Open(pids[0])
	if err != nil {
		return false // it has ended
	}
	defer h.Close()
	asleep, cpu := h.Asleep()
	switch {
	case !asleep:
		*f = forgotten{}
		return false
	case h.PID() != f.pid || cpu != f.cpu:
		*f = forgotten{pid: h.PID(), cpu: cpu}
	}
	f.looks++
	return f.looks >= forgottenLooks
}

// titled reports whether a process of a server shows that it is of a kind: "postgres: checkpointer", with or without the
// name of the cluster between, and perhaps with more behind.
func titled(pid int, kind string) bool {
	title, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline") // one that has ended has none
	words := strings.Fields(strings.TrimRight(string(title), "\x00"))
	if len(words) > 2 && strings.HasSuffix(words[1], ":") {
		words = slices.Delete(words, 1, 2)
	}
	return len(words) > 1 && words[0] == "postgres:" && words[1] == kind
}
