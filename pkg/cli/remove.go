package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

type removeOptions struct {
	*env
	group  integer
	format choice
}

func newRemove(e *env) *cobra.Command {
	o := &removeOptions{env: e}
	cmd := &cobra.Command{
		Use: "remove [OPTIONS] CLUSTER_NAME", Short: "Remove cluster from DCS",
		Args: positional(0, "CLUSTER_NAME"), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	formatOption(cmd, &o.format)
	return cmd
}

func (o *removeOptions) run(ctx context.Context, args []string) error {
	s, err := o.subject(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	out, err := view.Members(s.describe(v), shown(o.format), false)
	if err != nil {
		return err
	}
	if _, err := o.out.Write(out); err != nil {
		return err
	}
	r := ctl.Removal{Cluster: s.name, Scope: s.key(), Leader: v.Leader.Name}
	if err := o.confirm(ctx, r); err != nil {
		return err
	}
	n, err := s.control.Remove(ctx, r)
	if err != nil {
		return err
	}
	o.hint("Removed %d keys.", n)
	return nil
}

// confirm asks for all that has to be typed. The questions are answered through pipes, too, and there is no way
// around them.
func (o *removeOptions) confirm(ctx context.Context, r ctl.Removal) error {
	questions := []struct {
		text  string
		check func(string) error
	}{
		{"Please confirm the cluster name to remove", r.CheckName},
		{`You are about to remove all information in DCS for ` + r.Cluster + `, please type: "` + ctl.Acknowledgement + `"`, r.CheckAware},
	}
	if r.Leader != "" {
		questions = append(questions, struct {
			text  string
			check func(string) error
		}{"This cluster currently is healthy. Please specify the leader name to continue", r.CheckLeader})
	}
	for _, q := range questions {
		answer, err := o.ask.Required(ctx, q.text)
		if err != nil {
			return err
		}
		if err := q.check(answer); err != nil {
			return err
		}
	}
	return nil
}
