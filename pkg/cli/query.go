package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

type queryOptions struct {
	*env
	group             integer
	format, delimiter text
	file              fileText
	command           text
	which             whichOptions
	database, user    text
	password          bool
	watch             watchOptions
}

func newQuery(e *env) *cobra.Command {
	o := &queryOptions{env: e, format: text{value: "tsv"}, delimiter: text{value: "\t"}}
	cmd := &cobra.Command{
		Use: "query [OPTIONS] [CLUSTER_NAME]", Short: "Query a member of a cluster, the leader by default",
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	option(cmd, &o.format, "TEXT", "Output format (pretty, tsv, json, yaml, yml)", "--format")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	option(cmd, &o.file, "FILENAME", "Execute the SQL commands from this file", "--file", "-f")
	toggle(cmd, &o.password, "Ask for the password", "--password")
	option(cmd, &o.user, "TEXT", "Database user name", "-U", "--username")
	o.watch.declare(cmd)
	o.which.declare(e, cmd)
	option(cmd, &o.delimiter, "TEXT", "The column delimiter", "--delimiter")
	option(cmd, &o.command, "TEXT", "The SQL commands to execute", "--command", "-c")
	option(cmd, &o.database, "TEXT", "Database name to connect to", "-d", "--dbname")
	return cmd
}

func (o *queryOptions) run(ctx context.Context, args []string) error {
	if !o.contract() && !slices.Contains(formats, o.format.value) {
		return usageError{text: fmt.Sprintf("Invalid value for '--format': '%s' is not one of '%s'.", o.format.value, strings.Join(formats, "', '"))}
	}
	q := ctl.Query{Role: o.which.role.value, Member: o.which.member.value, User: o.user.value, Database: o.database.value}
	switch {
	case o.file.path != "" && o.command.given:
		return ctl.Refusal{Text: "--file and --command are mutually exclusive options"}
	case o.file.path == "" && !o.command.given:
		return ctl.Refusal{Text: "You need to specify either --command or --file"}
	}
	q.SQL = o.command.value
	if o.file.path != "" {
		var err error
		if q.SQL, err = o.file.read(o.in); err != nil {
			return err
		}
	}
	if o.password {
		var err error
		if q.Password, err = o.ask.Secret(ctx, "Password"); err != nil {
			return err
		}
	}
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	// Asked again and again, the member stays the one that was found first; with hathi the cluster is read anew.
	first := true
	return o.watch.rounds(ctx, func() error {
		if !first && !o.contract() {
			if v, err = s.snapshot(ctx); err != nil {
				return err
			}
		}
		first = false
		return o.round(ctx, v, q)
	})
}

// round runs the query once. What goes wrong is a row, not an error, and rounds go on after it.
func (o *queryOptions) round(ctx context.Context, v *cluster.View, q ctl.Query) error {
	rows, err := ctl.RunQuery(ctx, v, q)
	var failure ctl.QueryFailure
	failed := errors.As(err, &failure)
	switch {
	case failed:
		rows = ctl.Rows{Values: [][]any{{second(o.now()), failure.Text}}}
		if failure.Reason != "" {
			o.hint("%s", failure.Reason)
		}
	case err != nil:
		return err
	}
	out, err := view.Query(rows.Columns, rows.Values, shown(choice{value: o.format.value}), o.delimiter.value)
	if err != nil {
		return err
	}
	if _, err := o.out.Write(out); err != nil {
		return err
	}
	if failed && o.watch.interval() == 0 {
		return o.failed()
	}
	return nil
}

// read gives the text of the file, or of standard input if that was named.
func (f *fileText) read(in io.Reader) (string, error) {
	if f.path != "-" {
		return f.text, nil
	}
	text, err := io.ReadAll(in)
	return string(text), err
}
