package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/explain"
	"github.com/hathi-ha/hathi/pkg/view"
)

type explainOptions struct {
	*env
	format choice
	api    text
}

func newExplain(e *env) *cobra.Command {
	o := &explainOptions{env: e}
	cmd := &cobra.Command{
		Use: "explain [OPTIONS] [MEMBER_NAME]", Short: "Explain what each member would do, now and if the leader died, and why",
		Args: positional(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return e.memberNames(cmd.Context(), nil), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	o.format = choice{value: "pretty", allowed: []string{"pretty", "json"}}
	option(cmd, &o.format, "["+strings.Join(o.format.allowed, "|")+"]", "Output format", "--format", "-f")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(o.format.allowed, cobra.ShellCompDirectiveNoFileComp))
	option(cmd, &o.api, "URL", "A member to ask while etcd is away, such as http://node2:8008", "--api")
	return cmd
}

func (o *explainOptions) run(ctx context.Context, args []string) error {
	s, err := o.subject(ctx, nil, integer{})
	if err != nil {
		return err
	}
	defer s.close()
	var known []string
	for _, url := range []string{o.api.value, s.api} {
		switch {
		case strings.Contains(url, "://"):
			known = append(known, url)
		case url != "":
			known = append(known, "http://"+url)
		}
	}
	in, err := s.control.Explain(ctx, s.key(), known...)
	if err != nil {
		return err
	}
	in.Version = Version
	report := explain.Make(in)
	name := ""
	if len(args) > 0 {
		name = args[0]
		if !slices.ContainsFunc(report.Members, func(m explain.Member) bool { return m.Name == name }) {
			return worded("%s is not a member of cluster %s: %s", name, report.Cluster, memberList(report))
		}
	}
	out, err := view.Explain(report, shown(o.format), name)
	if err != nil {
		return err
	}
	if _, err := o.out.Write(out); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

func memberList(r explain.Report) string {
	names := make([]string, 0, len(r.Members))
	for _, m := range r.Members {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}
