package cli

import (
	"fmt"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/view"
)

func (e *env) printf(format string, args ...any) { _, _ = fmt.Fprintf(e.out, format, args...) }

// hint tells something helpful that the contract knows nothing of, on standard error.
func (e *env) hint(format string, args ...any) {
	if !e.contract() {
		_, _ = fmt.Fprintf(e.err, format+"\n", args...)
	}
}

// progress tells what is going on while somebody waits, on standard error.
func (e *env) progress(format string, args ...any) {
	if !e.contract() && (e.machine || terminal(e.err)) {
		_, _ = fmt.Fprintf(e.err, format+"\n", args...)
	}
}

// table prints the members of a cluster as list does; a machine does not need it.
func (e *env) table(s *subject, v *cluster.View) error {
	if e.machine {
		return nil
	}
	out, err := view.Members(s.describe(v), view.FormatPretty, false)
	if err != nil {
		return err
	}
	_, err = e.out.Write(out)
	return err
}

// topology is the table with a line before it, as commands print it that change the whole cluster.
func (e *env) topology(s *subject, v *cluster.View) error {
	if !e.machine {
		e.printf("Current cluster topology\n")
	}
	return e.table(s, v)
}

// stamp is the time in front of a result line: local, five digits of the second's fraction.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.00000") }

// example is the time that prompts suggest.
func (e *env) example() string { return e.now().Add(time.Hour).Format("2006-01-02T15:04") }

// shown is the format that the user chose; yml is yaml.
func shown(c choice) view.Format {
	if c.value == "yml" {
		return view.FormatYAML
	}
	return view.Format(c.value)
}
