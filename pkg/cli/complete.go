package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

// completionTime is how long completion may take; after that it offers nothing.
const completionTime = time.Second

// completeClusters offers the names of clusters.
func (e *env) completeClusters(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	s, err := e.connect(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer s.close()
	if s.scopes != nil {
		if names, err := s.scopes(ctx); err == nil && len(names) > 0 {
			return names, cobra.ShellCompDirectiveNoFileComp
		}
	}
	if s.scope == "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return []string{s.scope}, cobra.ShellCompDirectiveNoFileComp
}

// completeClusterMembers offers the names of clusters, then those of the cluster's members.
func (e *env) completeClusterMembers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeClusters(cmd, args, prefix)
	}
	return e.memberNames(cmd.Context(), args), cobra.ShellCompDirectiveNoFileComp
}

// memberCompletion makes flags offer the names of members.
func (e *env) memberCompletion(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return e.memberNames(cmd.Context(), args), cobra.ShellCompDirectiveNoFileComp
		})
	}
}

func (e *env) memberNames(ctx context.Context, args []string) []string {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	s, err := e.subject(ctx, args, integer{})
	if err != nil {
		return nil
	}
	defer s.close()
	v, err := s.snapshot(ctx)
	if err != nil {
		return nil
	}
	return ctl.Names(v.Members)
}
