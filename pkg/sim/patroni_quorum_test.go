package sim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestPatroniQuorum has the worked examples of the description (16.4).
func TestPatroniQuorum(t *testing.T) {
	set := func(s string) []string { return patroniSet(strings.Split(s, "")[:len(s)]) }
	for _, c := range []struct {
		l, v    string
		q       int
		s       string
		n, c, w int
		a       string
		want    string
	}{
		{"p", "", 0, "", 0, 0, 1, "x", "S1x restart"},
		{"p", "", 0, "x", 1, 1, 1, "x", "Vq0x"},
		{"p", "", 0, "", 0, 0, 2, "xyz", "S2xyz restart"},
		{"p", "", 0, "xyz", 2, 1, 2, "xyz", "Vq2xyz"},
		{"p", "", 0, "xyz", 2, 3, 2, "xyz", "Vq1xyz"},
		{"p", "xy", 1, "xy", 1, 2, 1, "xyz", "Vq2xyz S1xyz"},
		{"p", "xy", 1, "xy", 1, 1, 1, "x", "S1x Vq0x"},
		{"p", "xy", 0, "xy", 2, 1, 2, "x", "Vq0x S1x"},
		{"p", "xy", 1, "xy", 1, 0, 1, "", "Vq0 S0"},
		{"p", "xyz", 2, "xyz", 1, 3, 2, "xyz", "S2xyz Vq1xyz"},
		{"p", "xyz", 1, "xyz", 2, 3, 1, "xyz", "Vq2xyz S1xyz"},
		{"p", "xyz", 1, "xyz", 2, 2, 2, "xz", "S2xz Vq0xz"},
		{"p", "xyz", 1, "xyz", 2, 1, 2, "x", "S2xy Vq0x S1x"},
		{"p", "xy", 1, "xyz", 1, 3, 1, "xyz", "Vq2xyz"},
		{"p", "xyz", 2, "xy", 1, 2, 1, "xyz", "S1xyz"},
	} {
		g := quorumGenerator{l: c.l, q: c.q, v: set(c.v), n: c.n, s: set(c.s), c: c.c, a: set(c.a), w: c.w, me: "p"}
		if got := stepsText(g.generate()); got != c.want {
			t.Errorf("V=%s q%d S=%s n%d c%d A=%s w%d: %s, want %s", c.v, c.q, c.s, c.n, c.c, c.a, c.w, got, c.want)
		}
	}
	for a, want := range map[string]string{"yz": "Vq2pyz S1yz Vq1yz", "": "Vq2pyz"} {
		g := quorumGenerator{l: "p", q: 2, v: set("xyz"), n: 1, s: set("pyz"), a: set(a), w: 1, me: "x"}
		if got := stepsText(g.generate()); got != want {
			t.Errorf("x takes over with A=%q: %s, want %s", a, got, want)
		}
	}
}

func stepsText(steps []quorumStep) string {
	var words []string
	for _, s := range steps {
		all := strings.Join(slices.Sorted(slices.Values(s.set)), "")
		switch {
		case s.restart:
			words = append(words, "restart")
		case s.key:
			words = append(words, fmt.Sprintf("Vq%d%s", s.n, all))
		default:
			words = append(words, fmt.Sprintf("S%d%s", s.n, all))
		}
	}
	return strings.Join(words, " ")
}
