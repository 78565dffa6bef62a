package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
	"github.com/hathi-ha/hathi/pkg/playground"
)

// newPlayground runs a whole cluster on this machine to try things out.
func newPlayground(e *env) *cobra.Command {
	o := playground.Options{Out: e.out}
	cmd := &cobra.Command{
		Use: "playground", Short: "Try out a cluster of three nodes on this machine", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGHUP)
			defer stop()
			path, err := os.Executable()
			if err != nil {
				return err
			}
			o.Self, o.Snapshot = path, snapshotOf
			return playground.Run(ctx, o)
		},
	}
	cmd.Flags().IntVar(&o.Nodes, "nodes", 3, "Number of nodes")
	cmd.Flags().StringVar(&o.BinDir, "bin-dir", "", "Directory with PostgreSQL's programs")
	return cmd
}

func snapshotOf(ctx context.Context, address, scope string) (*cluster.View, error) {
	client, err := etcd.Open(ctx, etcd.Options{Hosts: []string{address}, UseProxies: true})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return client.Snapshot(ctx, scope)
}
