package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/hathi-ha/hathi/pkg/view"
)

type listOptions struct {
	*env
	group     integer
	format    choice
	all       bool
	extended  bool
	timestamp bool
	watch     watchOptions
}

func newList(e *env) *cobra.Command {
	o := &listOptions{env: e}
	cmd := &cobra.Command{
		Use: "list [OPTIONS] [CLUSTER_NAMES]...", Short: "List the members of one or more clusters",
		Args: positional(-1), ValidArgsFunction: e.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	if !e.contract() {
		toggle(cmd, &o.all, "List every cluster of the namespace", "--all")
	}
	groupOption(cmd, &o.group)
	toggle(cmd, &o.extended, "Show some extra information", "--extended", "-e")
	toggle(cmd, &o.timestamp, "Print timestamp", "--timestamp", "-t")
	formatOption(cmd, &o.format)
	o.watch.declare(cmd)
	return cmd
}

func newTopology(e *env) *cobra.Command {
	o := &listOptions{env: e, format: choice{value: string(view.FormatTopology)}}
	cmd := &cobra.Command{
		Use: "topology [OPTIONS] [CLUSTER_NAMES]...", Short: "Show who replicates from whom, as a tree",
		Args: positional(-1), ValidArgsFunction: e.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	o.watch.declare(cmd)
	return cmd
}

func (o *listOptions) run(ctx context.Context, args []string) error {
	if o.all && len(args) > 0 {
		return usageError{text: "--all and the names of clusters exclude each other"}
	}
	s, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.needsGroup(o.group); err != nil {
		return err
	}
	switch {
	case o.all:
		if args, err = s.scopes(ctx); err != nil || len(args) == 0 {
			o.hint("There is no cluster in this namespace.")
			return err
		}
	case len(args) == 0 && s.scope != "":
		args = []string{s.scope}
	}
	if len(args) == 0 {
		newLogger(o.err, o.getenv).WarnContext(ctx, "Listing members: No cluster names were provided")
		o.hint("No scope in the configuration. %s", o.searched())
		return o.failed()
	}
	return o.watch.rounds(ctx, func() error { return o.round(ctx, s, args, o.watch.interval() > 0) })
}

// round reads and prints all clusters once. A new frame replaces the old one only when its data is there.
func (o *listOptions) round(ctx context.Context, s *session, names []string, watching bool) error {
	var frame []byte
	if o.timestamp {
		frame = append(frame, o.now().Local().Format("2006-01-02 15:04:05\n")...)
	}
	for _, name := range names {
		sub := &subject{session: s, name: name, group: o.group.value}
		v, err := sub.snapshot(ctx)
		if err != nil {
			return err
		}
		out, err := view.Members(sub.describe(v), shown(o.format), o.extended)
		if err != nil {
			return err
		}
		frame = append(frame, out...)
		o.hintUnknown(sub, v)
	}
	if watching && terminal(o.out) {
		frame = append([]byte("\x1b[2J\x1b[1;1H"), frame...)
	}
	_, err := o.out.Write(frame)
	return err
}

func terminal(w any) bool {
	if s, ok := w.(*stream); ok {
		w = s.w
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
