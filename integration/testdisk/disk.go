// Package testdisk gives tests small disks of their own, which can be filled, made slow and made to hang: an ext4
// file system in a file, on a loop device. It needs root, mount and fsfreeze (util-linux) and mkfs.ext4 (e2fsprogs).
//
// Why in this way: device-mapper's delay target is in few kernels, and limits of control groups do not reach the
// thread that writes the journal. A frozen file system is what a hanging disk looks like to a process: whoever
// writes waits in the kernel, and not even SIGKILL ends that. What has been read stays readable, as from the
// page cache of a machine.
package testdisk

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hathi-ha/hathi/integration/leftover"
)

// Disk is a mounted file system. Its methods fail the test when they can't do what they say; call them from the
// test's own goroutine.
type Disk struct {
	Path string
	t    testing.TB
	thaw func() // nil: neither slow nor hanging
}

// New makes a disk of so many bytes, of which the machine's disk holds only what is written. It is unmounted at the
// end of the test: make it before that which runs on it.
func New(t testing.TB, size int64) *Disk {
	t.Helper()
	dir, err := os.MkdirTemp("", "hathi-disk-") // others than root have to be able to reach it, unlike t.TempDir
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err == nil {
		err = leftover.Watch(dir)
	}
	if err != nil {
		t.Fatalf("make a directory for a disk: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &Disk{Path: filepath.Join(dir, "mounted"), t: t}
	image := filepath.Join(dir, "image")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, size); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Path, 0o755); err != nil {
		t.Fatal(err)
	}
	d.must("mkfs.ext4", "-q", "-F", "-m", "0", image)
	d.must("mount", "-o", "loop", image, d.Path)
	t.Cleanup(func() {
		d.Thaw()
		d.must("umount", "--lazy", d.Path) // hosts that were made meanwhile may still see it for a moment
	})
	if err := os.RemoveAll(filepath.Join(d.Path, "lost+found")); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *Disk) must(args ...string) {
	d.t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		d.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// Fill takes all space that is left, until empty is called.
func (d *Disk) Fill() (empty func()) {
	d.t.Helper()
	path := filepath.Join(d.Path, "filler")
	f, err := os.Create(path)
	if err != nil {
		d.t.Fatalf("fill a disk: %v", err)
	}
	defer f.Close()
	for at, size := int64(0), int64(1)<<30; size > 0; {
		switch err := unix.Fallocate(int(f.Fd()), 0, at, size); {
		case err == nil:
			at += size
		case errors.Is(err, unix.ENOSPC):
			size /= 2
		default:
			d.t.Fatalf("fill a disk: %v", err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			d.t.Errorf("empty a disk: %v", err)
		}
	}
}

// Hang lets everybody wait who writes, until Thaw. Do not write to it meanwhile.
func (d *Disk) Hang() {
	d.t.Helper()
	d.freezer(`fsfreeze --freeze "$1" && echo frozen && read -r end; fsfreeze --unfreeze "$1"`)
}

// Slow makes a disk that hangs for a while, works for a moment, and so on, until Thaw.
func (d *Disk) Slow(hangs, works time.Duration) {
	d.t.Helper()
	d.freezer(fmt.Sprintf(`trap '' PIPE; while :; do
fsfreeze --freeze "$1" || exit; echo frozen; read -r -t %.3f end; e=$?; fsfreeze --unfreeze "$1"
[ $e -gt 128 ] || break; sleep %.3f; done`, hangs.Seconds(), works.Seconds()))
}

// freezer runs a script that holds the disk. It ends with its standard input, so that a test that was killed
// leaves no disk that hangs for ever.
func (d *Disk) freezer(script string) {
	d.t.Helper()
	d.Thaw()
	cmd := exec.Command("bash", "-c", script, "bash", d.Path)
	in, err := cmd.StdinPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatalf("start bash: %v", err)
	}
	lines := bufio.NewScanner(out)
	frozen := lines.Scan()
	d.thaw = sync.OnceFunc(func() {
		in.Close()
		for lines.Scan() {
		}
		_ = cmd.Wait() // its last command says whether there was anything to thaw
	})
	if !frozen {
		d.Thaw()
		d.t.Fatalf("freeze %s: is this ext4, and is this root?", d.Path)
	}
}

// Thaw ends Hang and Slow; without them it does nothing.
func (d *Disk) Thaw() {
	if d.thaw != nil {
		d.thaw()
		d.thaw = nil
	}
}
