package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/config"
)

// Level is how bad a finding is.
type Level string

// The levels. A mistake does not do what its author wants, or keeps the node from starting; a risk works until
// something happens; a hint is about what most clusters want otherwise.
const (
	Mistake Level = "mistake"
	Risk    Level = "risk"
	Hint    Level = "hint"
)

// Finding is one thing that was found.
type Finding struct {
	Level Level  `json:"level"`
	Where string `json:"where"`         // file:line, a file, or the name of a running member
	Key   string `json:"key,omitempty"` // dotted path
	What  string `json:"what"`
	Why   string `json:"why"`
	Fix   string `json:"fix"`
}

// Text gives the finding on three lines, without an end of line.
func (f Finding) Text() string {
	return fmt.Sprintf("%s: %s: %s\n    why: %s\n    fix: %s", f.Where, f.Level, f.what(), f.Why, f.Fix)
}

// Line gives it on one line, for a log.
func (f Finding) Line() string {
	return fmt.Sprintf("%s: %s: %s (fix: %s)", f.Where, f.what(), f.Why, f.Fix)
}

func (f Finding) what() string {
	if f.Key == "" {
		return f.What
	}
	return f.Key + ": " + f.What
}

// Healthy reports whether there is no mistake among the findings.
func Healthy(list []Finding) bool {
	return !slices.ContainsFunc(list, func(f Finding) bool { return f.Level == Mistake })
}

// rule looks at one file.
type rule func(f file) []Finding

// file is a configuration with the ways to speak about it.
type file struct{ config.Inspection }

func (f file) at(path string) *config.Node { return f.Tree.At(strings.Split(path, ".")...) }

// text is the value at a path; empty if there is none.
func (f file) text(path string) string {
	if n := f.at(path); n != nil {
		return n.Text
	}
	return ""
}

// find makes a finding about the value at a path, or about the nearest thing above it that is there.
func (f file) find(level Level, path, what, why, fix string) []Finding {
	where := f.Path
	parts := strings.Split(path, ".")
	for i := len(parts); i > 0; i-- {
		if n := f.Tree.At(parts[:i]...); n != nil {
			where = n.Where()
			break
		}
	}
	return []Finding{{Level: level, Where: where, Key: path, What: what, Why: why, Fix: fix}}
}

// Files judges the configurations of one or more nodes of a cluster.
func Files(list []config.Inspection) []Finding {
	var found []Finding
	var files []file
	for _, in := range list {
		f := file{in}
		files = append(files, f)
		found = append(found, own(f)...)
	}
	said := map[string]bool{}
	for _, one := range found {
		said[one.Where+" "+one.Key] = one.Level == Mistake // a hint must not hide that the files contradict each other
	}
	for _, one := range together(files) {
		if !said[one.Where+" "+one.Key] {
			found = append(found, one)
		}
	}
	return sorted(found)
}

// Beyond gives the findings about one file that reading it does not tell already as warnings, for the log of an agent.
func Beyond(in config.Inspection) []Finding {
	in.Errors, in.Warnings = nil, nil
	return sorted(own(file{in}))
}

// own judges one file by itself. What reading it has told is left out where a rule says more about the same value.
func own(f file) []Finding {
	var found []Finding
	for _, r := range rules {
		found = append(found, r(f)...)
	}
	said := map[string]bool{}
	for _, one := range found {
		said[one.Where+" "+one.Key] = true
	}
	add := func(level Level, why string, problems config.Problems) {
		for _, p := range problems {
			if !said[p.Where+" "+p.Key] {
				found = append(found, reported(level, why, p))
			}
		}
	}
	add(Mistake, "hathi run does not start with it", f.Errors)
	add(Risk, "hathi run starts and goes on without it, so the cluster is not what the file says", f.Warnings)
	return found
}

// reported turns a problem of the reader into a finding: what is wrong comes before the first semicolon, what to do
// after it.
func reported(level Level, why string, p config.Problem) Finding {
	what, fix, ok := strings.Cut(p.Text, ";")
	switch {
	case strings.HasPrefix(p.Text, "unknown "):
		level, why = Mistake, "nothing reads it, so the default is in force"
		if !ok {
			fix = "remove it, or look its name up in the documentation"
		}
	case !ok:
		if w, f, cut := strings.Cut(p.Text, ": "); cut {
			what, fix = w, f
		} else {
			fix = "correct the value"
		}
	}
	if p.Value != "" {
		what = p.Value + ": " + what
	}
	where := p.Where
	if where == "" {
		where = "configuration"
	}
	return Finding{Level: level, Where: where, Key: p.Key, What: what, Why: why, Fix: strings.TrimSpace(fix)}
}
