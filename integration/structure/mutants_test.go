package structure

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestMistakesAreListed holds that docs/safety.md lists the mistakes that the simulator's tests plant: all, and no others.
func TestMistakesAreListed(t *testing.T) {
	planted := map[string]bool{}
	for _, s := range load(t) {
		if s.dir() == "pkg/sim" && s.test() {
			plantedIn(s, func(name string) { planted[name] = true })
		}
	}
	if len(planted) < 60 {
		t.Fatalf("only %d mistakes are found in pkg/sim: has their form changed?", len(planted))
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "safety.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Mistakes that were planted\n")
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]bool{}
	for line := range strings.Lines(section) {
		name, ok := strings.CutPrefix(line, "| ")
		name, _, _ = strings.Cut(name, " | ")
		if name = strings.ReplaceAll(name, "`", ""); !ok || name == "mistake" {
			continue
		}
		if listed[name] {
			t.Errorf("docs/safety.md lists %q twice", name)
		}
		listed[name] = true
	}
	for name := range planted {
		if !listed[name] {
			t.Errorf("docs/safety.md does not list the planted mistake %q", name)
		}
	}
	for name := range listed {
		if !planted[name] {
			t.Errorf("docs/safety.md lists %q, which nothing plants", name)
		}
	}
}

// plantedIn finds the mistakes in the lists of a file: the values of type mutant, each of which begins with its name.
func plantedIn(s *source, found func(name string)) {
	for _, d := range s.file.Decls {
		vars, ok := d.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		for _, spec := range vars.Specs {
			for _, v := range spec.(*ast.ValueSpec).Values {
				list, ok := v.(*ast.CompositeLit)
				if !ok || !strings.HasSuffix(elementOf(list), "utant") {
					continue
				}
				for _, e := range list.Elts {
					found(firstText(e))
				}
			}
		}
	}
}

// elementOf gives the name of the type of a slice's elements.
func elementOf(list *ast.CompositeLit) string {
	if of, ok := list.Type.(*ast.ArrayType); ok {
		if name, ok := of.Elt.(*ast.Ident); ok {
			return name.Name
		}
	}
	return ""
}

// firstText gives the text that a value begins with, however deep.
func firstText(e ast.Expr) string {
	for {
		switch x := e.(type) {
		case *ast.CompositeLit:
			if len(x.Elts) == 0 {
				return ""
			}
			e = x.Elts[0]
		case *ast.BasicLit:
			text, _ := strconv.Unquote(x.Value) // the parser has read it
			return text
		default:
			return ""
		}
	}
}
