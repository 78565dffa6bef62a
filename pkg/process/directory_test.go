package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func inDirectory(t *testing.T, dir string) []int {
	t.Helper()
	pids, err := InDirectory(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return pids
}

func TestInDirectory(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	postgres := program(t, "postgres")
	server := startServer(t, postgres, dir, 2)
	startServer(t, postgres, other, 0)              // of another directory
	startServer(t, program(t, "postgrest"), dir, 0) // another program
	eventually(t, "a postmaster and two children", func() bool { return len(inDirectory(t, dir)) == 3 })
	if pids := inDirectory(t, dir); !slices.Contains(pids, server.Process.Pid) {
		t.Errorf("%v lacks the postmaster %d", pids, server.Process.Pid)
	}

	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	if pids := inDirectory(t, link); len(pids) != 3 {
		t.Errorf("through a symbolic link: %v", pids)
	}

	// A postmaster that was killed leaves its children, which belong to nobody.
	_ = server.Process.Kill()
	_ = server.Wait()
	eventually(t, "two children without a parent", func() bool { return len(inDirectory(t, dir)) == 2 })

	// The package was upgraded meanwhile.
	if err := os.Remove(postgres); err != nil {
		t.Fatal(err)
	}
	if pids := inDirectory(t, dir); len(pids) != 2 {
		t.Errorf("after the program was removed: %v", pids)
	}
}

// TestOtherProgram: a server whose program has another name is found by the names that its postmaster tells.
func TestOtherProgram(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, program(t, "a-postgres-of-another-name"), dir, 1)
	h := open(t, server.Process.Pid)
	eventually(t, "the names", func() bool { return len(MarksOf(h, dir).Programs) == 2 })
	names := MarksOf(h, dir).Programs
	if want := []string{"a-postgres-of-another-name", "a-postgres-of-a"}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if pids := inDirectory(t, dir); len(pids) != 0 {
		t.Errorf("without the names: %v", pids)
	}
	eventually(t, "both processes", func() bool {
		pids, err := InDirectory(dir, names...)
		return err == nil && len(pids) == 2
	})
	if names := MarksOf(h, t.TempDir()).Programs; len(names) != 0 {
		t.Errorf("of another directory: %q", names)
	}
}

func TestInDirectoryThatIsNot(t *testing.T) {
	if _, err := InDirectory(filepath.Join(t.TempDir(), "none"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

func TestKillDirectory(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	dir, other := t.TempDir(), t.TempDir()
	postgres := program(t, "postgres")
	server := startServer(t, postgres, dir, 3)
	bystander := startServer(t, postgres, other, 0)
	_ = server.Process.Signal(syscall.SIGSTOP) // frozen ones, too
	if err := KillDirectory(ctx, dir, ""); err != nil {
		t.Fatal(err)
	}
	if pids := inDirectory(t, dir); len(pids) != 0 {
		t.Errorf("left over: %v", pids)
	}
	if !open(t, bystander.Process.Pid).Alive() {
		t.Error("a server of another directory was killed")
	}
	if err := KillDirectory(ctx, dir, ""); err != nil {
		t.Errorf("nobody to kill: %v", err)
	}
	if err := KillDirectory(ctx, filepath.Join(dir, "none"), ""); err != nil {
		t.Errorf("no directory: %v", err)
	}
}

// The guard's margin is counted on this: the time does not grow with each process that takes its time to die.
func TestKillDirectoryAtOnce(t *testing.T) {
	dir := t.TempDir()
	startServer(t, program(t, "postgres"), dir, 40)
	eventually(t, "all children", func() bool { return len(inDirectory(t, dir)) == 41 })
	fds := resources(t)
	start := time.Now()
	if err := KillDirectory(t.Context(), dir, ""); err != nil {
		t.Fatal(err)
	}
	t.Logf("41 processes killed in %s", time.Since(start))
	if pids := inDirectory(t, dir); len(pids) != 0 {
		t.Errorf("left over: %v", pids)
	}
	eventually(t, "all file descriptors and goroutines given back", func() bool { return resources(t) <= fds })
}

func TestKillDirectoryWithoutTime(t *testing.T) {
	dir := t.TempDir()
	startServer(t, program(t, "postgres"), dir, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// What is there is killed all the same; only the wait has no time.
	if err := KillDirectory(ctx, dir, ""); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
	eventually(t, "nobody left", func() bool { return len(inDirectory(t, dir)) == 0 })
}

func TestSubreaper(t *testing.T) {
	if os.Getenv("TEST_SUBREAPER") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run", "^TestSubreaper$", "-test.v")
		cmd.Env = append(os.Environ(), "TEST_SUBREAPER=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	if err := SetSubreaper(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	server := startServer(t, program(t, "postgres"), dir, 1)
	eventually(t, "one child", func() bool { return len(inDirectory(t, dir)) == 2 })
	orphan := slices.DeleteFunc(inDirectory(t, dir), func(pid int) bool { return pid == server.Process.Pid })[0]
	_ = server.Process.Kill()
	_ = server.Wait()
	if err := syscall.Kill(orphan, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if pid, err := syscall.Wait4(orphan, nil, 0, nil); pid != orphan {
		t.Errorf("the orphan %d is not ours to reap: %v", orphan, err)
	}
}

// TestInDirectoryUnreadable: a process of the server's user that hides what it does must not be overlooked,
// and one that can't be of the server must not stand in the way.
func TestInDirectoryUnreadable(t *testing.T) {
	status := func(name string, uid int) []byte {
		return fmt.Appendf(nil, "Name:\t%s\nUmask:\t0022\nUid:\t7\t%d\t7\t7\n", name, uid)
	}
	if p := identity(status("postgres: a\tb", 42)); p.name != "postgres: a\tb" || p.uid != "42" {
		t.Errorf("identity: %+v", p)
	}
	self := os.Getpid()
	me := identity(mustRead(t, "/proc/self/status"))
	comm := me.name
	owner, err := strconv.Atoi(me.uid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		pid     int
		s       server
		cause   error
		unknown bool
	}{
		{"same user and program", self, server{owner: uint32(owner), programs: []string{comm}}, os.ErrPermission, true},
		{"another user", self, server{owner: uint32(owner) + 1, programs: []string{comm}}, os.ErrPermission, false},
		{"another program", self, server{owner: uint32(owner), programs: []string{"postgres"}}, os.ErrPermission, false},
		{"it has ended", self, server{owner: uint32(owner), programs: []string{comm}}, os.ErrNotExist, false},
		{"it has ended meanwhile", 1 << 30, server{owner: uint32(owner), programs: []string{comm}}, os.ErrPermission, false},
	} {
		if err := c.s.unreadable(c.pid, c.cause); (err != nil) != c.unknown {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestUnreadableElsewhere: a hidden postmaster of another directory, say of another container, and its children must
// not keep a server from being started.
func TestUnreadableElsewhere(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	info, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	me := identity(mustRead(t, "/proc/self/status"))
	owner, err := strconv.Atoi(me.uid)
	if err != nil {
		t.Fatal(err)
	}
	s := server{dir: info, owner: uint32(owner), programs: []string{"sh", "sleep"}}
	for _, c := range []struct {
		args    []string
		unknown bool
	}{
		{[]string{"-D", dir}, true},
		{[]string{"-D" + dir}, true},
		{[]string{"-D", "relative"}, true},
		{nil, true},
		{[]string{"-D", other}, false},
		{[]string{"-D" + other}, false},
		{[]string{"-D", other, "--data-directory=" + dir}, true},
		{[]string{"-D", filepath.Join(dir, "is-not-here")}, false},
	} {
		postmaster := start(t, "/bin/sh", append([]string{"-c", "sleep 1000 & wait", "sh"}, c.args...)...)
		if err := s.unreadable(postmaster.Process.Pid, os.ErrPermission); (err != nil) != c.unknown {
			t.Errorf("postmaster with %q: %v", c.args, err)
		}
		var child int
		eventually(t, "a child", func() bool {
			raw, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", postmaster.Process.Pid))
			_, err := fmt.Sscan(string(raw), &child)
			return err == nil && identity(mustRead(t, fmt.Sprintf("/proc/%d/status", child))).name == "sleep"
		})
		if err := s.unreadable(child, os.ErrPermission); (err != nil) != c.unknown {
			t.Errorf("its child, with %q: %v", c.args, err)
		}
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	if p := identity([]byte("Name:\tpostgres\nPPid:\t17\nNSpid:\t4711\t12\n")); p.parent != 17 || p.depth != 2 {
		t.Errorf("in a container: %+v", p)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
