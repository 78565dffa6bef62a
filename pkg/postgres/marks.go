package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// A mark is an empty file beside the data directory, because pg_basebackup wants that one empty and
// pg_rewind removes what it does not know. It says that the content is not to be trusted.

// foundingMark: the foundation of a cluster began, and there is no complete one yet. Nobody has ever used it.
func foundingMark(dir string) string { return dir + ".hathi-founding" }

// fillingMark: a copy began to fill the directory and has not come to its end.
func fillingMark(dir string) string { return dir + ".hathi-filling" }

// fillingPipe says the same within the directory, where nothing can be made beside it; see rewindPipe. It comes when the
// directory is not empty any more, and goes last: see pipeWhileFilling and emptyDir.
func fillingPipe(dir string) string { return filepath.Join(dir, "hathi.filling") }

// fillingCut reports whether a copy began to fill the directory and has not come to its end.
func fillingCut(dir string) bool { return exists(fillingMark(dir)) || exists(fillingPipe(dir)) }

// markFilling marks the directory before it is emptied and filled: what is removed or has come only in part must not be
// started. On a disk that is so full that no mark can be made it goes on without, because a new copy may be what helps.
func (i *Instance) markFilling(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	beside := setMark(fillingMark(dir))
	if beside == nil {
		return nil
	}
	if err := pipeIfFilled(dir); err != nil {
		i.log.Warn("an interrupted attempt will not be recognised", "error", errors.Join(beside, err))
	}
	return nil
}

func clearFillingMark(dir string) error {
	return errors.Join(clearMark(fillingPipe(dir)), clearMark(fillingMark(dir)))
}

// pipeIfFilled makes fillingPipe if something is in the directory.
func pipeIfFilled(dir string) error {
	if kind, _ := inspect(dir); kind == cluster.DataEmpty || kind == cluster.DataUnreadable || exists(fillingPipe(dir)) {
		return nil
	}
	if err := makePipe(fillingPipe(dir)); err != nil {
		return fmt.Errorf("mark the data directory as unfinished: %w", err)
	}
	return nil
}

func makePipe(path string) error {
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("make %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// pipeWhileFilling sees to fillingPipe while a program fills the directory, until end is called. Programs want it empty
// when they begin, and some remove what they don't know.
func (i *Instance) pipeWhileFilling(dir string) (end func()) {
	if exists(fillingMark(dir)) {
		return func() {}
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for on := true; on; {
			select {
			case <-stop:
				on = false
			case <-time.After(10 * time.Millisecond): // nobody tells of the first file; a base backup brings pg_control last
			}
			if err := pipeIfFilled(dir); err != nil {
				i.log.Warn("an interrupted attempt will not be recognised", "error", err)
				return
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}

// rewindMark: pg_rewind began to change the directory and has not come to its end.
func rewindMark(dir string) string { return dir + ".hathi-rewinding" }

// rewindPipe says the same where nothing can be made beside the directory, as with a mount point whose parent is not
// ours. It is a pipe, because pg_rewind sees only files, directories and links, and so does not remove it.
// Source: PostgreSQL 12 and 18, src/bin/pg_rewind, recurse_dir.
func rewindPipe(dir string) string { return filepath.Join(dir, "hathi.rewinding") }

// rewindCut reports whether pg_rewind began to change the directory and has not come to its end.
func rewindCut(dir string) bool { return exists(rewindMark(dir)) || exists(rewindPipe(dir)) }

// setRewindMark fails if nothing would tell of a pg_rewind that does not come to its end.
func setRewindMark(dir string) error {
	beside := setMark(rewindMark(dir))
	if beside == nil {
		return nil
	}
	inside := makePipe(rewindPipe(dir))
	if inside == nil {
		return nil
	}
	return errors.Join(beside, inside, clearRewindMark(dir))
}

func clearRewindMark(dir string) error {
	return errors.Join(clearMark(rewindMark(dir)), clearMark(rewindPipe(dir)))
}

// setMark makes a mark. It may name directories elsewhere that were empty, and that are filled as well.
func setMark(path string, outside ...string) error {
	if err := os.WriteFile(path, []byte(strings.Join(outside, "\n")), 0o600); err != nil {
		return fmt.Errorf("mark the data directory as unfinished: %w", err)
	}
	return syncDir(filepath.Dir(path))
}

// marked gives the directories that a mark names.
func marked(path string) []string {
	b, _ := os.ReadFile(path) // without a mark there are none
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// clearMark removes a mark for good: one that is there again after a power cut would be about data that are in use since.
func clearMark(path string) error {
	if !exists(path) {
		return nil // beside a mount point nothing may be writable
	}
	if err := errors.Join(os.Remove(path), syncDir(filepath.Dir(path))); err != nil {
		return fmt.Errorf("clear mark: %w", err)
	}
	return nil
}
