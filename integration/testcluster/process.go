package testcluster

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// freezeAll stops all processes of the node and gives them. Guard and agent start each other again, so it looks
// until it finds no process that it has not stopped: whoever is stopped starts nobody.
func (n *Node) freezeAll() []int {
	frozen := map[int]bool{}
	for found := true; found; {
		found = false
		for _, pid := range n.all() {
			if !frozen[pid] {
				frozen[pid], found = true, true
				Freeze(pid)
			}
		}
	}
	return slices.Collect(maps.Keys(frozen))
}

// all gives every process of the node: those with its files in the command line or its data as directory.
func (n *Node) all() []int {
	var pids []int
	for _, p := range processes() {
		mine := p.cwd == n.Data
		for _, a := range p.args {
			mine = mine || a == n.Config || a == n.Data
		}
		if mine && p.state != "Z" {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

type process struct {
	pid        int
	args       []string
	cwd, state string
}

func processes() []process {
	var out []process
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(d))
		raw, err := os.ReadFile(d + "/cmdline")
		if err != nil {
			continue
		}
		p := process{pid: pid, args: strings.Split(strings.TrimRight(string(raw), "\x00"), "\x00")}
		p.cwd, _ = os.Readlink(d + "/cwd")
		if stat, err := os.ReadFile(d + "/stat"); err == nil {
			if i := bytes.LastIndexByte(stat, ')'); i > 0 && len(stat) > i+2 {
				p.state = string(stat[i+2])
			}
		}
		out = append(out, p)
	}
	return out
}
