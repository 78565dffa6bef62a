// Package shmem frees the shared memory that a PostgreSQL server leaves in the kernel when it is killed: a System V
// segment of a few bytes, of which a machine has 4096 at most, and files in /dev/shm. The next server of the same data
// directory frees them itself; a directory in which none will be started any more keeps them until a reboot.
package shmem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// files is where POSIX shared memory lies. Source: shm_overview(7).
const files = "/dev/shm"

// header is what a segment begins with. Source: PostgreSQL 12 to 18, src/include/storage/pg_shmem.h, PGShmemHeader.
type header struct {
	Magic, CreatorPID     int32
	TotalSize, FreeOffset uint64
	Control, _            uint32 // dsm_control
	Index                 uint64
	Device, Inode         uint64
}

// Source: as above, PGShmemMagic; src/backend/storage/ipc/dsm.c, PG_DYNSHMEM_CONTROL_MAGIC.
const (
	segmentMagic = 679834894
	controlMagic = 0x9a503d32
)

// Release frees what a server of the data directory has left. It does nothing while a process is attached, and nothing
// if the directory is not there. It judges a segment as the next server would: nobody is attached, and it names the
// directory by device and inode.
// Source: PostgreSQL 17, src/backend/port/sysv_shmem.c, PGSharedMemoryCreate and PGSharedMemoryAttach.
func Release(dataDir string) error {
	var st syscall.Stat_t
	switch err := syscall.Stat(dataDir, &st); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("release shared memory of %s: %w", dataDir, err)
	}
	for _, id := range segments(dataDir, st.Ino) {
		if err := release(id, st); err != nil {
			return fmt.Errorf("release shared memory %d of %s: %w", id, dataDir, err)
		}
	}
	return nil
}

// segments gives the ids that may be the data directory's: the one under the key that a server would choose first, and
// the one that postmaster.pid names, because a key can be taken.
func segments(dataDir string, inode uint64) []int {
	var ids []int
	if id, err := unix.SysvShmGet(int(int32(inode)), 0, 0); err == nil {
		ids = append(ids, id)
	}
	text, _ := os.ReadFile(filepath.Join(dataDir, "postmaster.pid")) // without it there is the first one
	lines := strings.Split(string(text), "\n")
	if len(lines) < 7 {
		return ids
	}
	// Source: PostgreSQL 17, src/include/utils/pidfile.h, LOCK_FILE_LINE_SHMEM_KEY: the key, and the id.
	if f := strings.Fields(lines[6]); len(f) == 2 {
		if id, err := strconv.Atoi(f[1]); err == nil && (len(ids) == 0 || ids[0] != id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// release frees a segment, and before it the files that only it leads to.
func release(id int, dir syscall.Stat_t) error {
	var about unix.SysvShmDesc
	_, err := unix.SysvShmCtl(id, unix.IPC_STAT, &about)
	if err != nil || about.Nattch > 0 || about.Segsz < uint64(binary.Size(header{})) {
		return notOurs(err)
	}
	memory, err := unix.SysvShmAttach(id, 0, unix.SHM_RDONLY)
	if err != nil {
		return notOurs(err)
	}
	var h header
	_, err = binary.Decode(memory, binary.NativeEndian, &h)
	if err := errors.Join(err, unix.SysvShmDetach(memory)); err != nil {
		return err
	}
	if h.Magic != segmentMagic || h.Device != dir.Dev || h.Inode != dir.Ino {
		return nil
	}
	if err := removeFiles(h.Control); err != nil {
		return err
	}
	_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	return err
}

// notOurs makes nothing of a segment that is gone, or another user's: it was nobody's or is a stranger's.
func notOurs(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIDRM) || errors.Is(err, unix.EACCES) {
		return nil
	}
	return err
}

// removeFiles removes the dynamic shared memory that a control segment lists, and the control segment. There is none in
// /dev/shm if dynamic_shared_memory_type is not posix.
func removeFiles(control uint32) error {
	path := filepath.Join(files, fmt.Sprintf("PostgreSQL.%d", control))
	content, err := os.ReadFile(path)
	if control == 0 || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var failed []error
	for _, handle := range append(listed(content), control) {
		err := os.Remove(filepath.Join(files, fmt.Sprintf("PostgreSQL.%d", handle)))
		if !errors.Is(err, fs.ErrNotExist) { // some lie in the main segment
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

// listed gives the handles that are in use in a control segment: three numbers (what it is, how many items, and how
// many fit), and items that begin with a handle and its count of references. How long an item is depends on the
// version, so it is taken from the size of the whole.
// Source: PostgreSQL 12 to 18, src/backend/storage/ipc/dsm.c, dsm_control_header.
func listed(content []byte) []uint32 {
	const first = 16
	number := func(at int) uint32 { return binary.NativeEndian.Uint32(content[at:]) }
	if len(content) < first || number(0) != controlMagic {
		return nil
	}
	items, most := int(number(4)), int(number(8))
	if most == 0 || items > most {
		return nil
	}
	var handles []uint32
	for size, i := (len(content)-first)/most, 0; i < items && size >= 8; i++ {
		if at := first + i*size; number(at+4) > 0 {
			handles = append(handles, number(at))
		}
	}
	return handles
}
