package view

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

// Format is how a result is written.
type Format string

// The formats; FormatTopology is the table with the replication tree in it.
const (
	FormatPretty   Format = "pretty"
	FormatTopology Format = "topology"
	FormatTSV      Format = "tsv"
	FormatJSON     Format = "json"
	FormatYAML     Format = "yaml"
)

// longReason is the longest reason for a pending restart that a table shows.
const longReason = 50

// column is one column of the member table: its name, and what it shows of a member as an empty string, a
// string, a number or the tags.
type column struct {
	name, short string // short is the heading in tables; empty: name
	right       bool
	optional    bool
	value       func(m ctl.Member) any
}

func memberColumns(c ctl.Cluster) []column {
	cols := []column{{name: "Cluster", value: func(ctl.Member) any { return c.Name }}}
	if c.Group != nil {
		cols = append(cols, column{name: "Group", right: true, value: func(ctl.Member) any { return *c.Group }})
	}
	return append(cols,
		column{name: "Member", value: func(m ctl.Member) any { return m.Name }},
		column{name: "Host", value: func(m ctl.Member) any { return m.Host }},
		column{name: "Role", value: func(m ctl.Member) any { return m.Role.Title() }},
		column{name: "State", value: func(m ctl.Member) any { return m.State }},
		column{name: "TL", right: true, value: func(m ctl.Member) any { return orEmpty(uint64(m.Timeline), m.Timeline != 0) }},
		column{name: "Receive LSN", right: true, value: func(m ctl.Member) any { return lsn(m, m.Receive) }},
		column{name: "Receive Lag", short: "Lag", right: true, value: func(m ctl.Member) any { return lag(m, m.Receive) }},
		column{name: "Replay LSN", right: true, value: func(m ctl.Member) any { return lsn(m, m.Replay) }},
		column{name: "Replay Lag", short: "Lag", right: true, value: func(m ctl.Member) any { return lag(m, m.Replay) }},
		column{name: "Pending restart", optional: true, value: func(m ctl.Member) any { return orEmpty("*", m.PendingRestart) }},
		column{name: "Pending restart reason", optional: true, value: func(m ctl.Member) any { return reasons(m) }},
		column{name: "Scheduled restart", optional: true, value: func(m ctl.Member) any { return m.ScheduledRestart }},
		column{name: "Tags", optional: true, value: func(m ctl.Member) any { return orEmpty(map[string]any(m.Tags), len(m.Tags) > 0) }},
	)
}

func orEmpty(v any, there bool) any {
	if there {
		return v
	}
	return ""
}

func lsn(m ctl.Member, p ctl.Position) any {
	switch {
	case m.Leads:
		return ""
	case p.LSN == 0:
		return "unknown"
	}
	return p.LSN.String()
}

func lag(m ctl.Member, p ctl.Position) any { return orEmpty(p.LagMB, !m.Leads && p.LSN != 0) }

func reasons(m ctl.Member) string {
	var lines []string
	for _, r := range m.PendingReasons {
		lines = append(lines, fmt.Sprintf("%s: %s->%s", r.Parameter, r.OldValue, r.NewValue))
	}
	return strings.Join(lines, "\n")
}

// shorten keeps the reasons narrow enough for a table.
func shorten(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if len([]rune(line)) > longReason {
			name, _, _ := strings.Cut(line, ": ")
			lines[i] = name + ": [hidden - too long]"
		}
	}
	return strings.Join(lines, "\n")
}

// Members writes the members of one cluster. With extended, columns that nobody needs are shown as well.
func Members(c ctl.Cluster, f Format, extended bool) ([]byte, error) {
	switch f {
	case FormatJSON, FormatYAML:
		list := []any{}
		for _, m := range c.Members {
			list = append(list, memberObject(c, m))
		}
		if f == FormatJSON {
			return JSON(list), nil
		}
		return append(YAML(list), '\n'), nil
	case FormatTSV:
		return memberTSV(c, extended), nil
	}
	return memberTable(c, f, extended)
}

func memberObject(c ctl.Cluster, m ctl.Member) Object {
	var o Object
	for _, col := range memberColumns(c) {
		if v := col.value(m); v != "" {
			o = append(o, Pair{col.name, v})
		}
		if col.name == "State" && m.Progress != "" {
			o = append(o, Pair{"Progress", m.Progress})
		}
	}
	return o
}

// neededColumns leaves out optional columns that are empty for all members that have an address.
func neededColumns(c ctl.Cluster, extended bool) []column {
	var cols []column
	for _, col := range memberColumns(c) {
		need := extended || !col.optional
		for _, m := range c.Members {
			need = need || m.Host != "" && col.value(m) != ""
		}
		if need {
			cols = append(cols, col)
		}
	}
	return cols
}

func memberTSV(c ctl.Cluster, extended bool) []byte {
	var t Table
	cols := neededColumns(c, extended)
	for _, col := range cols {
		t.Columns = append(t.Columns, Column{Title: col.name})
	}
	for _, m := range c.Members {
		var row []string
		for _, col := range cols {
			row = append(row, cell(col.value(m), FormatTSV))
		}
		t.Rows = append(t.Rows, row)
	}
	return t.tsv()
}

func cell(v any, f Format) string {
	if tags, ok := v.(map[string]any); ok {
		if f == FormatPretty {
			return strings.TrimSuffix(string(YAML(tags)), "\n")
		}
		return FlowYAML(tags)
	}
	if s, ok := number(v); ok {
		return s
	}
	return fmt.Sprint(v)
}

func memberTable(c ctl.Cluster, f Format, extended bool) ([]byte, error) {
	t := Table{Title: memberTitle(c)}
	cols := neededColumns(c, extended)[1:] // the cluster's name is in the title
	if c.Group != nil {
		cols = cols[1:]
	}
	for _, col := range cols {
		heading := col.name
		if col.short != "" {
			heading = col.short
		}
		t.Columns = append(t.Columns, Column{heading, col.right})
	}
	members, names := c.Members, []string(nil)
	if f == FormatTopology {
		members, names = tree(c)
	}
	for i, m := range members {
		var row []string
		for _, col := range cols {
			text := cell(col.value(m), f)
			switch {
			case col.name == "Member" && names != nil:
				text = names[i]
			case col.name == "State" && m.Progress != "":
				text += ", " + m.Progress // the state first, which scripts look for
			case col.name == "Pending restart reason":
				text = shorten(text)
			}
			row = append(row, text)
		}
		t.Rows = append(t.Rows, row)
	}
	drawn, err := t.Render()
	return append(drawn, footer(c)...), err
}

func memberTitle(c ctl.Cluster) string {
	if c.Group != nil {
		return "Citus cluster: " + c.Name + " (group: " + strconv.Itoa(*c.Group) + ", " + c.Init + ")"
	}
	return "Cluster: " + c.Name + " (" + c.Init + ")"
}
