package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/view"
)

type historyOptions struct {
	*env
	group  integer
	format choice
}

func newHistory(e *env) *cobra.Command {
	o := &historyOptions{env: e}
	cmd := &cobra.Command{
		Use: "history [OPTIONS] [CLUSTER_NAME]", Short: "Show the history of failovers and switchovers",
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	configuredGroup(cmd, &o.group)
	formatOption(cmd, &o.format)
	return cmd
}

func (o *historyOptions) run(ctx context.Context, args []string) error {
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	out, err := view.History(v.History.Entries, shown(o.format))
	if err != nil {
		return err
	}
	_, err = o.out.Write(out)
	return err
}
