package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
	"github.com/hathi-ha/hathi/pkg/guard"
	hathilog "github.com/hathi-ha/hathi/pkg/log"
	"github.com/hathi-ha/hathi/pkg/process"
)

// brief is all that a guard has to know of the configuration. The next guard has it from the agent that starts it: the
// files may be half edited by then, or be meant for the next start.
type brief struct {
	DataDir, Program string
	Log              hathilog.Options
	Etcd             etcd.Options // the password is in it: this goes through a pipe only
}

func briefOf(cfg *config.Config) brief {
	b := brief{
		DataDir: absolute(cfg.Postgres.DataDir), Program: cfg.Postgres.BinNames["postgres"],
		Log: logOptions(cfg.Log), Etcd: etcdOptions(cfg),
	}
	b.Log.Dir = "" // a file is the agent's: two processes can't both rotate it
	return b
}

// encode gives what the next guard reads.
func (b brief) encode() []byte {
	raw, err := json.Marshal(b)
	if err != nil {
		panic(err) // it holds nothing that can't be encoded
	}
	return raw
}

// newGuard is the guard that an agent starts when it has lost its own.
func newGuard(e *env) *cobra.Command {
	return &cobra.Command{
		Use: "guard CONFIG PID", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			pid, err := strconv.Atoi(args[1])
			if err != nil {
				return fmt.Errorf("process id of the agent: %w", err)
			}
			raw, err := guard.Briefing()
			if err != nil {
				return err
			}
			var b brief
			if err := json.Unmarshal(raw, &b); err != nil {
				return fmt.Errorf("read what the agent says of the configuration: %w", err)
			}
			o, closeLog, err := b.options()
			if err != nil {
				return err
			}
			defer closeLog()
			o.Agent = []string{self, "hathi", "agent", args[0]}
			const sock = 3 // see guard.Client
			code, err := guard.Adopt(context.WithoutCancel(cmd.Context()), o, pid, sock)
			if err != nil {
				return err
			}
			return exited(code)
		},
	}
}

// options says what there is to guard.
func (b brief) options() (o guard.Options, closeLog func() error, err error) {
	log, err := hathilog.New(b.Log)
	if err != nil {
		return o, nil, err
	}
	// The guard lives for a long time with very little.
	debug.SetGCPercent(10)
	debug.FreeOSMemory()
	// What the start needs of the program is over a little later; no event tells when.
	time.AfterFunc(5*time.Second, process.TrimText)
	return guard.Options{
		DataDir: b.DataDir, Program: b.Program, PersonCode: personCode, Clock: clock.System{}, Log: log.Logger,
		Release: func(ctx context.Context, lease int64) error {
			client, err := etcd.Open(ctx, b.Etcd)
			if err != nil {
				return err
			}
			defer client.Close()
			return client.RevokeLease(ctx, lease)
		},
	}, log.Close, nil
}
