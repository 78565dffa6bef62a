package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/view"
)

type showConfigOptions struct {
	*env
	group  integer
	format choice
}

func newShowConfig(e *env) *cobra.Command {
	o := &showConfigOptions{env: e}
	cmd := &cobra.Command{
		Use: "show-config [OPTIONS] [CLUSTER_NAME]", Short: "Show cluster configuration",
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	configuredGroup(cmd, &o.group)
	machineOption(e, cmd, &o.format, "yaml")
	return cmd
}

func (o *showConfigOptions) run(ctx context.Context, args []string) error {
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = o.out.Write(view.Document(v.Config, shown(o.format)))
	return err
}
