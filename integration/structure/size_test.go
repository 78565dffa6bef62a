package structure

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

// The limits only go down. What they are for is the shape of the whole, which TestSizes holds; a single
// function past maxFunction is one that should have been several.
const (
	maxFile     = 400 // lines, comments included
	maxFunction = 70  // lines, without the largest table in it

	medianFunction = 10 // half of what ships is not longer
	mostFunctions  = 30 // nine in ten are not longer
)

func findLong(s *source) []finding {
	var found []finding
	if s.lines > maxFile {
		found = append(found, finding{s.path, fmt.Sprintf("the file has %d lines, more than %d", s.lines, maxFile)})
	}
	for _, d := range s.file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && s.length(f) > maxFunction {
			found = append(found, s.finding(f.Pos(), "%s has %d lines, more than %d", f.Name.Name, s.length(f), maxFunction))
		}
	}
	return found
}

// length counts the lines of a function; a flat table in it costs nothing.
func (s *source) length(f *ast.FuncDecl) int {
	span := func(n ast.Node) int { return s.line(n.End()) - s.line(n.Pos()) + 1 }
	table := 0
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if ok {
			table = max(table, span(lit))
		}
		return !ok
	})
	return span(f) - table
}

// TestSizes holds the distribution, which tells more about the code than its largest piece.
func TestSizes(t *testing.T) {
	var lengths []int
	for _, s := range load(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && !s.test() {
				lengths = append(lengths, s.length(f))
			}
		}
	}
	slices.Sort(lengths)
	t.Logf("%d functions: median %d, ninth decile %d, longest %d lines", len(lengths), lengths[len(lengths)/2], lengths[len(lengths)*9/10], lengths[len(lengths)-1])
	if n := lengths[len(lengths)/2]; n > medianFunction {
		t.Errorf("half of the functions have more than %d lines (median %d)", medianFunction, n)
	}
	if n := lengths[len(lengths)*9/10]; n > mostFunctions {
		t.Errorf("more than a tenth of the functions have more than %d lines (ninth decile %d)", mostFunctions, n)
	}
}
