package cli

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// flushTargets are what can be flushed; the word stands last on the command line.
var flushTargets = []string{"restart", "switchover"}

type flushOptions struct {
	changing
	group integer
	role  choice
	force bool
}

func newFlush(e *env) *cobra.Command {
	o := &flushOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "flush [OPTIONS] CLUSTER_NAME [MEMBER_NAMES]... {restart|switchover}", Short: "Discard scheduled events",
		Args: flushArguments, ValidArgsFunction: o.complete,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	roleOption(cmd, &o.role, ctl.RoleNames)
	forceOption(cmd, &o.force)
	o.declare(cmd, "")
	return cmd
}

func flushArguments(cmd *cobra.Command, args []string) error {
	if err := positional(-1, "CLUSTER_NAME")(cmd, args); err != nil {
		return err
	}
	if len(args) < 2 {
		return usageError{text: "Missing argument '{restart|switchover}'. Choose from:\n\trestart,\n\tswitchover"}
	}
	if target := args[len(args)-1]; !slices.Contains(flushTargets, target) {
		return usageError{text: fmt.Sprintf("Invalid value for '{restart|switchover}': '%s' is not one of 'restart', 'switchover'.", target)}
	}
	return nil
}

func (o *flushOptions) complete(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	names, directive := o.completeClusterMembers(cmd, args, prefix)
	if len(args) > 0 {
		names = others(append(names, flushTargets...), args[1:])
	}
	return names, directive
}

func (o *flushOptions) run(ctx context.Context, args []string) error {
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	if args[len(args)-1] == "switchover" {
		return o.switchover(ctx, s)
	}
	return o.restart(ctx, s, args[1:len(args)-1])
}

func (o *flushOptions) restart(ctx context.Context, s *subject, named []string) error {
	_, members, err := o.selection(ctx, s, o.role.value, named, "'"+o.role.value+"'")
	if err != nil {
		return err
	}
	if err := o.sure(o.force, func() error { return o.agreeMembers(ctx, "flush", members) }); err != nil {
		return err
	}
	return o.tally(ctx, "flush scheduled restart", members, func(m cluster.Member) (bool, error) {
		if m.ScheduledRestart == nil {
			o.sayOf(m, true, 0, "No scheduled restart for member %s", m.Name)
			return true, nil
		}
		answer, err := s.control.CancelRestart(ctx, m)
		switch {
		case err != nil:
			return false, err
		case answer.Status < http.StatusBadRequest:
			o.sayOf(m, true, answer.Status, "Success: flush scheduled restart for member %s", m.Name)
			return true, nil
		}
		o.sayOf(m, false, answer.Status, "Failed: flush scheduled restart for member %s, status code=%d, (%s)", m.Name, answer.Status, answer.Body)
		return false, nil
	})
}

func (o *flushOptions) switchover(ctx context.Context, s *subject) error {
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	o.hintUnknown(s, v)
	if !ctl.Scheduled(v) {
		o.say("No pending scheduled switchover")
		return nil
	}
	done, err := s.control.FlushSwitchover(ctx, s.key(), v, func(member string, a ctl.Answer) {
		o.sayOf(cluster.Member{Name: member}, false, a.Status, "Failed: member=%s, status_code=%d, (%s)", member, a.Status, a.Body)
	})
	switch {
	case o.planned(err):
		return nil
	case err != nil:
		return err
	case done.Answer == nil:
		o.say("%s Could not find any accessible member of cluster %s", stamp(o.now()), s.name)
		if done.Written {
			o.hint("The scheduled switchover was removed from etcd.")
			return nil
		}
		o.hint("The request was changed by somebody else in the meantime; it was left alone.")
		return o.failed()
	case done.Written:
		o.say("Success: %s", strings.TrimSpace(done.Answer.Body))
		return nil
	}
	o.say("Failed: %s", strings.TrimSpace(done.Answer.Body))
	return o.failed()
}
