package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/explain"
)

// Explain shows a report: as JSON, or as text for people. The text is about one member if it is named, which has
// to be in the report; the JSON form is always of all.
func Explain(r explain.Report, format Format, member string) ([]byte, error) {
	if format == FormatJSON {
		raw, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("write the report as JSON: %w", err)
		}
		return append(raw, '\n'), nil
	}
	var b bytes.Buffer
	b.WriteString(headline(r))
	if member == "" {
		overview(&b, r)
	}
	for _, m := range r.Members {
		if m.Name == member {
			detail(&b, r, m)
		}
	}
	if notes := append(present(r.Etcd), r.Notes...); len(notes) > 0 {
		b.WriteString("\nNotes\n")
		for _, n := range notes {
			b.WriteString("  " + n + "\n")
		}
	}
	return b.Bytes(), nil
}

func headline(r explain.Report) string {
	text := "Cluster " + r.Cluster + ": "
	if r.Leader == "" {
		text += "no leader"
	} else {
		text += r.Leader + " leads"
	}
	if r.Paused {
		text += ", paused"
	}
	if r.Etcd != "" {
		text += "; etcd can't be read from here"
	}
	return text + "\n"
}

func overview(b *bytes.Buffer, r explain.Report) {
	b.WriteString("\nNow\n")
	var rows [][]string
	for _, m := range r.Members {
		rows = append(rows, []string{m.Name, m.Role, m.State, position(m), now(m)})
	}
	columns(b, rows)
	outlook(b, r)
}

// outlook is what would become of the cluster.
func outlook(b *bytes.Buffer, r explain.Report) {
	b.WriteString("\n" + supposed(r) + "\n")
	b.WriteString("  " + winners(r) + "\n")
	var rows [][]string
	for _, m := range r.Members {
		if m.Name != r.Leader {
			rows = append(rows, []string{m.Name, takes(m), why(m)})
		}
	}
	columns(b, rows)

	b.WriteString("\nSwitchover\n")
	for _, line := range handOver(r.Switchover) {
		b.WriteString("  " + line + "\n")
	}
	rows = nil
	for _, m := range r.Members {
		if v := m.Switchover; v != nil && !v.Possible && texts(v.Reasons) != texts(r.Switchover.Reasons) {
			rows = append(rows, []string{m.Name, "can't be named", texts(v.Reasons)})
		}
	}
	columns(b, rows)
}

// detail shows one member, with each rule that was asked.
func detail(b *bytes.Buffer, r explain.Report, m explain.Member) {
	fmt.Fprintf(b, "\n%s\n", m.Name)
	rows := [][]string{{"is", strings.Join(present(m.Role, m.State, position(m), runs(m)), ", ")}}
	if m.Error != "" {
		rows = append(rows, []string{"problem", m.Error})
	}
	if d := m.Now; d != nil {
		rows = append(rows, []string{"decided", fmt.Sprintf("%s %s ago", action(d), (time.Duration(d.AgeMS) * time.Millisecond).Round(100*time.Millisecond))})
		for _, reason := range d.Reasons {
			rows = append(rows, []string{"because", fmt.Sprintf("%s (%s)", reason.Text, reason.Rule)})
		}
	}
	if m.Job != "" {
		rows = append(rows, []string{"running", m.Job})
	}
	columns(b, rows)
	if m.Name == r.Leader {
		outlook(b, r)
	}
	if m.IfLeaderDied != nil {
		b.WriteString("\n" + supposed(r) + "\n")
		b.WriteString("  " + strings.Join(present(takes(m), why(m)), ": ") + "\n")
		rows = nil
		for _, c := range m.IfLeaderDied.Checks {
			rows = append(rows, []string{mark(c.Pass), c.Rule, c.Text})
		}
		columns(b, rows)
	}
	if v := m.Switchover; v != nil {
		b.WriteString("\nSwitchover to " + m.Name + "\n")
		if v.Possible {
			b.WriteString("  possible\n")
		} else {
			b.WriteString("  not possible: " + texts(v.Reasons) + "\n")
		}
	}
}

func supposed(r explain.Report) string {
	if r.Leader == "" {
		return "Who takes over, as nobody leads"
	}
	return "If " + r.Leader + " died this second"
}

// winners tells who would lead, and what would be lost.
func winners(r explain.Report) string {
	f := r.Failover
	var text string
	switch {
	case len(f.Winners) == 0 && r.Paused:
		return "nobody takes over: the cluster is paused"
	case len(f.Winners) == 0 && len(f.Unknown) > 0:
		return "none that runs hathi takes over; " + strings.Join(f.Unknown, " or ") + " may, which can't be asked"
	case len(f.Winners) == 0:
		return "nobody takes over"
	case len(f.Winners) == 1:
		text = f.Winners[0] + " takes over"
	default:
		text = strings.Join(f.Winners, " or ") + " takes over, whoever creates the leader key first"
	}
	if len(f.Unknown) > 0 {
		text += " (or " + strings.Join(f.Unknown, " or ") + ", which can't be asked)"
	}
	return text + lost(f)
}

func lost(f explain.Failover) string {
	switch {
	case f.Synchronous:
		return "; no commit that waited for a synchronous standby is lost"
	case f.LostBytes == nil:
		return "; how much is lost is not known"
	case f.LostIsBound && *f.LostBytes == 0:
		return "; nothing that is written now would be lost"
	case f.LostIsBound:
		return fmt.Sprintf("; up to %s of WAL would be lost", size(*f.LostBytes))
	}
	return fmt.Sprintf("; %s of WAL behind the last known position of the leader, which may have written more", size(*f.LostBytes))
}

func size(n uint64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}

func handOver(s explain.Switchover) []string {
	var lines []string
	if s.Pending != "" {
		lines = append(lines, "asked for already: "+s.Pending)
	}
	switch {
	case s.Possible:
		lines = append(lines, "possible, to "+strings.Join(s.Candidates, " or "))
	case len(s.Candidates) > 0:
		lines = append(lines, "possible only to a named member, "+strings.Join(s.Candidates, " or ")+": "+texts(s.Reasons))
	default:
		lines = append(lines, "not possible: "+texts(s.Reasons))
	}
	return lines
}

func now(m explain.Member) string {
	text := m.Error
	if m.Now != nil {
		text = texts(m.Now.Reasons)
		if m.Now.Action != "Wait" {
			text = action(m.Now) + ": " + text
		}
	}
	if m.Job != "" {
		text = m.Job + " is running; " + text
	}
	return text
}

func action(d *explain.Decision) string {
	if len(d.Arguments) > len("{}") {
		return d.Action + " " + string(d.Arguments)
	}
	return d.Action
}

func takes(m explain.Member) string {
	switch {
	case m.IfLeaderDied == nil:
		return "unknown"
	case m.IfLeaderDied.TakesOver:
		return "takes over"
	}
	return "stands back"
}

func why(m explain.Member) string {
	st := m.IfLeaderDied
	switch {
	case st == nil:
		return m.Error
	case st.TakesOver && st.BehindBytes != nil:
		return size(*st.BehindBytes) + " behind the leader"
	case st.TakesOver:
		return ""
	}
	return texts(st.Reasons)
}

// texts puts reasons into one line. The first is the line of the log; where others follow, they say why.
func texts(reasons []explain.Reason) string {
	out := make([]string, 0, len(reasons))
	for _, r := range reasons {
		out = append(out, r.Text)
	}
	if len(out) > 1 && strings.HasPrefix(out[0], "following a different leader because i am not") {
		out = out[1:]
	}
	return strings.Join(out, "; ")
}

func position(m explain.Member) string {
	if m.LSN == "" {
		return ""
	}
	return fmt.Sprintf("TL %d at %s", m.Timeline, m.LSN)
}

func runs(m explain.Member) string {
	switch {
	case m.Hathi != "":
		return "hathi " + m.Hathi
	case m.Patroni != "":
		return "Patroni " + m.Patroni
	}
	return ""
}

func mark(pass bool) string {
	if pass {
		return "yes"
	}
	return "NO"
}

func present(words ...string) []string {
	var out []string
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// columns writes rows under each other; the last cell is as long as it is.
func columns(b *bytes.Buffer, rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	for _, row := range rows {
		line := " "
		for i, cell := range row {
			line += " " + cell
			if widths[i] > 0 {
				line += strings.Repeat(" ", widths[i]-width(cell)+1)
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}
