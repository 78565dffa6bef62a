package cli

import (
	"context"
	"slices"

	"github.com/spf13/cobra"
)

// Version is hathi's own version; the build sets it.
var Version = "devel"

// contractVersion is the version of patronictl whose behaviour the commands follow; tools parse it.
const contractVersion = "4.1.4"

type versionOptions struct {
	*env
	group integer
}

func newVersion(e *env) *cobra.Command {
	o := &versionOptions{env: e}
	cmd := &cobra.Command{
		Use: "version [OPTIONS] [CLUSTER_NAME] [MEMBER_NAMES]...", Short: "Output version of this command, or of running members",
		Args: positional(-1), ValidArgsFunction: e.completeClusterMembers,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	return cmd
}

func (o *versionOptions) run(ctx context.Context, args []string) error {
	o.printf("patronictl version %s\n", contractVersion)
	if len(args) == 0 {
		if !o.contract() {
			o.printf("hathi version %s\n", Version)
		}
		return nil
	}
	s, v, err := o.look(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	o.printf("\n")
	var result error
	for _, m := range v.Members {
		if m.APIURL == "" || len(args) > 1 && !slices.Contains(args[1:], m.Name) {
			continue
		}
		text, err := s.control.Version(ctx, m)
		if err != nil {
			o.printf("%s: failed to get version: %v\n", m.Name, err)
			result = o.failed()
			continue
		}
		o.printf("%s: %s\n", m.Name, text)
	}
	return result
}
