package shmem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestRelease has a server's segment made up; that a real one looks like it is shown in pkg/postgres.
func TestRelease(t *testing.T) {
	for name, c := range map[string]struct {
		itemSize int
		spoil    func(h *header)
		attached bool
		moved    bool // to a key that only postmaster.pid tells
		kept     bool
	}{
		"of PostgreSQL 14 and newer":  {itemSize: 40},
		"of PostgreSQL 13 and older":  {itemSize: 24},
		"under another key":           {itemSize: 40, moved: true},
		"somebody is attached":        {itemSize: 40, attached: true, kept: true},
		"of another directory":        {itemSize: 40, spoil: func(h *header) { h.Inode++ }, kept: true},
		"of another device":           {itemSize: 40, spoil: func(h *header) { h.Device++ }, kept: true},
		"of another program":          {itemSize: 40, spoil: func(h *header) { h.Magic++ }, kept: true},
		"it has no dynamic memory":    {itemSize: 40, spoil: func(h *header) { h.Control = 0 }},
		"its dynamic memory has gone": {itemSize: 40, spoil: func(h *header) { h.Control++ }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var st syscall.Stat_t
			if err := syscall.Stat(dir, &st); err != nil {
				t.Fatal(err)
			}
			control := uint32(os.Getpid())<<8 + 1<<30
			used, unused := control+2, control+4
			for _, handle := range []uint32{control, used, unused} {
				write(t, handle, nil)
			}
			write(t, control, controlFile(c.itemSize, used, unused))
			h := header{Magic: segmentMagic, Control: control, Device: st.Dev, Inode: st.Ino}
			if c.spoil != nil {
				c.spoil(&h)
			}
			key := int(int32(st.Ino))
			if c.moved {
				key++
			}
			id := segment(t, key, h, c.attached)
			pidFile := fmt.Sprintf("%s%d %d\n", strings.Repeat("x\n", 6), key, id)
			if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(pidFile), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := Release(dir); err != nil {
				t.Fatal(err)
			}
			var about unix.SysvShmDesc
			if _, err := unix.SysvShmCtl(id, unix.IPC_STAT, &about); (err == nil) != c.kept {
				t.Errorf("the segment: %v", err)
			}
			want := []uint32{unused}
			if c.kept || h.Control != control {
				want = []uint32{control, used, unused}
			}
			if got := there(control, used, unused); !slices.Equal(got, want) {
				t.Errorf("left in %s: %d, want %d", files, got, want)
			}
		})
	}
	if err := Release(filepath.Join(t.TempDir(), "nothing")); err != nil {
		t.Errorf("no directory: %v", err)
	}
}

func path(handle uint32) string { return filepath.Join(files, fmt.Sprintf("PostgreSQL.%d", handle)) }

func write(t *testing.T, handle uint32, content []byte) {
	t.Helper()
	if err := os.WriteFile(path(handle), content, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path(handle)) })
}

// controlFile lists a handle that is used and one that is not.
func controlFile(itemSize int, used, unused uint32) []byte {
	const items, most = 2, 100
	content := make([]byte, 16+most*itemSize)
	for i, n := range []uint32{controlMagic, items, most} {
		binary.NativeEndian.PutUint32(content[4*i:], n)
	}
	binary.NativeEndian.PutUint32(content[16:], unused)
	binary.NativeEndian.PutUint32(content[16+itemSize:], used)
	binary.NativeEndian.PutUint32(content[16+itemSize+4:], 2)
	return content
}

func segment(t *testing.T, key int, h header, attached bool) int {
	t.Helper()
	id, err := unix.SysvShmGet(key, binary.Size(h), unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) })
	memory, err := unix.SysvShmAttach(id, 0, 0)
	if err == nil {
		_, err = binary.Encode(memory, binary.NativeEndian, h)
	}
	if err == nil && !attached {
		err = unix.SysvShmDetach(memory)
	}
	if err != nil {
		t.Fatal(err)
	}
	if attached {
		t.Cleanup(func() { _ = unix.SysvShmDetach(memory) })
	}
	return id
}

func there(handles ...uint32) []uint32 {
	return slices.DeleteFunc(handles, func(h uint32) bool {
		_, err := os.Lstat(path(h))
		return errors.Is(err, os.ErrNotExist)
	})
}
