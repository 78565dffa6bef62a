package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

// Version is hathi's own version; the build sets it.
var Version = "devel"

type versionOptions struct {
	*env
	group  integer
	format choice
}

func newVersion(e *env) *cobra.Command {
	o := &versionOptions{env: e}
	cmd := &cobra.Command{
		Use: "version [OPTIONS] [CLUSTER_NAME] [MEMBER_NAMES]...", Short: "Output version of this command, or of running members",
		Args: positional(-1), ValidArgsFunction: e.completeClusterMembers,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	machineOption(e, cmd, &o.format, "pretty")
	return cmd
}

func (o *versionOptions) run(ctx context.Context, args []string) error {
	machine := o.format.value == "json"
	own := view.Object{{Key: "patronictl", Value: cluster.PatroniVersion}, {Key: "hathi", Value: Version}}
	if !machine {
		o.printf("patronictl version %s\n", cluster.PatroniVersion)
	}
	var members []any
	var failed error
	if len(args) > 0 {
		answers, err := o.members(ctx, args)
		if err != nil {
			return err
		}
		if !machine {
			o.printf("\n")
		}
		for _, a := range answers {
			if a.err != nil {
				failed = o.failed()
			}
			if machine {
				members = append(members, a.object())
			} else {
				o.printf("%s: %s\n", a.name, a)
			}
		}
		own = append(own, view.Pair{Key: "members", Value: members})
	}
	switch {
	case machine:
		_, err := o.out.Write(view.JSON(own))
		return errors.Join(err, failed)
	case len(args) == 0 && !o.contract():
		o.printf("hathi version %s\n", Version)
	}
	return failed
}

// versionAnswer is what a member says of its versions, or why it does not.
type versionAnswer struct {
	name     string
	versions ctl.Versions
	err      error
}

func (a versionAnswer) String() string {
	if a.err != nil {
		return "failed to get version: " + a.err.Error()
	}
	return a.versions.String()
}

func (a versionAnswer) object() view.Object {
	if a.err != nil {
		return view.Object{{Key: "member", Value: a.name}, {Key: "error", Value: a.err.Error()}}
	}
	obj := view.Object{{Key: "member", Value: a.name}, {Key: "patroni", Value: a.versions.Patroni}}
	if a.versions.PostgreSQL != "" {
		obj = append(obj, view.Pair{Key: "postgresql", Value: a.versions.PostgreSQL})
	}
	return obj
}

// members asks the members that were named, all if none was.
func (o *versionOptions) members(ctx context.Context, args []string) ([]versionAnswer, error) {
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return nil, err
	}
	defer s.close()
	var list []versionAnswer
	for _, m := range v.Members {
		if m.APIURL == "" || len(args) > 1 && !slices.Contains(args[1:], m.Name) {
			continue
		}
		a := versionAnswer{name: m.Name}
		a.versions, a.err = s.control.Version(ctx, m)
		list = append(list, a)
	}
	return list, nil
}
