package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/guard"
	hathilog "github.com/hathi-ha/hathi/pkg/log"
	"github.com/hathi-ha/hathi/pkg/privilege"
)

// exited ends the process with a code and without a further word.
type exited int

func (e exited) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// personCode is the exit code of an agent that found something a person has to look at. Starting it again
// would find the same.
const personCode = 1

// self is this program, also where the path to it leads through directories that only root may enter.
const self = "/proc/self/exe"

// newRun runs a node: the process becomes the guard, and the agent is its child.
func newRun(e *env) *cobra.Command {
	modes := &runModes{env: e}
	cmd := &cobra.Command{
		Use: "run CONFIG", Short: "Run a node: its agent, its guard and its PostgreSQL", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := strings.Join(args, "")
			if done, err := modes.run(cmd.Context(), path); done {
				return err
			}
			in, err := loadNode(path) // so that mistakes end the node before anything is started; the agent logs the warnings
			if err != nil {
				return err
			}
			if err := dropRoot(in.Config); err != nil {
				return err
			}
			o, closeLog, err := briefOf(in.Config).options()
			if err != nil {
				return err
			}
			defer closeLog()
			o.Agent = []string{self, "hathi", "agent", path}
			code, err := guard.Supervise(context.WithoutCancel(cmd.Context()), o)
			if err != nil {
				return err
			}
			return exited(code)
		},
	}
	modes.flags(cmd)
	return cmd
}

// newAgent is the agent of a node. It is started by hathi run, never by a user.
func newAgent(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "agent CONFIG", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := loadNode(args[0])
			if err != nil {
				return err
			}
			cfg := in.Config
			log, err := hathilog.New(logOptions(cfg.Log))
			if err != nil {
				return err
			}
			defer log.Close()
			for _, w := range in.Warnings {
				log.Warn(w.String())
			}
			logFindings(log.Logger, in)
			for _, conflict := range cfg.TagConflicts {
				log.Warn(conflict)
			}
			client, err := guard.Connect(log.Logger, []string{self, "hathi", "guard", args[0]}, briefOf(cfg).encode())
			if err != nil {
				return err
			}
			defer client.Close()
			if err = runAgent(context.WithoutCancel(cmd.Context()), args[0], log, cfg, client); err != nil {
				client.Leave(personCode)
				return err
			}
			client.Leave(0)
			return nil
		},
	}
}

// dropRoot becomes the user that owns the data directory, or postgres if there is none yet: PostgreSQL does
// not run as root.
func dropRoot(cfg *config.Config) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner := "postgres"
	if info, err := os.Stat(cfg.Postgres.DataDir); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			if u, err := user.LookupId(strconv.Itoa(int(st.Uid))); err == nil {
				owner = u.Username
			}
		}
	}
	return privilege.DropTo(owner)
}

// loadNode reads the configuration of a node; one with mistakes is an error, which tells the warnings, too: a key that is
// missing may be there under a mistyped name.
func loadNode(path string) (config.Inspection, error) {
	in, err := config.Inspect(path, os.Environ())
	switch {
	case errors.Is(err, fs.ErrPermission):
		return in, fmt.Errorf("nothing was started: %w; the file is read as the user that PostgreSQL runs as, %s: let that user read it", err, userName())
	case err != nil:
		return in, fmt.Errorf("nothing was started: %w", err)
	case len(in.Errors) > 0:
		return in, fmt.Errorf("the configuration has mistakes, nothing was started:\n%w", append(in.Errors, in.Warnings...))
	}
	return in, nil
}

// userName is the name of the user that this process runs as, or its number.
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

func logOptions(l config.Log) hathilog.Options {
	o := hathilog.Options{
		Level: l.Level, JSON: l.Type == "json", DateFormat: l.DateFormat, Static: l.StaticFields,
		Dir: l.Dir, FileSize: l.FileSize, FileNum: l.FileNum, Queue: l.MaxQueueSize,
	}
	for _, name := range []string{"patroni", "hathi"} {
		if level := l.Loggers[name]; level != "" {
			o.Level = level
		}
	}
	if l.Mode >= 0 {
		o.Mode = os.FileMode(l.Mode)
	}
	for _, f := range l.Format {
		if f.Name == "" {
			o.Format = f.Field
			continue
		}
		o.Fields = append(o.Fields, hathilog.Field{Field: f.Field, Name: f.Name})
	}
	return o
}
