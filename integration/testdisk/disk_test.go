package testdisk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const mebibyte = 1 << 20

// write writes and syncs one file and gives how long that took.
func write(d *Disk, size int) (time.Duration, error) {
	begin := time.Now()
	f, err := os.Create(filepath.Join(d.Path, "file"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if _, err := f.Write(make([]byte, size)); err != nil {
		return 0, err
	}
	return time.Since(begin), f.Sync()
}

func TestFullDisk(t *testing.T) {
	d := New(t, 32*mebibyte)
	if _, err := write(d, mebibyte); err != nil {
		t.Fatal(err)
	}
	empty := d.Fill()
	if _, err := write(d, 2*mebibyte); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	empty()
	if _, err := write(d, 2*mebibyte); err != nil {
		t.Errorf("an emptied disk: %v", err)
	}
}

func TestHangingDisk(t *testing.T) {
	d := New(t, 32*mebibyte)
	d.Hang()
	type result struct {
		took time.Duration
		err  error
	}
	written := make(chan result, 1)
	go func() {
		took, err := write(d, 10)
		written <- result{took, err}
	}()
	select {
	case r := <-written:
		t.Errorf("a hanging disk has written: %+v", r)
	case <-time.After(300 * time.Millisecond):
	}
	d.Thaw()
	if r := <-written; r.err != nil || r.took < 300*time.Millisecond {
		t.Errorf("written after %+v", r)
	}
}

func TestSlowDisk(t *testing.T) {
	d := New(t, 32*mebibyte)
	d.Slow(200*time.Millisecond, 20*time.Millisecond)
	var longest time.Duration
	for end := time.Now().Add(10 * time.Second); longest < 100*time.Millisecond && time.Now().Before(end); {
		took, err := write(d, 10)
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, took)
	}
	if longest < 100*time.Millisecond {
		t.Errorf("the longest of the writes to a slow disk took %s", longest)
	}
	d.Thaw()
	for range 10 { // for longer than the disk was good in one piece before
		if _, err := write(d, 10); err != nil {
			t.Errorf("after that: %v", err)
		}
	}
}
