package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

// whichOptions pick one member: by name or by role, the leader if neither is given.
type whichOptions struct {
	role   choice
	member text
}

func (w *whichOptions) declare(e *env, cmd *cobra.Command) {
	roleOption(cmd, &w.role, ctl.RoleNames)
	w.role.value = ""
	option(cmd, &w.member, "TEXT", "Only this member", "--member", "-m")
	e.memberCompletion(cmd, "member")
}

type dsnOptions struct {
	*env
	group integer
	which whichOptions
}

func newDSN(e *env) *cobra.Command {
	o := &dsnOptions{env: e}
	cmd := &cobra.Command{
		Use: "dsn [OPTIONS] [CLUSTER_NAME]", Short: "Show how to connect to a member, the leader by default",
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	o.which.declare(e, cmd)
	return cmd
}

func (o *dsnOptions) run(ctx context.Context, args []string) error {
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	m, err := ctl.One(v, o.which.role.value, o.which.member.value)
	if err != nil {
		return err
	}
	if m == nil {
		return ctl.Refusal{Text: "Can not find a suitable member"}
	}
	host, port := m.Address()
	host = strings.ToLower(host)
	if host == "" {
		o.hint("Member %s has no address in etcd.", m.Name)
		return ctl.Refusal{Text: "Can not find a suitable member"}
	}
	o.printf("host=%s port=%s\n", host, port)
	return nil
}
