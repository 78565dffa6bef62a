package structure

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestScenariosExist holds that docs/versions.md names tests that are there.
func TestScenariosExist(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range load(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Test") {
				tests[f.Name.Name] = true
			}
		}
	}
	table, err := os.ReadFile(filepath.Join("..", "..", "docs", "versions.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(string(table), -1)
	if len(named) < 40 {
		t.Fatalf("docs/versions.md names %d tests only: has its form changed?", len(named))
	}
	for _, name := range named {
		if !tests[name[1]] {
			t.Errorf("docs/versions.md names %s, and there is no such test", name[1])
		}
	}
}
