package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// InDirectory gives the processes of the PostgreSQL server of a data directory: those whose working
// directory it is and whose program is postgres or has one of the given names (paths are as good). Every process
// of a server has its data directory as working directory, so this finds a postmaster's children also when it is
// gone and they belong to nobody. Zombies are not among them.
//
// It fails if there is a process that can't be told from one of them; the others are given all the same.
// Source: PostgreSQL 17, src/backend/utils/init/miscinit.c, ChangeToDataDir and checkDataDir.
func InDirectory(dir string, programs ...string) ([]int, error) {
	s, err := serverOf(dir, programs)
	if err != nil {
		return nil, err
	}
	return s.processes()
}

// server tells the processes of a server from all others.
type server struct {
	path     string
	dir      os.FileInfo
	owner    uint32
	programs []string
}

func serverOf(dir string, programs []string) (server, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return server{}, fmt.Errorf("look for processes in %s: %w", dir, err)
	}
	// Always postgres, too: that is what a script of another name ends up running.
	s := server{path: dir, dir: info, programs: []string{"postgres"}}
	for _, p := range programs {
		if p != "" {
			s.programs = append(s.programs, filepath.Base(p))
		}
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.owner = st.Uid
	}
	return s, nil
}

// processes gives all of them; see InDirectory.
func (s server) processes() ([]int, error) {
	pids, err := all(s.has)
	if err != nil {
		return pids, fmt.Errorf("look for processes in %s: %w", s.path, err)
	}
	return pids, nil
}

// all gives the processes of this machine that are the right ones, whatever goes wrong with others.
func all(right func(pid int) (bool, error)) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var pids []int
	var unknown []error
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		ours, err := right(pid)
		if ours {
			pids = append(pids, pid)
		}
		if err != nil {
			unknown = append(unknown, err)
		}
	}
	return pids, errors.Join(unknown...)
}

// has compares the program and then the working directory, by device and inode, because a directory has many
// paths. In this order: the directory of a stranger may be on a file server that does not answer. The error says
// that it can't be known.
func (s server) has(pid int) (bool, error) {
	base := "/proc/" + strconv.Itoa(pid)
	exe, err := os.Readlink(base + "/exe")
	if err != nil {
		return false, s.unreadable(pid, err)
	}
	if !slices.Contains(s.programs, programName(exe)) {
		return false, nil
	}
	cwd, err := os.Stat(base + "/cwd")
	if err != nil {
		return false, s.unreadable(pid, err)
	}
	return os.SameFile(cwd, s.dir), nil
}

// programName gives the name of the file that a process runs. The kernel marks one that was replaced, as a
// package upgrade does.
func programName(exe string) string {
	return strings.TrimSuffix(filepath.Base(exe), " (deleted)")
}

// unreadable clears up what is behind a process that does not let itself be looked at (one of another group, or
// with more privileges): nil if it is none of the server's. A server runs as the owner of its data directory, keeps
// the name it was started by, in our PID namespace, and where its command line names a data directory it is ours.
func (s server) unreadable(pid int, cause error) error {
	if gone(cause) {
		return nil
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil && gone(err) {
		return nil
	}
	p := identity(raw)
	if err == nil && (p.uid != strconv.Itoa(int(s.owner)) || !s.runsAs(p.name) || p.depth > depth() || s.elsewhere(pid) || s.elsewhere(p.parent)) {
		return nil
	}
	return fmt.Errorf("can't tell whether process %d belongs to the server: %w", pid, cause)
}

// depth is in how many PID namespaces we have a number, as far as this /proc shows; in a container that is nested in
// ours a process has one more.
var depth = sync.OnceValue(func() int {
	raw, _ := os.ReadFile("/proc/self/status") // without it everything counts as ours
	return max(1, identity(raw).depth)
})

// elsewhere reports whether a process is a postmaster whose command line, which everybody may read, names another
// data directory. Source: PostgreSQL 17, reference of postgres, -D.
func (s server) elsewhere(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return false
	}
	dir := dataDirOf(strings.Split(string(raw), "\x00"))
	if !filepath.IsAbs(dir) {
		return false
	}
	info, err := os.Stat(dir)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(info, s.dir)
}

// dataDirOf gives the argument of -D; nothing if a setting says that the data is somewhere else.
func dataDirOf(args []string) (dir string) {
	for i, arg := range args {
		switch {
		case strings.Contains(strings.ReplaceAll(arg, "-", "_"), "data_directory"):
			return ""
		case arg == "-D" && i+1 < len(args):
			dir = args[i+1]
		case strings.HasPrefix(arg, "-D"):
			dir = arg[len("-D"):]
		}
	}
	return dir
}

// runsAs compares the name that the kernel keeps of a process, which is cut off.
func (s server) runsAs(name string) bool {
	const longest = 15 // source: proc(5), comm
	return slices.ContainsFunc(s.programs, func(p string) bool { return name == p[:min(len(p), longest)] })
}

func gone(err error) bool { return errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ESRCH) }

// visible is what everybody may know of a process.
type visible struct {
	name   string
	uid    string // the effective one
	parent int
	depth  int // in how many PID namespaces it has a number
}

// identity reads /proc/<pid>/status. Source: proc(5).
func identity(status []byte) visible {
	var p visible
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":\t")
		switch fields := strings.Fields(value); key {
		case "Name":
			p.name = value
		case "Uid":
			if len(fields) > 1 {
				p.uid = fields[1]
			}
		case "PPid":
			p.parent, _ = strconv.Atoi(value)
		case "NSpid":
			p.depth = len(fields)
		}
	}
	return p
}

// KillDirectory sends SIGKILL to all processes of a data directory and waits until none is left. New ones
// that a dying postmaster still forks are found by looking again. It fails when ctx ends first, or when a
// process can't be killed or told; the others are killed all the same.
func KillDirectory(ctx context.Context, dir string, programs ...string) error {
	for {
		found, unknown := HoldDirectory(dir, programs...)
		if len(found) == 0 {
			return unknown
		}
		if err := found.Kill(ctx); err != nil {
			return fmt.Errorf("kill the processes in %s: %w", dir, errors.Join(err, unknown))
		}
	}
}

// HoldDirectory takes hold of the processes that InDirectory gives; a directory that does not exist has none.
func HoldDirectory(dir string, programs ...string) (Group, error) {
	s, err := serverOf(dir, programs)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pids, unknown := s.processes()
	found, err := hold(pids, s.has)
	return found, errors.Join(unknown, err)
}

// KillWithEnv sends SIGKILL to all processes, but this one, that were started with a variable in their environment,
// given as NAME=value, and waits until none is left. Those of other users do not show theirs and are not found. It
// fails when ctx ends first. Source: proc(5), environ.
func KillWithEnv(ctx context.Context, variable string) error {
	has := func(pid int) (bool, error) {
		return pid != os.Getpid() && slices.Contains(strings.Split(environ(pid), "\x00"), variable), nil
	}
	for {
		pids, err := all(has)
		if err != nil {
			return err
		}
		found, err := hold(pids, has)
		if err != nil || len(found) == 0 {
			found.Close()
			return err
		}
		if err := found.Kill(ctx); err != nil {
			return err
		}
	}
}

// environ gives with what variables a process was started; none of those of other users. While a program takes the place of
// another one only some are to be seen for a moment, or none, though it has memory, which threads of the kernel and the dead do
// not have. Nothing tells when that is over, nor can it be told from a program that was started without any.
// Source: Linux, fs/proc/base.c, environ_read.
func environ(pid int) string {
	proc := "/proc/" + strconv.Itoa(pid)
	for range 20 {
		env, err := os.ReadFile(proc + "/environ")
		if err != nil || strings.HasSuffix(string(env), "\x00") {
			return string(env)
		}
		if size, err := os.ReadFile(proc + "/statm"); err != nil || strings.HasPrefix(string(size), "0 ") {
			return ""
		}
		time.Sleep(time.Millisecond) // there is no event for the end of an exec
	}
	return ""
}

// hold takes hold of those processes that are the right ones also when they are held: the number of one that has ended
// may have become somebody else's.
func hold(pids []int, right func(pid int) (bool, error)) (Group, error) {
	var g Group
	var failed []error
	for _, pid := range pids {
		h, err := Open(pid)
		if errors.Is(err, ErrGone) {
			continue
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		ours, err := right(pid)
		if ours {
			g = append(g, h)
			continue
		}
		h.Close()
		failed = append(failed, err)
	}
	return g, errors.Join(failed...)
}

// SetSubreaper makes this process the parent of orphans below it, so that it can reap them.
func SetSubreaper() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become subreaper: %w", err)
	}
	return nil
}
