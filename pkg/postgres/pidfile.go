package postgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/process"
)

// pidFile is postmaster.pid. Source: PostgreSQL 17, src/include/utils/pidfile.h.
type pidFile struct {
	pid       int // negative: a single-user server
	started   time.Time
	port      string
	socketDir string
	status    string // starting, stopping, ready, standby
}

func readPIDFile(dir string) (pidFile, error) {
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := append(strings.Split(string(b), "\n"), make([]string, 8)...)
	for n := range lines {
		lines[n] = strings.TrimSpace(lines[n])
	}
	f := pidFile{port: lines[3], socketDir: lines[4], status: lines[7]}
	if f.pid, err = strconv.Atoi(lines[0]); err != nil {
		return pidFile{}, fmt.Errorf("read postmaster.pid: the first line is %q", lines[0])
	}
	if sec, err := strconv.ParseInt(lines[2], 10, 64); err == nil {
		f.started = time.Unix(sec, 0)
	}
	return f, nil
}

// errStranger: postmaster.pid names a living process that is something else, because the pid was used again.
var errStranger = errors.New("postmaster.pid names a process that is not this postmaster")

// errSingleUser: a single-user server works on the data directory.
var errSingleUser = errors.New("a single-user postgres runs on the data directory")

// findPostmaster looks for a running postmaster of the data directory. It gives nil if there is none. The
// proof is not the pid alone, which may have been used again after a reboot: the working directory must be the
// data directory, which the postmaster makes its own, and the executable must be PostgreSQL's or, if its name
// tells nothing, have been started when the pid file says.
func findPostmaster(cfg Config) (*process.Handle, pidFile, error) {
	f, err := readPIDFile(cfg.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, f, nil
	}
	if err != nil {
		return nil, f, nil // half-written or garbage: PostgreSQL itself judges it when it starts
	}
	if f.pid < 0 {
		ours, err := isPostgres(-f.pid, f.started, cfg)
		if ours {
			err = fmt.Errorf("%w (pid %d)", errSingleUser, -f.pid)
		}
		return nil, f, err
	}
	h, err := process.Open(f.pid)
	if err != nil || !h.Alive() {
		if h != nil {
			h.Close()
		}
		if exists("/proc", strconv.Itoa(f.pid)) {
			// It has ended, but its parent has not taken notice. PostgreSQL asks kill(2), which says that it lives.
			return nil, f, fmt.Errorf("%w (pid %d): it has ended and waits to be reaped", errStranger, f.pid)
		}
		return nil, f, nil
	}
	// The pidfd was opened first: what /proc tells afterwards is about the same process, or the process has
	// ended and the handle says so.
	ours, err := isPostgres(f.pid, f.started, cfg)
	if ours {
		return h, f, nil
	}
	alive := h.Alive()
	h.Close()
	switch {
	case !alive:
		return nil, f, nil
	case err != nil:
		return nil, f, err
	}
	return nil, f, fmt.Errorf("%w (pid %d)", errStranger, f.pid)
}

// isPostgres reports whether a process is a PostgreSQL server that works in the data directory. An error
// means that it may be one: a process of the same user that can't be looked at. One of another user can't
// be, because PostgreSQL insists on owning its data directory.
func isPostgres(pid int, started time.Time, cfg Config) (bool, error) {
	proc := fmt.Sprintf("/proc/%d", pid)
	exe, err := os.Readlink(proc + "/exe")
	if errors.Is(err, fs.ErrPermission) && sameOwner(proc, cfg.DataDir) {
		return false, fmt.Errorf("tell whether process %d is the postmaster of %s: %w", pid, cfg.DataDir, err)
	}
	if err != nil {
		return false, nil //nolint:nilerr // it has ended, or is another user's
	}
	name := filepath.Base(strings.TrimSuffix(exe, " (deleted)")) // replaced by a package upgrade
	if name != "postgres" && name != filepath.Base(cfg.program("postgres")) && !startedAt(pid, started) {
		return false, nil
	}
	cwd, err := os.Stat(proc + "/cwd")
	if err != nil {
		return false, nil //nolint:nilerr // it has ended
	}
	dir, err := os.Stat(cfg.DataDir)
	return err == nil && os.SameFile(cwd, dir), nil
}

// startedAt reports whether a process was started when a postmaster.pid says, which a postmaster writes in its
// first second, in whole seconds.
func startedAt(pid int, at time.Time) bool {
	started, err := process.Started(pid)
	return err == nil && !at.IsZero() && started.Sub(at).Abs() <= 2*time.Second
}

func sameOwner(a, b string) bool {
	var sa, sb syscall.Stat_t
	return syscall.Stat(a, &sa) == nil && syscall.Stat(b, &sb) == nil && sa.Uid == sb.Uid
}

// pastStranger gives what a new server needs in its environment so that it starts although postmaster.pid
// names a process that exists. The error means that the process may be this server's.
func pastStranger(cfg Config) ([]string, error) {
	_, f, err := findPostmaster(cfg)
	if errors.Is(err, errStranger) {
		return []string{strangerEnv(f.pid)}, nil
	}
	return nil, err
}

// strangerEnv makes a new postmaster ignore a pid file that names a living stranger; the pid file itself is
// never removed by us. Source: PostgreSQL 17, src/backend/utils/init/miscinit.c, CreateLockFile.
func strangerEnv(pid int) string { return "PG_GRANDPARENT_PID=" + strconv.Itoa(pid) }

// hangup makes the server read its files again.
func hangup(h *process.Handle) error {
	if err := h.Signal(syscall.SIGHUP); err != nil {
		return fmt.Errorf("reload postgres (pid %d): %w", h.PID(), err)
	}
	return nil
}
