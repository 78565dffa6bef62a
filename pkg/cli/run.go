package cli

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/config"
	hathilog "github.com/hathi-ha/hathi/pkg/log"
)

// version is hathi's own version; the build sets it.
var version = "dev"

// newAgent is the agent of a node. It is started by hathi run, never by a user.
func newAgent(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "agent CONFIG", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, log, err := loadNode(args[0])
			if err != nil {
				return err
			}
			return runAgent(cmd.Context(), args[0], log, cfg, nullGuard{})
		},
	}
}

// loadNode reads the configuration of a node and makes its log.
func loadNode(path string) (*config.Config, *slog.Logger, error) {
	cfg, warnings, err := config.Load(path, os.Environ())
	if err != nil {
		return nil, nil, fmt.Errorf("the configuration has mistakes, nothing was started:\n%w", err)
	}
	log, _, err := hathilog.New(logOptions(cfg.Log))
	if err != nil {
		return nil, nil, err
	}
	for _, w := range warnings {
		log.Warn(w.String())
	}
	return cfg, log, nil
}

func logOptions(l config.Log) hathilog.Options {
	o := hathilog.Options{
		Level: l.Level, JSON: l.Type == "json", Static: l.StaticFields, Dir: l.Dir, FileSize: l.FileSize, FileNum: l.FileNum,
	}
	if l.Mode >= 0 {
		o.Mode = os.FileMode(l.Mode)
	}
	for _, f := range l.Format {
		o.Fields = append(o.Fields, hathilog.Field{Field: f.Field, Name: f.Name})
	}
	return o
}
