package view

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/olekukonko/tablewriter"
	"github.com/olekukonko/tablewriter/renderer"
	"github.com/olekukonko/tablewriter/tw"
)

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // aligned to the right, heading included
}

// Table is a bordered table. Rows have one cell per column; a cell may have several lines.
type Table struct {
	Title   string // overwrites the top border; empty leaves it as it is
	Columns []Column
	Rows    [][]string
}

// Render draws the table. A rule stands between all rows as soon as one cell has more than one line.
func (t Table) Render() ([]byte, error) {
	var out bytes.Buffer
	align := tw.CellAlignment{}
	var heading []string
	for _, c := range t.Columns {
		side := tw.AlignLeft
		if c.Right {
			side = tw.AlignRight
		}
		align.PerColumn = append(align.PerColumn, side)
		heading = append(heading, c.Title)
	}
	table := tablewriter.NewTable(&out,
		tablewriter.WithRenderer(renderer.NewBlueprint(tw.Rendition{
			Symbols:  tw.NewSymbols(tw.StyleASCII),
			Settings: tw.Settings{Separators: tw.Separators{BetweenRows: t.ruled()}},
		})),
		tablewriter.WithTrimSpace(tw.Off), // the indentation of the replication tree is part of the name
		tablewriter.WithConfig(tablewriter.Config{
			Header: tw.CellConfig{Alignment: align, Formatting: tw.CellFormatting{AutoFormat: tw.Off, AutoWrap: tw.WrapNone}},
			Row:    tw.CellConfig{Alignment: align, Formatting: tw.CellFormatting{AutoWrap: tw.WrapNone}},
		}))
	table.Header(heading)
	for _, row := range t.Rows {
		if err := table.Append(row); err != nil {
			return nil, fmt.Errorf("draw table row %q: %w", row, err)
		}
	}
	if err := table.Render(); err != nil {
		return nil, fmt.Errorf("draw table: %w", err)
	}
	return t.finish(out.Bytes()), nil
}

func (t Table) ruled() tw.State {
	for _, row := range t.Rows {
		for _, cell := range row {
			if strings.Contains(cell, "\n") {
				return tw.On
			}
		}
	}
	return tw.Off
}

// finish puts the title into the top border and closes an empty table with a rule of its own.
func (t Table) finish(drawn []byte) []byte {
	rule, body, _ := bytes.Cut(drawn, []byte("\n"))
	out := []byte(topBorder(string(rule), t.Title))
	out = append(append(out, '\n'), body...)
	if len(t.Rows) == 0 {
		out = append(append(out, rule...), '\n')
	}
	return out
}

// topBorder overwrites the rule from its second character on; the last one always survives.
func topBorder(rule, title string) string {
	if title == "" || len(rule) < 2 {
		return rule
	}
	text := []rune(" " + title + " ")
	room := len(rule) - 2
	width := 0
	for i, r := range text {
		w := runeWidth(r)
		if width+w > room {
			text = text[:i]
			break
		}
		width += w
	}
	return rule[:1] + string(text) + rule[1+width:]
}

// tsv joins the cells with tabs, unquoted; a newline in a cell is written as it is.
func (t Table) tsv() []byte { return t.separated("\t", true) }

func (t Table) separated(delimiter string, heading bool) []byte {
	var b strings.Builder
	var titles []string
	for _, c := range t.Columns {
		titles = append(titles, c.Title)
	}
	if heading {
		b.WriteString(strings.Join(titles, delimiter) + "\n")
	}
	for _, row := range t.Rows {
		b.WriteString(strings.Join(row, delimiter) + "\n")
	}
	return []byte(b.String())
}
