package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// completionTime is how long the values of etcd are waited for; after that nothing is offered. With the start of
// the process it stays within the 100 ms that a person does not notice.
const completionTime = 60 * time.Millisecond

const noFiles = cobra.ShellCompDirectiveNoFileComp

// completer offers values for what is being typed.
type completer = cobra.CompletionFunc

// completeClusters offers the names of clusters.
func (e *env) completeClusters(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	answered := e.live(cmd.Context(), func(ctx context.Context, s *session) {
		if s.scopes != nil {
			names, _ = s.scopes(ctx)
		}
		if len(names) == 0 && s.scope != "" {
			names = []string{s.scope}
		}
	})
	if !answered { // names may still be written to
		return nil, noFiles
	}
	return others(names, args), noFiles
}

// completeCluster offers the names of clusters for the only argument.
func (e *env) completeCluster(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, noFiles
	}
	return e.completeClusters(cmd, args, prefix)
}

// completeClusterMembers offers the names of clusters, then those of the cluster's members.
func (e *env) completeClusterMembers(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return e.completeClusters(cmd, args, prefix)
	}
	return others(e.memberNames(cmd.Context(), args), args[1:]), noFiles
}

// others leaves out what is on the command line already.
func others(names, typed []string) []string {
	return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(typed, n) })
}

// memberCompletion makes flags offer the names of members.
func (e *env) memberCompletion(cmd *cobra.Command, flags ...string) {
	for _, name := range flags {
		_ = cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return e.memberNames(cmd.Context(), args), noFiles
		})
	}
}

// memberNames gives the members of the cluster that the arguments name, else of the configuration's.
func (e *env) memberNames(ctx context.Context, args []string) []string {
	var names []string
	e.liveView(ctx, args, func(v *cluster.View) { names = ctl.Names(v.Members) })
	return names
}

// completeSetting offers the keys of the cluster's configuration: those that are there and those that may be. A
// prefix is left out of what is offered, and what does not have it is not offered.
func (e *env) completeSetting(prefix string, known func() []string) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		keys := known()
		e.liveView(cmd.Context(), args, func(v *cluster.View) {
			doc, err := config.ParseObject(v.Config.Raw)
			if err != nil {
				return
			}
			for _, path := range doc.Paths() {
				if key, ok := strings.CutPrefix(path, prefix); ok {
					keys = append(keys, key)
				}
			}
		})
		slices.Sort(keys)
		keys = slices.Compact(keys)
		for i := range keys {
			keys[i] += "="
		}
		return keys, noFiles | cobra.ShellCompDirectiveNoSpace
	}
}

// live opens the way to etcd for as long as completion may take, and reports whether that was enough. Whatever
// fails, nothing is said.
func (e *env) live(ctx context.Context, use func(ctx context.Context, s *session)) bool {
	ctx, cancel := context.WithTimeout(ctx, completionTime)
	defer cancel()
	done := make(chan struct{})
	go func() { // a name server may be slow as well, and knows nothing of the context
		defer close(done)
		s, err := e.connect(ctx)
		if err != nil {
			return
		}
		defer s.close()
		use(ctx, s)
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *env) liveView(ctx context.Context, args []string, use func(v *cluster.View)) {
	found := make(chan *cluster.View, 1)
	e.live(ctx, func(ctx context.Context, s *session) {
		name := s.scope
		if len(args) > 0 {
			name = args[0]
		}
		if v, err := (&subject{session: s, name: name}).snapshot(ctx); err == nil && name != "" {
			found <- v
		}
	})
	select {
	case v := <-found:
		use(v)
	default:
	}
}
