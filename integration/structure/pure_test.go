package structure

import (
	"go/ast"
	"go/token"
	"slices"
)

// core is a package that decides or says, and does nothing.
type core struct {
	dir     string
	imports []string
	// variables: package variables are allowed if nothing assigns to them.
	variables bool
}

// pure lists what each core may use, not what it may not: an oversight then forbids too much, not too little.
var pure = []core{
	{dir: "pkg/ha", imports: []string{"pkg/ha/quorum", "pkg/cluster", "pkg/clock", "cmp", "errors", "fmt", "maps", "slices", "sort", "strconv", "strings", "time"}},
	{dir: "pkg/ha/quorum", imports: []string{"pkg/cluster", "cmp", "errors", "fmt", "maps", "slices", "sort", "strconv", "strings"}},
	{dir: "pkg/cluster", imports: []string{"cmp", "errors", "fmt", "maps", "net/url", "slices", "strconv", "strings", "time"}, variables: true},
}

// values are what a pure package may use of packages that can also read a clock or print.
var values = map[string][]string{
	"time": {
		"Duration", "Time", "Month", "Weekday", "Date", "Unix", "UTC", "Parse", "ParseDuration", "RFC3339", "RFC3339Nano",
		"Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour",
	},
	"clock": {"Instant"},
	"fmt":   {"Errorf", "Sprint", "Sprintf", "Sprintln", "Stringer"},
}

func findImpure(s *source) []finding {
	i := slices.IndexFunc(pure, func(p core) bool { return p.dir == s.dir() })
	if i < 0 || s.test() {
		return nil
	}
	p := pure[i]
	found := s.imports(func(name string) []finding {
		if slices.Contains(p.imports, name) {
			return nil
		}
		return []finding{{what: p.dir + " imports " + name + ", which is not on the list of what is pure"}}
	})
	names, declared := s.variables()
	if !p.variables {
		found = append(found, declared...)
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		found = append(found, s.impure(n, names)...)
		return true
	})
	return found
}

// variables gives the package variables of the file, and a finding for each.
func (s *source) variables() (names []string, found []finding) {
	for _, d := range s.file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				names = append(names, name.Name)
				found = append(found, s.finding(name.Pos(), "package variable %s", name.Name))
			}
		}
	}
	return names, found
}

// impure looks at one node for what has an effect, waits or can differ from one call to the next.
func (s *source) impure(n ast.Node, variables []string) []finding {
	switch n := n.(type) {
	case *ast.GoStmt:
		return []finding{s.finding(n.Pos(), "starts a goroutine")}
	case *ast.ChanType, *ast.SelectStmt, *ast.SendStmt:
		return []finding{s.finding(n.Pos(), "uses a channel")}
	case *ast.FuncDecl:
		if n.Recv == nil && n.Name.Name == "init" {
			return []finding{s.finding(n.Pos(), "has an init function")}
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "print" || name.Name == "println") {
			return []finding{s.finding(n.Pos(), "prints")}
		}
	case *ast.SelectorExpr:
		if allowed, listed := values[base(n.X)]; listed && !slices.Contains(allowed, n.Sel.Name) {
			return []finding{s.finding(n.Pos(), "uses %s.%s", base(n.X), n.Sel.Name)}
		}
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			if name := base(left); n.Tok == token.ASSIGN && slices.Contains(variables, name) {
				return []finding{s.finding(n.Pos(), "assigns to the package variable %s", name)}
			}
		}
	}
	return nil
}

// base gives the name that an expression starts from: what an assignment to a field or an element changes.
func base(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.IndexExpr:
		return base(e.X)
	case *ast.SelectorExpr:
		return base(e.X)
	case *ast.StarExpr:
		return base(e.X)
	}
	return ""
}
