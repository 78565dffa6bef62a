package sim

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// FixedSeeds is how many seeds the tests run, and the report: under a minute with the race detector on one core.
const FixedSeeds = 240

// standbySeeds is how many of them, the last, are standby clusters.
const standbySeeds = 40

// namesRule says which argument of a function of package ha is the name of a rule.
var namesRule = map[string]int{"act": 1, "wait": 0, "because": 0, "standBack": 1, "drop": 0, "ask": 2, "turnedDown": 1, "mayLack": 0}

// RuleNames gives the name of every rule in the source of package ha, which is in fsys.
func RuleNames(fsys fs.FS) ([]string, error) {
	files, err := fs.Glob(fsys, "*.go")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := fs.ReadFile(fsys, path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
				collectRules(f, names)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no rule is named in the %d files that were read: they are not those of package ha", len(files))
	}
	return slices.Sorted(maps.Keys(names)), nil
}

// collectRules adds the rules that a function names in calls, or as its result called rule.
func collectRules(f *ast.FuncDecl, names map[string]bool) {
	result := resultIndex(f)
	add := func(list []ast.Expr, i int) {
		if i < 0 || i >= len(list) {
			return
		}
		if lit, ok := list[i].(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if name, err := strconv.Unquote(lit.Value); err == nil && name != "" {
				names[name] = true
			}
		}
	}
	ast.Inspect(f.Body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ReturnStmt:
			add(n.Results, result)
		case *ast.CallExpr:
			if i, ok := namesRule[called(n.Fun)]; ok {
				add(n.Args, i)
			}
		}
		return true
	})
}

// resultIndex is the place of the result that is called rule, -1 if there is none.
func resultIndex(f *ast.FuncDecl) int {
	if f.Type.Results == nil {
		return -1
	}
	i := 0
	for _, field := range f.Type.Results.List {
		for _, name := range field.Names {
			if name.Name == "rule" {
				return i
			}
			i++
		}
	}
	return -1
}

func called(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// Unreached are the rules that no simulated run takes, and why; or so few (seldom) that a test can't count on it.
var Unreached = map[string]string{}
