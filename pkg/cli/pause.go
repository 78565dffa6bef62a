package cli

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

type pauseOptions struct {
	*env
	pause bool
	group integer
	wait  bool
}

func newPause(e *env, pause bool) *cobra.Command {
	o := &pauseOptions{env: e, pause: pause}
	short := map[bool]string{true: "Disable auto failover", false: "Resume auto failover"}[pause]
	cmd := &cobra.Command{
		Use: o.verb() + " [OPTIONS] [CLUSTER_NAME]", Short: short,
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	toggle(cmd, &o.wait, "Wait until "+o.verb()+" is applied on all nodes", "--wait")
	return cmd
}

func (o *pauseOptions) verb() string { return map[bool]string{true: "pause", false: "resume"}[o.pause] }

func (o *pauseOptions) run(ctx context.Context, args []string) error {
	s, err := o.subject(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	if err := ctl.CheckPause(v, o.pause); err != nil {
		return err
	}
	answer, err := s.control.Pause(ctx, v, o.pause)
	if err != nil {
		return err
	}
	if answer.Status != http.StatusOK {
		o.printf("Failed: %s cluster management status code=%d, (%s)\n", o.verb(), answer.Status, answer.Body)
		return o.failed()
	}
	if o.wait {
		o.printf("'%s' request sent, waiting until it is recognized by all nodes\n", o.verb())
		late, waited, err := s.control.AwaitPause(ctx, s.key(), v, o.pause)
		if err != nil {
			return err
		}
		if len(late) > 0 {
			o.printf("%s members didn't recognized pause state after %d seconds\n", strings.Join(late, ", "), int(waited.Seconds()))
			return o.failed()
		}
	}
	o.printf("Success: cluster management is %sd\n", o.verb())
	return nil
}
