package testcluster

import (
	"syscall"

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

// mine reports whether a process is one of the node: its files are in the command line, or its data is the directory.
func (n *Node) mine(p leftover.Process) bool {
	mine := p.Cwd == n.Data
	for _, a := range p.Args {
		mine = mine || a == n.Config || a == n.Data
	}
	return mine
}
