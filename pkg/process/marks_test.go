package process

import (
	"context"
	"os/exec"
	"syscall"
	"testing"
	"time"
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
