package testetcd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// program gives the path of the built etcdproc. Test processes of several packages run at once: a file
// lock keeps them from building it at the same time, and the go command leaves a current file alone.
var program = sync.OnceValues(func() (string, error) {
	if ready := os.Getenv("HATHI_TEST_BIN"); ready != "" {
		return filepath.Join(ready, "etcdproc"), nil
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("lock the build of etcdproc: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock the build of etcdproc: %w", err)
	}
	path := filepath.Join(dir, "etcdproc")
	build := exec.Command("go", "build", "-o", path, "github.com/hathi-ha/hathi/integration/etcdproc")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build etcdproc: %w\n%s", err, out)
	}
	return path, nil
})

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		base = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
	}
	dir := filepath.Join(base, "hathi-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make directory for etcdproc: %w", err)
	}
	return dir, nil
}
