package cli

import (
	"context"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

type pauseOptions struct {
	changing
	pause bool
	group integer
}

func newPause(e *env, pause bool) *cobra.Command {
	o := &pauseOptions{changing: changing{env: e}, pause: pause}
	short := map[bool]string{true: "Disable auto failover", false: "Resume auto failover"}[pause]
	cmd := &cobra.Command{
		Use: o.verb() + " [OPTIONS] [CLUSTER_NAME]", Short: short,
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: o.command(o.run),
	}
	configuredGroup(cmd, &o.group)
	toggle(cmd, &o.wait, "Wait until "+o.verb()+" is applied on all nodes", "--wait")
	o.declare(cmd, "Wait")
	return cmd
}

func (o *pauseOptions) verb() string { return map[bool]string{true: "pause", false: "resume"}[o.pause] }

func (o *pauseOptions) run(ctx context.Context, args []string) error {
	s, v, err := o.beginLooking(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	if err := ctl.CheckPause(v, o.pause); err != nil {
		return err
	}
	answer, err := s.control.Pause(ctx, v, o.pause)
	switch {
	case o.planned(err):
		return nil
	case err != nil:
		return err
	}
	if answer.Status != http.StatusOK {
		o.say("Failed: %s cluster management status code=%d, (%s)", o.verb(), answer.Status, answer.Body)
		return o.failed()
	}
	if o.wait {
		o.printf("'%s' request sent, waiting until it is recognized by all nodes\n", o.verb())
		late, waited, err := s.control.AwaitPause(ctx, s.key(), v, o.pause, o.limit(ctl.LoopWait(v)))
		if err != nil {
			return err
		}
		if len(late) > 0 {
			o.say("%s members didn't recognized pause state after %d seconds", strings.Join(late, ", "), int(waited.Seconds()))
			return o.failed()
		}
	}
	o.say("Success: cluster management is %sd", o.verb())
	return nil
}
