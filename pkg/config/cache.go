package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// cacheName is the file in the data directory that keeps the last accepted configuration of the cluster. Base
// backups carry it, and Patroni reads it too. Source: Patroni 4.1, config.py, save_cache.
const cacheName = "patroni.dynamic.json"

// ReadCache reads patroni.dynamic.json from a data directory; nil without an error if there is none.
func ReadCache(dataDir string) ([]byte, error) {
	raw, err := os.ReadFile(filepath.Join(dataDir, cacheName))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the cached configuration: %w", err)
	}
	if _, err := ParseObject(raw); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dataDir, cacheName), err)
	}
	return raw, nil
}

// WriteCache writes patroni.dynamic.json: a new file that takes the place of the old one at once. Its group
// may read it if the group may read the directory.
func WriteCache(dataDir string, document []byte) (err error) {
	dir, err := os.Stat(dataDir)
	if err != nil {
		return fmt.Errorf("write the cached configuration: %w", err)
	}
	f, err := os.CreateTemp(dataDir, cacheName+"*") // 0600
	if err != nil {
		return fmt.Errorf("write the cached configuration: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if dir.Mode().Perm()&0o050 == 0o050 {
		err = f.Chmod(0o640)
	}
	if err == nil {
		_, err = f.Write(document)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dataDir, cacheName))
	}
	if err != nil {
		return fmt.Errorf("write the cached configuration: %w", err)
	}
	return nil
}
