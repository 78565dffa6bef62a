package postgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/shmem"
)

// inspect tells what a data directory holds, and why if that is bad.
func inspect(dir string) (cluster.DataDir, string) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cluster.DataEmpty, ""
	case err != nil:
		return cluster.DataUnreadable, err.Error()
	}
	_, err = os.Stat(filepath.Join(dir, "global", "pg_control"))
	switch {
	case err == nil:
		return cluster.DataPresent, ""
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR):
		return cluster.DataUnreadable, err.Error()
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && e.Name() != "lost+found" {
			return cluster.DataForeign, fmt.Sprintf("%s is not empty (%s is in it) but holds no database: no global/pg_control; "+
				"move its content away or correct postgresql.data_dir", dir, e.Name())
		}
	}
	return cluster.DataEmpty, ""
}

// Version gives the major version of the database in a data directory as an integer like 150000; zero if there is
// none.
func Version(dir string) int { return majorVersion(dir) }

// majorVersion reads PG_VERSION as an integer like 150000; zero if it can't be read.
func majorVersion(dir string) int {
	b, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n * 10000
}

// fileMode is what new files under the data directory get: readable by the group if the directory is.
func fileMode(dir string) fs.FileMode {
	if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o050 == 0o050 {
		return 0o640
	}
	return 0o600
}

func exists(parts ...string) bool {
	_, err := os.Lstat(filepath.Join(parts...))
	return err == nil
}

// hasStandbySignal reports whether the next start is one into recovery.
func hasStandbySignal(dir string) bool {
	return exists(dir, "standby.signal") || exists(dir, "recovery.signal")
}

// emptyDir removes the content of a data directory. pg_control goes last of all, so that what an
// interrupted removal leaves is still recognised as a database and can be removed again; after it only what tells that the
// directory is unfinished. Dot files are not PostgreSQL's; without dots they stay.
func emptyDir(dir string, dots bool) error {
	for _, link := range linkedDirs(dir) {
		if err := removeContent(link); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int { return last(a) - last(b) })
	for _, e := range entries {
		if e.Name() == "lost+found" || !dots && strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// last is the order of removal: 1 for the directory that holds pg_control, 2 for what tells that all this is unfinished.
func last(e fs.DirEntry) int {
	switch e.Name() {
	case "global":
		return 1
	case filepath.Base(fillingPipe("")), filepath.Base(rewindPipe("")):
		return 2
	}
	return 0
}

// inspectRole tells what a data directory was last used for.
func inspectRole(dir string) cluster.Role {
	switch kind, _ := inspect(dir); {
	case kind != cluster.DataPresent:
		return cluster.RoleUninitialized
	case hasStandbySignal(dir):
		return cluster.RoleReplica
	}
	return cluster.RolePrimary
}

// mustHoldDatabase makes sure that a program which claims to have made a data directory has, and closes the
// directory to others, without which PostgreSQL does not start.
func mustHoldDatabase(dir string) error {
	if kind, why := inspect(dir); kind != cluster.DataPresent || majorVersion(dir) == 0 {
		return fmt.Errorf("it has succeeded, but left no database in %s (no global/pg_control or no PG_VERSION) %s", dir, why)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&^0o750 == 0 {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// linkedDirs are the directories outside that belong to the data directory: WAL and tablespaces.
func linkedDirs(dir string) []string {
	var dirs []string
	for _, link := range links(dir) {
		if target, err := filepath.EvalSymlinks(link); err == nil {
			dirs = append(dirs, target)
		}
	}
	return dirs
}

// links are the symbolic links that lead to them.
func links(dir string) []string {
	var found []string
	candidates := []string{filepath.Join(dir, "pg_wal")}
	spaces, _ := os.ReadDir(filepath.Join(dir, "pg_tblspc"))
	for _, s := range spaces {
		candidates = append(candidates, filepath.Join(dir, "pg_tblspc", s.Name()))
	}
	for _, c := range candidates {
		info, err := os.Lstat(c)
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			found = append(found, c)
		}
	}
	return found
}

func removeContent(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// MoveDataAside renames the data directory to <name>.failed for somebody to look at, and WAL and tablespaces that lie
// elsewhere likewise; older ones of that name are removed. The server must be down.
// Source: Patroni 4.1, postgresql/__init__.py, move_data_directory.
func (i *Instance) MoveDataAside(ctx context.Context) error {
	if err := i.mustBeDown(ctx); err != nil {
		return err
	}
	dir := i.config().DataDir
	if !exists(dir) {
		return clearMark(foundingMark(dir))
	}
	// Its next server would free it, and there will be none.
	if err := shmem.Release(dir); err != nil {
		i.log.Warn("the shared memory of the server that was killed stays until the machine starts anew", "error", err)
	}
	for _, link := range links(dir) {
		if err := i.moveTargetAside(link); err != nil {
			return err
		}
	}
	if err := i.moveDirAside(dir); err != nil {
		return fmt.Errorf("rename data directory: %w", err)
	}
	i.setState(cluster.StateStopped)
	return errors.Join(clearFillingMark(dir), clearMark(foundingMark(dir)))
}

// moveDirAside moves the data directory. One that is a symbolic link stays one, to an empty directory: the next
// database must not come to lie somewhere else.
func (i *Instance) moveDirAside(dir string) error {
	target, err := filepath.EvalSymlinks(dir)
	if info, lerr := os.Lstat(dir); err != nil || lerr != nil || info.Mode()&fs.ModeSymlink == 0 {
		return i.moveAside(dir)
	}
	if err := i.moveAside(target); err != nil || exists(target) {
		return err
	}
	return errors.Join(os.Mkdir(target, 0o700), os.RemoveAll(dir+".failed"), os.Symlink(target+".failed", dir+".failed"))
}

// moveTargetAside moves what a symbolic link of the data directory leads to, and lets the link follow. An empty
// directory stays in its place: a tablespace is made in one that is there.
func (i *Instance) moveTargetAside(link string) error {
	target, err := filepath.EvalSymlinks(link)
	if err != nil {
		return nil //nolint:nilerr // it leads nowhere, so nothing is there
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	if err := i.moveAside(target); err != nil {
		return fmt.Errorf("rename %s, to which %s leads: %w", target, link, err)
	}
	if exists(target) {
		return nil // it could only be emptied
	}
	return errors.Join(os.Mkdir(target, info.Mode().Perm()), os.Remove(link), os.Symlink(target+".failed", link))
}

// moveAside renames a directory to <name>.failed.
func (i *Instance) moveAside(dir string) error {
	aside := dir + ".failed"
	i.log.Info("renaming data directory", "from", dir, "to", aside)
	if err := os.RemoveAll(aside); err != nil {
		return fmt.Errorf("remove the older %s: %w", aside, err)
	}
	err := os.Rename(dir, aside)
	if cannot := errors.Is(err, syscall.EBUSY) || errors.Is(err, fs.ErrPermission); cannot && i.halfFounded() {
		// A mount point, or in a directory that is not ours. Nobody has ever used what is in it.
		i.log.Warn("the data directory of the failed bootstrap can't be renamed, so it is emptied", "path", dir, "error", err)
		return emptyDir(dir, false)
	}
	return err
}

// halfFounded reports whether a bootstrap began to fill the data directory and did not come to its end.
func (i *Instance) halfFounded() bool {
	i.mu.Lock()
	half, dir := i.half, i.cfg.DataDir
	i.mu.Unlock()
	return half || exists(foundingMark(dir))
}

// mustBeDown refuses work on files that a server may be using, and sees to it that nobody else fills them.
func (i *Instance) mustBeDown(ctx context.Context) error {
	dir := i.config().DataDir
	if h := i.postmaster(); h != nil {
		return fmt.Errorf("postgres still runs on %s (pid %d)", dir, h.PID())
	}
	pids, err := i.leftovers()
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return fmt.Errorf("processes of an earlier postgres are still alive in %s: %v", dir, pids)
	}
	return endFillers(ctx, dir)
}
