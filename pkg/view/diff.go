package view

import (
	"fmt"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
)

// The colours of a difference.
const (
	ansiReset    = "\x1b[0m"
	ansiRed      = "\x1b[31m"
	ansiGreen    = "\x1b[32m"
	ansiYellow   = "\x1b[33m"
	ansiBlue     = "\x1b[34m"
	ansiReverse  = "\x1b[7m"
	ansiStraight = "\x1b[27m"
)

// Diff gives the difference of two texts in the unified format with three lines of context and no names of files;
// nothing if they are equal. In colour, what differs within a line that was replaced is shown in reverse.
// Source: Python 3, difflib.unified_diff; Patroni 4.1, patronictl, show_diff.
func Diff(before, after string, colour bool) []byte {
	d := differ{a: lines(before), b: lines(after), colour: colour}
	groups := difflib.NewMatcher(d.a, d.b).GetGroupedOpCodes(3)
	for i, group := range groups {
		if i == 0 {
			d.line(ansiYellow, "--- ")
			d.line(ansiYellow, "+++ ")
		}
		first, last := group[0], group[len(group)-1]
		d.line(ansiBlue, "@@ -"+hunk(first.I1, last.I2)+" +"+hunk(first.J1, last.J2)+" @@")
		for _, op := range group {
			d.change(op)
		}
	}
	return []byte(d.String())
}

// lines splits a text; the newlines at its end count for nothing.
func lines(text string) []string { return strings.Split(strings.TrimRight(text, "\n"), "\n") }

// hunk is a range of lines: a count of one is left out, and an empty one begins before its line.
func hunk(start, stop int) string {
	switch count := stop - start; count {
	case 1:
		return fmt.Sprint(start + 1)
	case 0:
		return fmt.Sprintf("%d,0", start)
	default:
		return fmt.Sprintf("%d,%d", start+1, count)
	}
}

type differ struct {
	strings.Builder
	a, b   []string
	colour bool
}

func (d *differ) line(colour, text string) {
	if d.colour && colour != "" {
		text = colour + text + ansiReset
	}
	d.WriteString(text + "\n")
}

func (d *differ) change(op difflib.OpCode) {
	old, now := d.a[op.I1:op.I2], d.b[op.J1:op.J2]
	if op.Tag == 'e' {
		for _, text := range old {
			d.line("", " "+text)
		}
		return
	}
	for i, text := range old {
		if d.colour && i < len(now) {
			text = emphasise(text, now[i])
		}
		d.line(ansiRed, "-"+text)
	}
	for i, text := range now {
		if d.colour && i < len(old) {
			text = emphasise(text, old[i])
		}
		d.line(ansiGreen, "+"+text)
	}
}

// emphasise marks in a line what lies between its common beginning and end with another.
func emphasise(text, other string) string {
	x, y := []rune(text), []rune(other)
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	tail := 0
	for tail < len(x)-head && tail < len(y)-head && x[len(x)-1-tail] == y[len(y)-1-tail] {
		tail++
	}
	if head+tail == len(x) {
		return text
	}
	return string(x[:head]) + ansiReverse + string(x[head:len(x)-tail]) + ansiStraight + string(x[len(x)-tail:])
}
