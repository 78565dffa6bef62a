package log

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

const defaultFileSize = 25_000_000

// rotating is a file that is renamed to .1 before it would grow past a size; .1 becomes .2, and so on. It may
// be used by several goroutines.
type rotating struct {
	path  string
	mode  os.FileMode // zero: what the umask leaves of 0666
	limit int64
	keep  int

	mu   sync.Mutex
	file *os.File
	size int64
}

func openRotating(path string, mode os.FileMode, limit int64, keep int) (*rotating, error) {
	if limit <= 0 {
		limit = defaultFileSize
	}
	r := &rotating{path: path, mode: mode, limit: limit, keep: keep}
	return r, r.open()
}

func (r *rotating) open() error {
	f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return fmt.Errorf("open the log file: %w", err)
	}
	info, err := f.Stat()
	if err == nil && r.mode != 0 {
		err = f.Chmod(r.mode)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open the log file: %w", err), f.Close())
	}
	r.file, r.size = f, info.Size()
	return nil
}

// Write appends one line, in a new file if it would not fit. If rotation fails the line goes to the old file:
// a full directory must not silence the log.
func (r *rotating) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return 0, os.ErrClosed
	}
	if r.size > 0 && r.size+int64(len(line)) > r.limit {
		r.rotate()
	}
	n, err := r.file.Write(line)
	r.size += int64(n)
	return n, err
}

func (r *rotating) rotate() {
	old := r.file
	for i := r.keep - 1; i >= 1; i-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", r.path, i), fmt.Sprintf("%s.%d", r.path, i+1)) // may not exist yet
	}
	var err error
	if r.keep > 0 {
		err = os.Rename(r.path, r.path+".1")
	} else {
		err = os.Truncate(r.path, 0)
	}
	if err == nil {
		err = r.open()
	}
	if err != nil {
		r.size = 0 // try again after as much again
		return
	}
	_ = old.Close()
}

// Close closes the file; further lines are lost.
func (r *rotating) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}
