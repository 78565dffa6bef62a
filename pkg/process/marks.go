package process

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
)

// Programs are the names of the program that a server turns out to run, besides those that are configured: these
// may be a script, or a link of another name.
type Programs []string

// Learn adds the names of a postmaster while it lives. A process that has not become the server yet has none, so this
// is asked more than once. nil is nobody.
func (p *Programs) Learn(postmaster *Handle, dir string) {
	if postmaster != nil {
		p.Add(MarksOf(postmaster, dir).Programs)
	}
}

// Add adds names that are not there yet.
func (p *Programs) Add(names Programs) {
	for _, name := range names {
		if !slices.Contains(*p, name) {
			*p = append(*p, name)
		}
	}
}

// Marks are by what the processes of a server are told from others.
type Marks struct {
	Programs Programs
	// Place is their working directory as the kernel spells it. To compare that with another text takes no answer of
	// the file system, which may be that of a server that does not answer. Another mount namespace may spell another
	// directory in the same way.
	Place, Mounts string
}

// MarksOf gives those of the server of which h is the postmaster; none as long as it does not work in the data
// directory. It waits for the file system.
func MarksOf(h *Handle, dir string) Marks {
	s, err := serverOf(dir, nil)
	if err != nil {
		return Marks{}
	}
	base := "/proc/" + strconv.Itoa(h.pid)
	if cwd, err := os.Stat(base + "/cwd"); err == nil && !os.SameFile(cwd, s.dir) || gone(err) {
		return Marks{}
	}
	var m Marks
	if exe, err := os.Readlink(base + "/exe"); err == nil {
		m.Programs = append(m.Programs, programName(exe))
	}
	if comm, err := os.ReadFile(base + "/comm"); err == nil {
		m.Programs = append(m.Programs, strings.TrimSuffix(string(comm), "\n"))
	}
	m.Place, _ = os.Readlink(base + "/cwd")
	m.Mounts, _ = os.Readlink(base + "/ns/mnt")
	if !h.Alive() { // what was read may be about somebody else, who was given the number
		return Marks{}
	}
	return m
}

// Kill kills the processes that have these marks, without waiting for any file system, and fails when ctx ends before
// they have ended, or when it could not take hold of one of them; the others are killed all the same. Whether others are
// left, which spell the directory in another way, only KillDirectory can tell.
func (m Marks) Kill(ctx context.Context) error {
	if m.Place == "" || m.Mounts == "" {
		return nil
	}
	pids, err := all(m.has)
	if err != nil {
		return err
	}
	found, err := hold(pids, m.has)
	return errors.Join(err, found.Kill(ctx)) // without descriptors for all, each try kills some
}

// has never fails: what can't be read is the matter of KillDirectory.
func (m Marks) has(pid int) (bool, error) {
	base := "/proc/" + strconv.Itoa(pid)
	exe, _ := os.Readlink(base + "/exe")
	if name := programName(exe); name != "postgres" && !slices.Contains(m.Programs, name) {
		return false, nil
	}
	cwd, _ := os.Readlink(base + "/cwd")
	mounts, _ := os.Readlink(base + "/ns/mnt")
	return cwd == m.Place && mounts == m.Mounts, nil
}
