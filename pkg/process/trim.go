package process

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// TrimText gives back the memory of the program's own file: most of what is read of it at the start is never
// needed again. What is needed is read anew, from the page cache. It is for processes that live for long and
// do little; a failure costs nothing but the memory.
func TrimText() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for s := bufio.NewScanner(maps); s.Scan(); {
		// address perms offset dev inode path; see proc(5). Only what can't be written may be dropped.
		fields := strings.Fields(s.Text())
		if len(fields) < 6 || fields[5] != exe || strings.Contains(fields[1], "w") {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil {
			drop(uintptr(start), uintptr(end-start))
		}
	}
}

// drop tells the kernel that the pages are not needed now. They are clean and backed by a file, so nothing is
// lost. Source: madvise(2), MADV_DONTNEED.
func drop(start, length uintptr) {
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, length, uintptr(syscall.MADV_DONTNEED))
}
