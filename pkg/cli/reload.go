package cli

import (
	"context"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

type reloadOptions struct {
	changing
	group integer
	role  choice
	force bool
}

func newReload(e *env) *cobra.Command {
	o := &reloadOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "reload [OPTIONS] CLUSTER_NAME [MEMBER_NAMES]...", Short: "Reload cluster member configuration",
		Args: positional(-1, "CLUSTER_NAME"), ValidArgsFunction: e.completeClusterMembers,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	roleOption(cmd, &o.role, ctl.RoleNames)
	forceOption(cmd, &o.force)
	o.declare(cmd, "")
	return cmd
}

func (o *reloadOptions) run(ctx context.Context, args []string) error {
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, members, err := o.selection(ctx, s, o.role.value, args[1:], "'"+o.role.value+"'")
	if err != nil {
		return err
	}
	if err := o.sure(o.force, func() error { return o.agreeMembers(ctx, "reload", members) }); err != nil {
		return err
	}
	return o.tally(ctx, "reload", members, func(m cluster.Member) (bool, error) {
		answer, err := s.control.Reload(ctx, m)
		switch {
		case err != nil:
			return false, err
		case answer.Status == http.StatusOK:
			o.sayOf(m, true, answer.Status, "No changes to apply on member %s", m.Name)
		case answer.Status == http.StatusAccepted:
			o.sayOf(m, true, answer.Status, "Reload request received for member %s and will be processed within %d seconds", m.Name, int(ctl.LoopWait(v).Seconds()))
		default:
			o.sayOf(m, false, answer.Status, "Failed: reload for member %s, status code=%d, (%s)", m.Name, answer.Status, answer.Body)
			return false, nil
		}
		return true, nil
	})
}
