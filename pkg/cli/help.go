package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The layout of help pages. Source: Click 8, formatting.py.
const (
	helpWidth  = 78
	helpColumn = 30 // the widest first column that still has its text beside it
)

func printHelp(w io.Writer, usage string, cmd *cobra.Command) {
	var b strings.Builder
	b.WriteString(usage + "\n\n")
	for _, line := range wrap(cmd.Short, helpWidth-2) {
		b.WriteString("  " + line + "\n")
	}
	if cmd.Long != "" {
		b.WriteString("\n" + cmd.Long + "\n")
	}
	var rows [][2]string
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			rows = append(rows, [2]string{flagColumn(f), f.Usage})
		}
	})
	b.WriteString("\nOptions:\n")
	writeRows(&b, rows)
	rows = nil
	for _, sub := range cmd.Commands() {
		if !sub.Hidden && sub.Name() != "help" {
			rows = append(rows, [2]string{sub.Name(), sub.Short})
		}
	}
	if len(rows) > 0 {
		b.WriteString("\nCommands:\n")
		writeRows(&b, rows)
	}
	_, _ = io.WriteString(w, b.String())
}

// flagColumn shows an option: short names first, then the placeholder of its value.
func flagColumn(f *pflag.Flag) string {
	names := f.Annotations[namesKey]
	if names == nil {
		names = []string{"--" + f.Name}
	}
	var shown []string
	for _, n := range names {
		if strings.HasPrefix(n, "--") {
			shown = append(shown, n)
		} else {
			shown = append([]string{n}, shown...)
		}
	}
	column := strings.Join(shown, ", ")
	if m := f.Annotations[metavarKey]; len(m) > 0 && m[0] != "" {
		column += " " + m[0]
	}
	return column
}

func writeRows(b *strings.Builder, rows [][2]string) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r[0]))
	}
	width = min(width, helpColumn) + 2
	margin := "\n" + strings.Repeat(" ", 2+width)
	for _, r := range rows {
		b.WriteString("  " + r[0])
		gap := width - len(r[0])
		if gap < 2 {
			b.WriteString(margin)
		} else {
			b.WriteString(strings.Repeat(" ", gap))
		}
		b.WriteString(strings.Join(wrap(r[1], helpWidth-2-width), margin) + "\n")
	}
}

func wrap(text string, width int) []string {
	lines := []string{""}
	for _, word := range strings.Fields(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
