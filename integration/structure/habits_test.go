package structure

import (
	"go/ast"
	"slices"
)

func findSkip(s *source) []finding {
	var found []finding
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		method, ok := call.Fun.(*ast.SelectorExpr)
		if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, method.Sel.Name) {
			found = append(found, s.finding(call.Pos(), "skips a test"))
		}
		return true
	})
	return found
}

// findSleep looks at what ships and at what the tests share; a test itself may let a fault last for a while.
func findSleep(s *source) []finding {
	if s.test() {
		return nil
	}
	var found []finding
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.SelectorExpr)
		if ok && base(call.X) == "time" && call.Sel.Name == "Sleep" && !s.commented(s.line(call.Pos())) {
			found = append(found, s.finding(call.Pos(), "sleeps, and no comment names the event that is missing"))
		}
		return true
	})
	return found
}

// commented reports whether a comment stands in a line or ends in the one before.
func (s *source) commented(line int) bool {
	return slices.ContainsFunc(s.file.Comments, func(c *ast.CommentGroup) bool {
		end := s.line(c.End())
		return end == line || end == line-1
	})
}
