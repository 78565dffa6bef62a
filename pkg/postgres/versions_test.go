package postgres

import (
	"embed"
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// sources are compiled in: test-versions runs the tests where there are none.
//
//go:embed *.go
var sources embed.FS

// TestVersionsInOneTable: what versions do differently is in versions.go, not in conditions here and there.
func TestVersionsInOneTable(t *testing.T) {
	files, err := fs.Glob(sources, "*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	number := regexp.MustCompile(`\b1[2-9]0000\b`)
	for _, name := range files {
		if name == "versions.go" || strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := sources.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(line, "//")
			if number.MatchString(code) {
				t.Errorf("%s:%d is for versions.go: %s", name, n+1, strings.TrimSpace(line))
			}
		}
	}
}
