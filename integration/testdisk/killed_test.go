package testdisk

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestKilledTestLeavesNoDisk: a test binary is killed while its disk hangs, and a process waits for the disk.
func TestKilledTestLeavesNoDisk(t *testing.T) {
	if path := os.Getenv("HATHI_TEST_KILLED"); path != "" {
		beKilled(t, path)
	}
	told := t.TempDir() + "/disk"
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKilledTestLeavesNoDisk$")
	cmd.Env = append(os.Environ(), "HATHI_TEST_KILLED="+told)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var path string
	await(t, "a disk that hangs", func() bool {
		text, _ := os.ReadFile(told)
		path = string(text)
		return path != ""
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, "the end of the disk", func() bool {
		table, err := os.ReadFile("/proc/self/mounts")
		_, gone := os.Lstat(path)
		return err == nil && !strings.Contains(string(table), path) && os.IsNotExist(gone)
	})
}

// beKilled tells where its disk is, and never returns.
func beKilled(t *testing.T, told string) {
	d := New(t, 32*mebibyte)
	d.Hang()
	writer := exec.Command("sh", "-c", "echo x > "+d.Path+"/file")
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(told+".new", []byte(d.Path), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(told+".new", told); err != nil {
		t.Fatal(err)
	}
	_ = writer.Wait() // not select: the runtime would take that for a deadlock, and end by itself
	t.Fatal("nobody has killed this test")
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) { // nothing tells of it
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}
