package playground

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
)

// ErrNoPostgres says that there is no PostgreSQL server on this machine, and what to install.
var ErrNoPostgres = errors.New("no PostgreSQL server found in PATH, /usr/lib/postgresql or /usr/pgsql-*: " +
	"install it first (Debian, Ubuntu: apt-get install postgresql; Red Hat: dnf install postgresql-server), " +
	"or name its directory with --bin-dir")

// serverUser is who runs PostgreSQL when the playground is started by root.
const serverUser = "postgres"

// needed are the programs a node runs.
var needed = [...]string{"postgres", "initdb", "pg_basebackup", "pg_controldata", "pg_rewind"}

// findPostgres gives the directory with the programs of the newest PostgreSQL server of this machine.
func findPostgres(binDir string) (string, error) {
	if binDir != "" {
		return binDir, complete(binDir)
	}
	for _, dir := range candidates() {
		if complete(dir) == nil {
			return dir, nil
		}
	}
	return "", ErrNoPostgres
}

// candidates are the usual places: packaged versions, the newest first, then PATH.
func candidates() []string {
	debian, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	redhat, _ := filepath.Glob("/usr/pgsql-*/bin")
	dirs := append(debian, redhat...)
	sort.SliceStable(dirs, func(i, j int) bool { return major(dirs[i]) > major(dirs[j]) })
	if path, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	return dirs
}

func major(dir string) int {
	n, _ := strconv.Atoi(regexp.MustCompile(`\d+`).FindString(dir))
	return n
}

func complete(dir string) error {
	for _, program := range needed {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("no PostgreSQL server in %s: %w", dir, err)
		}
	}
	return nil
}
