package playground

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindPostgres: what is missing is named, and so is what to install.
func TestFindPostgres(t *testing.T) {
	dir := t.TempDir()
	for _, program := range needed {
		if _, err := findPostgres(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, program)) {
			t.Errorf("without %s: %v", program, err)
		}
		if err := os.WriteFile(filepath.Join(dir, program), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := findPostgres(dir); got != dir || err != nil {
		t.Errorf("with all programs: %q, %v", got, err)
	}
	if !strings.Contains(ErrNoPostgres.Error(), "apt-get install postgresql") {
		t.Errorf("%v does not say what to install", ErrNoPostgres)
	}
	if major("/usr/lib/postgresql/9.6/bin") >= major("/usr/lib/postgresql/17/bin") {
		t.Error("version 9.6 comes before 17")
	}
}
