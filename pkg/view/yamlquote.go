package view

import (
	"regexp"
	"strings"
	"sync"
)

// style is how a string has to be written so that it reads back as that string.
type style int

const (
	plain style = iota
	single
	double
)

// special matches what YAML 1.1 takes for something other than a string. It is compiled at first use: most
// commands never need it. Source: yaml.org, YAML 1.1 type repository (bool, int, float, null, timestamp,
// merge, value).
var special = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:` + strings.Join([]string{
		`|~|null|Null|NULL|<<|=`,
		`yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF`,
		`[-+]?0b[01_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+`,
		`[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+`,
		`[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?`,
		`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)`,
		`[0-9]{4}-[0-9]{2}-[0-9]{2}`,
		`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?`,
	}, "|") + `)$`)
})

// quoting decides how to write a string, in a block or on one line within braces (flow).
func quoting(s string, flow bool) style {
	if special().MatchString(s) {
		return single
	}
	for _, r := range s {
		if r != '\n' && !printable(r) {
			return double
		}
	}
	if strings.Contains(s, " \n") || strings.Contains(s, "\n ") {
		return double // blanks beside a line break would be folded away
	}
	if strings.Contains(s, "\n") || s[0] == ' ' || s[len(s)-1] == ' ' || indicated(s) || flow && strings.ContainsAny(s, ",?[]{}:") {
		return single
	}
	return plain
}

// indicated reports whether a string holds, where it matters, a character that has a meaning in YAML.
func indicated(s string) bool {
	if strings.ContainsAny(s[:1], "#,[]{}&*!|>'\"%@`") || strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") {
		return true
	}
	if strings.ContainsAny(s[:1], "-?:") && (len(s) == 1 || s[1] == ' ') {
		return true
	}
	return strings.Contains(s, ": ") || strings.HasSuffix(s, ":") || strings.Contains(s, " #")
}

// printable reports whether YAML allows a character to stand for itself.
func printable(r rune) bool {
	switch {
	case r == 0xfeff || r == 0x2028 || r == 0x2029 || r == 0x85:
		return false
	case r >= ' ' && r <= '~':
		return true
	}
	return r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
}
