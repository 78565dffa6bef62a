package structure

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// conventional are methods whose meaning an interface of the standard library, cobra or a sort fixes.
var conventional = []string{
	"Error", "Unwrap", "Is", "As", "String", "Len", "Less", "Swap", "Push", "Pop", "Write", "Read", "Close",
	"MarshalJSON", "UnmarshalJSON", "MarshalText", "UnmarshalText",
}

func findUndocumented(s *source) []finding {
	if s.test() {
		return nil
	}
	var found []finding
	for _, d := range s.file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Doc == nil && d.Name.IsExported() && !isConventional(d) {
				found = append(found, s.finding(d.Pos(), "%s has no doc comment", d.Name.Name))
			}
		case *ast.GenDecl:
			found = append(found, s.undocumented(d)...)
		}
	}
	return found
}

// isConventional also lets methods of types go that nobody outside can name.
func isConventional(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return false
	}
	return slices.Contains(conventional, d.Name.Name) || !ast.IsExported(base(d.Recv.List[0].Type))
}

// undocumented looks at types, constants and variables. One comment may stand for a group.
func (s *source) undocumented(d *ast.GenDecl) []finding {
	if d.Doc != nil || d.Tok == token.IMPORT {
		return nil
	}
	var found []finding
	for _, spec := range d.Specs {
		var names []*ast.Ident
		var doc *ast.CommentGroup
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names, doc = []*ast.Ident{spec.Name}, spec.Doc
		case *ast.ValueSpec:
			names, doc = spec.Names, spec.Doc
			if doc == nil {
				doc = spec.Comment
			}
		}
		for _, name := range names {
			if doc == nil && name.IsExported() {
				found = append(found, s.finding(name.Pos(), "%s has no doc comment", name.Name))
			}
		}
	}
	return found
}

// TestPackageComments holds that each package says once what it is: in a file that ships, or, where all of
// it are tests, in one of those.
func TestPackageComments(t *testing.T) {
	comments := map[string][]string{}
	for _, s := range load(t) {
		if strings.HasSuffix(s.file.Name.Name, "_test") {
			continue
		}
		comments[s.dir()] = append(comments[s.dir()], "")
		if s.file.Doc != nil {
			comments[s.dir()] = append(comments[s.dir()], s.path)
		}
	}
	for dir, files := range comments {
		files = slices.DeleteFunc(files, func(f string) bool { return f == "" })
		if len(files) != 1 {
			t.Errorf("%s has %d package comments, not one: %s", dir, len(files), strings.Join(files, ", "))
		}
	}
}
