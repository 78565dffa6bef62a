package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

type removeOptions struct {
	changing
	group integer
}

func newRemove(e *env) *cobra.Command {
	o := &removeOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "remove [OPTIONS] CLUSTER_NAME", Short: "Remove cluster from DCS",
		Args: positional(0, "CLUSTER_NAME"), ValidArgsFunction: e.completeCluster,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	formatOption(cmd, &o.format)
	o.declare(cmd, "")
	return cmd
}

func (o *removeOptions) run(ctx context.Context, args []string) error {
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := o.show(s, v); err != nil {
		return err
	}
	r := ctl.Removal{Cluster: s.name, Scope: s.key(), Leader: v.Leader.Name}
	if err := o.sure(false, func() error { return o.confirm(ctx, r) }); err != nil {
		return err
	}
	n, err := s.control.Remove(ctx, r)
	switch {
	case o.planned(err):
		return nil
	case err != nil:
		return err
	}
	o.result.more = view.Object{{Key: "removed_keys", Value: n}}
	o.hint("Removed %d keys.", n)
	return nil
}

func (o *removeOptions) show(s *subject, v *cluster.View) error {
	if o.machine {
		return nil
	}
	out, err := view.Members(s.describe(v), shown(o.format), false)
	if err != nil {
		return err
	}
	_, err = o.out.Write(out)
	return err
}

// confirm asks for all that has to be typed. The questions are answered through pipes, too, and there is no way
// around them.
func (o *removeOptions) confirm(ctx context.Context, r ctl.Removal) error {
	type question struct {
		text  string
		check func(string) error
	}
	questions := []question{
		{"Please confirm the cluster name to remove", r.CheckName},
		{`You are about to remove all information in DCS for ` + r.Cluster + `, please type: "` + ctl.Acknowledgement + `"`, r.CheckAware},
	}
	if r.Leader != "" {
		questions = append(questions, question{"This cluster currently is healthy. Please specify the leader name to continue", r.CheckLeader})
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
