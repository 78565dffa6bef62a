package cli

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

type reinitOptions struct {
	changing
	group      integer
	force      bool
	fromLeader bool
}

func newReinit(e *env) *cobra.Command {
	o := &reinitOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "reinit [OPTIONS] CLUSTER_NAME [MEMBER_NAMES]...", Short: "Reinitialize cluster member",
		Args: positional(-1, "CLUSTER_NAME"), ValidArgsFunction: e.completeClusterMembers,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	forceOption(cmd, &o.force)
	toggle(cmd, &o.fromLeader, "Get basebackup from leader", "--from-leader")
	toggle(cmd, &o.wait, "Wait until reinitialization completes", "--wait")
	o.declare(cmd, "Wait")
	return cmd
}

func (o *reinitOptions) run(ctx context.Context, args []string) error {
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	_, members, err := o.selection(ctx, s, "replica", args[1:], "replica")
	if err != nil {
		return err
	}
	if members, err = o.choose(ctx, members, len(args) > 1); err != nil {
		return err
	}
	var started []cluster.Member
	result := o.tally(ctx, "reinitialize", members, func(m cluster.Member) (bool, error) {
		ok, err := o.one(ctx, s, m)
		if ok {
			started = append(started, m)
		}
		return ok, err
	})
	if !o.wait || ctx.Err() != nil {
		return result
	}
	ctx, cancel := o.bounded(ctx, 0)
	defer cancel()
	defer o.follow(ctx, s)()
	err = s.control.AwaitReinitialize(ctx, started,
		func(names []string) {
			o.printf("Waiting for reinitialize to complete on: %s\n", strings.Join(names, ", "))
		},
		func(name string) { o.printf("Reinitialize is completed on: %s\n", name) })
	switch {
	case err != nil:
		return err
	case result != nil || o.contract():
		return result
	}
	return o.settled(ctx, s, 0, ctl.Names(started)) // the end of a copy is not yet a replica
}

// choose asks for one member if none was named; with --force, naming none means doing nothing.
func (o *reinitOptions) choose(ctx context.Context, members []cluster.Member, named bool) ([]cluster.Member, error) {
	if o.force {
		if !named {
			o.hint("Nothing was done: --force needs the names of the members.")
			return nil, nil
		}
		return members, nil
	}
	if !named && o.dry {
		return nil, worded("Name the members: a dry run asks nothing")
	}
	if !named {
		question := fmt.Sprintf("Which member do you want to reinitialize [%s]?", strings.Join(ctl.Names(members), ", "))
		replicas := members
		err := o.askUntil(func() (string, error) { return o.ask.Text(ctx, question, "", ctl.Names(replicas)...) }, func(name string) (err error) {
			if members, err = ctl.Pick(replicas, []string{name}, "replica"); err != nil {
				return ctl.Refusal{Text: name + " is not a member of cluster"}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return members, o.sure(o.force, func() error { return o.agreeMembers(ctx, "reinitialize", members) })
}

func (o *reinitOptions) one(ctx context.Context, s *subject, m cluster.Member) (bool, error) {
	for force := o.force; ; force = true {
		answer, err := s.control.Reinitialize(ctx, m, force, o.fromLeader)
		if err != nil {
			return false, err
		}
		if answer.Status < http.StatusBadRequest {
			o.sayOf(m, true, answer.Status, "Success: reinitialize for member %s", m.Name)
			return true, nil
		}
		o.sayOf(m, false, answer.Status, "Failed: reinitialize for member %s, status code=%d, (%s)", m.Name, answer.Status, answer.Body)
		if force || !answer.Busy() {
			return false, nil
		}
		yes, err := o.ask.Confirm(ctx, "Do you want to cancel it and reinitialize anyway?")
		if err != nil || !yes {
			return false, err
		}
	}
}
