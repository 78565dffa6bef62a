// Package structure holds the shape of the source tree: which package may import which, that the decisions
// stay pure, that what is exported is documented, and how long files and functions may get. It reads the
// source and runs nothing, so each rule is also shown a piece of code that breaks it.
package structure

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/hathi-ha/hathi/"

// source is one Go file. Its path starts at the top of the repository and has forward slashes.
type source struct {
	path  string
	fset  *token.FileSet
	file  *ast.File
	lines int
}

// dir is the package that the file belongs to, as a path below the module.
func (s *source) dir() string { return path.Dir(s.path) }

func (s *source) test() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// finding is one place where a rule is broken.
type finding struct {
	at   string
	what string
}

func (s *source) finding(p token.Pos, format string, args ...any) finding {
	return finding{fmt.Sprintf("%s:%d", s.path, s.line(p)), fmt.Sprintf(format, args...)}
}

// A rule looks at one file. It says why it exists, for whoever has to live with it.
type rule struct {
	name string
	why  string
	find func(*source) []finding
}

var rules = []rule{
	{"layers", "a package imports only what stands below it, so that each can be read and tested without those above", findUpward},
	{"edges", "each forbidden import has its own reason", findEdges},
	{"pure", "the same observation must give the same decision, in the agent, the simulator and the tests", findImpure},
	{"documented", "what is exported is read by people who do not read the code below it", findUndocumented},
	{"size", "what grows past the limit is nearly always several things: split off a rule, an action, a leaf", findLong},
	{"no skip", "a test that skips itself is green where nothing was tested: a missing program fails", findSkip},
	{"sleep", "a sleep stands for an event that is missing: a comment names it", findSleep},
}

func TestTree(t *testing.T) {
	tree := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, s := range tree {
				for _, f := range r.find(s) {
					t.Errorf("%s: %s\n\twhy: %s", f.at, f.what, r.why)
				}
			}
		})
	}
}

// load parses all Go files of the repository.
func load(t *testing.T) []*source {
	t.Helper()
	top := filepath.Join("..", "..")
	var tree []*source
	for _, dir := range []string{"cmd", "pkg", "integration"} {
		err := filepath.WalkDir(filepath.Join(top, dir), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") {
				return err
			}
			text, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(top, name)
			if err != nil {
				return err
			}
			s, err := parse(filepath.ToSlash(rel), string(text))
			tree = append(tree, s)
			return err
		})
		if err != nil {
			t.Fatalf("read the source below %s: %v", dir, err)
		}
	}
	return tree
}

func parse(name, text string) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	return &source{path: name, fset: fset, file: file, lines: strings.Count(text, "\n")}, err
}
