package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/doctor"
)

type doctorOptions struct {
	*env
	offline bool
	format  choice
}

func newDoctor(e *env) *cobra.Command {
	o := &doctorOptions{env: e}
	cmd := &cobra.Command{
		Use: "doctor [OPTIONS] CONFIG...", Short: "Find mistakes in the files of one or more nodes, and in the running cluster", Args: positional(-1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	toggle(cmd, &o.offline, "Look at the files only", "--offline")
	o.format = choice{value: "pretty", allowed: []string{"pretty", "json"}}
	option(cmd, &o.format, "["+strings.Join(o.format.allowed, "|")+"]", "Output format", "--format", "-f")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(o.format.allowed, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (o *doctorOptions) run(ctx context.Context, paths []string) error {
	environ := os.Environ()
	switch {
	case len(paths) == 0 && !slices.ContainsFunc(environ, func(v string) bool { return strings.HasPrefix(v, "PATRONI_") }):
		return usageError{text: "Missing argument 'CONFIG'."}
	case len(paths) == 0:
		paths = []string{""} // a node may be configured by variables alone
	case len(paths) > 1:
		var leftOut []string
		if environ, leftOut = config.SharedVariables(environ); len(leftOut) > 0 {
			o.hint("Not laid over several files, for they are of one node: %s", strings.Join(leftOut, ", "))
		}
	}
	var files []config.Inspection
	for _, path := range paths {
		in, err := config.Inspect(path, environ)
		if err != nil {
			return err
		}
		files = append(files, in)
	}
	found := doctor.Files(files)
	if !o.offline {
		found = append(found, o.running(ctx, files)...)
	}
	if err := o.tell(found); err != nil {
		return err
	}
	if !doctor.Healthy(found) {
		return errFailed
	}
	return nil
}

// running looks at the cluster of the first file that can be used. That nothing runs is no finding.
func (o *doctorOptions) running(ctx context.Context, files []config.Inspection) []doctor.Finding {
	for _, in := range files {
		if in.Config == nil {
			continue
		}
		live, err := lookAtCluster(ctx, in.Config)
		if err != nil {
			o.hint("The running cluster was not looked at: %v", err)
			return nil
		}
		if len(live.Members) == 0 {
			o.hint("Cluster %s has no running members; only the files were looked at.", in.Config.Scope)
		}
		return doctor.Running(live)
	}
	o.hint("The running cluster was not looked at: no file can be used as it is.")
	return nil
}

func (o *doctorOptions) tell(found []doctor.Finding) error {
	if o.format.value == "json" {
		if found == nil {
			found = []doctor.Finding{}
		}
		out, err := json.MarshalIndent(found, "", "  ")
		if err != nil {
			return fmt.Errorf("write the findings: %w", err)
		}
		o.printf("%s\n", out)
		return nil
	}
	count := map[doctor.Level]int{}
	for _, f := range found {
		o.printf("%s\n", f.Text())
		count[f.Level]++
	}
	if len(found) == 0 {
		o.printf("Nothing was found.\n")
		return nil
	}
	o.printf("\n%d mistakes, %d risks, %d hints\n", count[doctor.Mistake], count[doctor.Risk], count[doctor.Hint])
	return nil
}

// logFindings tells what the doctor finds in the configuration of a node that starts, beside the warnings that reading
// it has given.
func logFindings(log *slog.Logger, in config.Inspection) {
	for _, f := range doctor.Beyond(in) {
		level := slog.LevelWarn
		if f.Level == doctor.Hint {
			level = slog.LevelInfo
		}
		log.Log(context.Background(), level, f.Line(), "finding", string(f.Level))
	}
}
