package testcluster

import (
	"strconv"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/integration/leftover"
)

// Kill sends SIGKILL to the given processes at once.
func Kill(pids ...int) { signal(syscall.SIGKILL, pids...) }

// Freeze sends SIGSTOP, Thaw SIGCONT.
func Freeze(pids ...int) { signal(syscall.SIGSTOP, pids...) }

// Thaw lets frozen processes go on.
func Thaw(pids ...int) { signal(syscall.SIGCONT, pids...) }

// End asks frozen processes to end before they do anything else.
func End(pids ...int) {
	signal(syscall.SIGTERM, pids...)
	signal(syscall.SIGCONT, pids...)
}

func signal(sig syscall.Signal, pids ...int) {
	for _, pid := range pids {
		if pid > 1 {
			_ = syscall.Kill(pid, sig)
		}
	}
}

// FreezeReceiver freezes the node's WAL receiver and gives its process id. There may be none at this moment, or another
// one soon, so it looks until the present one is frozen.
func (n *Node) FreezeReceiver(limit time.Duration) int {
	n.c.T.Helper()
	var pid int
	n.c.WaitFor(limit, "a WAL receiver on "+n.Name, func() bool {
		pid = n.Receiver()
		Freeze(pid)
		return pid != 0 && n.Receiver() == pid
	})
	return pid
}

// FreezeSenders freezes what sends WAL to the given nodes: these get nothing that is committed from now on, not even once
// the node is destroyed. (A frozen receiver would still read what its socket holds when it ends.)
func (n *Node) FreezeSenders(to ...*Node) {
	n.c.T.Helper()
	for _, r := range to {
		n.c.WaitFor(30*time.Second, "what streams WAL to "+r.Name, func() bool {
			text, _ := n.SQL("SELECT pid FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '" + r.Name + "'")
			pid, err := strconv.Atoi(text)
			Freeze(pid)
			return err == nil
		})
	}
}

// mine reports whether a process is one of the node: its files are in the command line, or its data is the directory.
func (n *Node) mine(p leftover.Process) bool {
	mine := p.Cwd == n.Data
	for _, a := range p.Args {
		mine = mine || a == n.Config || a == n.Data
	}
	return mine
}
