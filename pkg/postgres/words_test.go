package postgres

import (
	"slices"
	"testing"
)

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		`/bin/x`:                      {"/bin/x"},
		`  a  b	c `:                   {"a", "b", "c"},
		`sh -c 'echo "$1" >> /tmp/x'`: {"sh", "-c", `echo "$1" >> /tmp/x`},
		`a "b \" \\ \x $HOME" c\ d`:   {"a", `b " \ \x $HOME`, "c d"},
		`a '' ""b`:                    {"a", "", "b"},
		`a#b # c`:                     {"a#b", "#", "c"},
	} {
		if got, err := words(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, bad := range []string{"", "  ", `a 'b`, `a "b`, `a\`} {
		if got, err := words(bad); err == nil {
			t.Errorf("%q: %q without an error", bad, got)
		}
	}
}
