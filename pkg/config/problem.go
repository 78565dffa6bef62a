package config

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Where string // file:line, or the name of an environment variable; empty for the document of the cluster
	Key   string // dotted path, such as postgresql.listen; empty for the whole file
	Value string // as it was written; secrets are stars; empty if the key is missing
	Text  string // what is wrong, and what to do
}

// String gives the problem on one line.
func (p Problem) String() string {
	var parts []string
	for _, s := range []string{p.Where, p.Key, p.Value, p.Text} {
		if s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ": ")
}

// Problems are several of them; as an error, one on each line.
type Problems []Problem

// Error lists all problems.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// sorted puts problems of one file into the order of its lines.
func (p Problems) sorted() Problems {
	slices.SortStableFunc(p, func(a, b Problem) int {
		fileA, lineA := splitWhere(a.Where)
		fileB, lineB := splitWhere(b.Where)
		return cmp.Or(cmp.Compare(fileA, fileB), cmp.Compare(lineA, lineB))
	})
	return p
}

func splitWhere(where string) (file string, line int) {
	i := strings.LastIndexByte(where, ':')
	if line, err := strconv.Atoi(where[i+1:]); err == nil && i >= 0 {
		return where[:i], line
	}
	return where, 0
}

// orNil avoids an error that is not nil and says nothing.
func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// collector gathers what readers of a tree find: errors, with which one can't go on, and warnings.
type collector struct{ errors, warnings Problems }

func (c *collector) fail(n *Node, key, text string) {
	c.errors = append(c.errors, problemAt(n, key, text))
}

func (c *collector) warn(n *Node, key, text string) {
	c.warnings = append(c.warnings, problemAt(n, key, text))
}

func problemAt(n *Node, key, text string) Problem {
	return Problem{Where: n.where(), Key: key, Value: shown(n, key), Text: text}
}

// shown gives a value for people; never a secret.
func shown(n *Node, key string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind == List:
		return "(list)"
	case n.Kind == Map:
		return "(mapping)"
	case n.Kind == Null:
		return "null"
	case secretKey(key):
		return stars
	}
	text := n.Text
	if u, err := url.Parse(text); strings.Contains(text, "@") && (err != nil || u.User != nil) {
		return stars
	}
	if r := []rune(text); len(r) > 100 {
		text = string(r[:100]) + "..."
	}
	return strings.ReplaceAll(text, "\n", " ")
}

// secretKey reports whether a value under this path must not be shown.
func secretKey(key string) bool {
	last := strings.ToLower(key[strings.LastIndexByte(key, '.')+1:])
	return strings.Contains(last, "password") || last == "token" || strings.Contains(key, ".users.") ||
		strings.Contains(key, "authentication.") && last != "username"
}

// nearest gives the candidate that a mistyped name most likely means, empty if none is close.
func nearest(name string, candidates []string) string {
	best, distance := "", 2+len(name)/3
	for _, c := range candidates {
		if d := editDistance(name, c); d < distance {
			best, distance = c, d
		}
	}
	return best
}

// editDistance counts the letters to insert, remove or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
