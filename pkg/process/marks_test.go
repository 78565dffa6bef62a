package process

import (
	"context"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMarks: the processes of a server are killed by what they look like alone; others are let live, also such that
// another mount namespace shows at a place of the same name.
func TestMarks(t *testing.T) {
	dir := t.TempDir()
	postgres := program(t, "postgres")
	server := startServer(t, postgres, dir, 2)
	bystander := startServer(t, postgres, t.TempDir(), 0)
	eventually(t, "a postmaster and two children", func() bool { return len(inDirectory(t, dir)) == 3 })
	m := MarksOf(open(t, server.Process.Pid), dir)
	if m.Place == "" || m.Mounts == "" || len(m.Programs) == 0 {
		t.Fatalf("marks: %+v", m)
	}
	if other := MarksOf(open(t, bystander.Process.Pid), dir); other.Place != "" {
		t.Errorf("marks of a server of another directory: %+v", other)
	}
	namesake := exec.Command(postgres, "fake-server", dir, "0")
	namesake.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if err := namesake.Start(); err != nil {
		t.Fatal("only root can make mount namespaces: ", err)
	}
	t.Cleanup(func() {
		_ = namesake.Process.Kill()
		_ = namesake.Wait()
	})
	eventually(t, "a server of another mount namespace", func() bool { return len(inDirectory(t, dir)) == 4 })

	_ = server.Process.Kill()
	_ = server.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := m.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if left := inDirectory(t, dir); len(left) != 1 || left[0] != namesake.Process.Pid {
		t.Errorf("left are %v, want %d alone", left, namesake.Process.Pid)
	}
	if !open(t, bystander.Process.Pid).Alive() {
		t.Error("a server of another directory was killed")
	}
	if err := (Marks{}).Kill(ctx); err != nil {
		t.Errorf("without marks: %v", err)
	}
}

// TestMarksWithoutDescriptors: there are descriptors to hold one process of the server only. Each try kills that one, and
// fails as long as others are left.
func TestMarksWithoutDescriptors(t *testing.T) {
	dir := t.TempDir()
	server := startServer(t, program(t, "postgres"), dir, 2)
	eventually(t, "a postmaster and two children", func() bool { return len(inDirectory(t, dir)) == 3 })
	m := MarksOf(open(t, server.Process.Pid), dir)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	release := leave(t, 2) // one to hold it and one to look at it
	var errs []error
	for range 3 {
		errs = append(errs, m.Kill(ctx))
	}
	release()
	if left := inDirectory(t, dir); len(left) != 0 {
		t.Errorf("left are %v after %v", left, errs)
	}
	if errs[0] == nil || errs[2] != nil {
		t.Errorf("got %v", errs)
	}
}

// leave takes all file descriptors but so many, until release is called.
func leave(t *testing.T, free int) (release func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	low := limit
	low.Cur = min(limit.Cur, 256)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	var taken []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		taken = append(taken, f)
	}
	release = func() {
		for _, f := range taken {
			_ = f.Close() // closed already is as good
		}
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
	}
	t.Cleanup(release)
	if len(taken) < free {
		t.Fatalf("only %d descriptors were free", len(taken))
	}
	for _, f := range taken[:free] {
		_ = f.Close()
	}
	return release
}
