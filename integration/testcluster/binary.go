package testcluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// buildTags are those that the binary is built with, see Main.
var buildTags string

// ready is a directory that has the binary built; empty: build it.
func ready() string {
	if buildTags != "" {
		return "" // what is there is what ships
	}
	return os.Getenv("HATHI_TEST_BIN")
}

// binary builds hathi once for all tests of a process and gives its path, or that of one that HATHI_TEST_BIN has
// ready. It is built without the race detector: what is measured is what ships.
var binary = sync.OnceValues(func() (string, error) {
	if dir := ready(); dir != "" {
		return filepath.Join(dir, "hathi"), nil
	}
	dir, err := os.MkdirTemp("", "hathi-binary-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the binary: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hathi")
	build := exec.Command("go", "build", "-trimpath", "-tags", buildTags, "-o", path, "github.com/hathi-ha/hathi/cmd/hathi")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hathi: %w\n%s", err, out)
	}
	return path, nil
})

// Main runs the tests of a process and removes the binary afterwards: the body of a TestMain. The binary is built with
// the tags; without any it is the one that ships.
func Main(m *testing.M, tags ...string) {
	buildTags = strings.Join(tags, ",")
	defer Cleanup()
	m.Run() // the exit code is taken from m when TestMain returns
}

// Cleanup removes the binary; call it when all tests of the process are over.
func Cleanup() {
	if path, err := binary(); err == nil && ready() == "" {
		os.RemoveAll(filepath.Dir(path))
	}
}

// PostgresBin is the directory of the programs of PostgreSQL that the nodes run.
func PostgresBin(t testing.TB) string {
	t.Helper()
	bin, err := postgresBin()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// postgresBin is the directory of the newest PostgreSQL of this machine.
func postgresBin() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL under /usr/lib/postgresql: run scripts/setup")
	}
	return filepath.Dir(found[len(found)-1]), nil
}
