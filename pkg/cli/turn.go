package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

// turnOptions are those of demote-cluster and promote-cluster.
type turnOptions struct {
	changing
	turn          ctl.Turn
	host, restore text
	slot          text
	port          integer
	force         bool
}

func newDemoteCluster(e *env) *cobra.Command {
	o := &turnOptions{changing: changing{env: e}, turn: ctl.Turn{Demote: true}}
	cmd := turnCommand(o, "Demote cluster to a standby cluster")
	option(cmd, &o.host, "TEXT", "Address of the remote node", "--host")
	option(cmd, &o.port, "INTEGER", "Port of the remote node", "--port")
	option(cmd, &o.restore, "TEXT", "Command to restore WAL records from the remote primary", "--restore-command")
	option(cmd, &o.slot, "TEXT", "Name of the slot on the remote node to use for replication", "--primary-slot-name")
	forceOption(cmd, &o.force)
	o.declareTimeout(cmd)
	return cmd
}

func newPromoteCluster(e *env) *cobra.Command {
	o := &turnOptions{changing: changing{env: e}}
	cmd := turnCommand(o, "Promote cluster, make it run standalone")
	forceOption(cmd, &o.force)
	o.declareTimeout(cmd)
	return cmd
}

func turnCommand(o *turnOptions, short string) *cobra.Command {
	return &cobra.Command{
		Use: o.turn.Verb() + "-cluster [OPTIONS] [CLUSTER_NAME]", Short: short,
		Args: positional(1), ValidArgsFunction: o.completeCluster,
		RunE: o.command(o.run),
	}
}

func (o *turnOptions) run(ctx context.Context, args []string) error {
	t := &o.turn
	t.Remote = ctl.Remote{Host: o.host.value, Port: o.port.value, PrimarySlotName: o.slot.value, RestoreCommand: o.restore.value}
	if t.Demote && t.Remote.Empty() {
		return ctl.Refusal{Text: "At least --host, --port or --restore-command should be specified"}
	}
	s, err := o.begin(ctx, args, integer{})
	if err != nil {
		return err
	}
	defer s.close()
	t.Cluster, t.Scope = s.name, s.key()
	if err := o.decide(ctx, s); err != nil {
		return err
	}
	if err := s.control.Turn(ctx, t); err != nil {
		if o.planned(err) {
			return nil
		}
		return err
	}
	ctx, cancel := o.bounded(ctx, 0)
	defer cancel()
	v, err := s.control.AwaitTurn(ctx, t, func(at time.Time, text string) { o.printf("%s %s\n", second(at), text) })
	if err != nil {
		return err
	}
	o.result.message = append(o.result.message, "cluster is successfully "+t.Done())
	o.printf("%s cluster is successfully %s\n", second(o.now()), t.Done())
	return o.table(s, v)
}

// decide shows the cluster as it is and asks whether it shall be turned.
func (o *turnOptions) decide(ctx context.Context, s *subject) error {
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	o.hintUnknown(s, v)
	if err := o.turn.Check(v); err != nil {
		return err
	}
	if err := o.topology(s, v); err != nil {
		return err
	}
	return o.sure(o.force, func() error {
		return o.agree(ctx, "Are you sure you want to "+o.turn.Verb()+" "+s.name+" cluster?", "Aborted cluster "+o.turn.Noun())
	})
}

// second is the time in front of a line of progress: local, whole seconds.
func second(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// declareTimeout adds the options beyond patronictl's; these commands always wait.
func (o *turnOptions) declareTimeout(cmd *cobra.Command) {
	o.declare(cmd, "")
	if !o.contract() {
		option(cmd, &o.timeout, "FLOAT", "How many seconds to wait until it is done; the change stands after that, too", "--timeout")
	}
}
