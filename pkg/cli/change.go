package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// changeOptions are those of switchover and failover.
type changeOptions struct {
	*env
	kind      ctl.Kind
	group     integer
	leader    text
	candidate text
	scheduled text
	force     bool
}

func newSwitchover(e *env) *cobra.Command {
	o := &changeOptions{env: e, kind: ctl.Switchover}
	cmd := changeCommand(o, "Switchover to a replica")
	option(cmd, &o.leader, "TEXT", "The name of the current leader", "--leader", "--primary")
	option(cmd, &o.candidate, "TEXT", "The name of the candidate", "--candidate")
	option(cmd, &o.scheduled, "TEXT", "Timestamp of a scheduled switchover in unambiguous format (e.g. ISO 8601)", "--scheduled")
	forceOption(cmd, &o.force)
	e.memberCompletion(cmd, "leader", "primary", "candidate")
	return cmd
}

func newFailover(e *env) *cobra.Command {
	o := &changeOptions{env: e, kind: ctl.Failover}
	cmd := changeCommand(o, "Failover to a replica")
	option(cmd, &o.candidate, "TEXT", "The name of the candidate", "--candidate")
	forceOption(cmd, &o.force)
	e.memberCompletion(cmd, "candidate")
	return cmd
}

func changeCommand(o *changeOptions, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(o.kind) + " [OPTIONS] [CLUSTER_NAME]", Short: short,
		Args: positional(1), ValidArgsFunction: o.completeCluster,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	groupOption(cmd, &o.group)
	return cmd
}

func (o *changeOptions) run(ctx context.Context, args []string) error {
	s, err := o.subject(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	o.printf("Current cluster topology\n")
	if err := o.table(s, v); err != nil {
		return err
	}
	ch, err := o.plan(ctx, s, v)
	if err != nil {
		return err
	}
	out, err := s.control.Execute(ctx, ch)
	if err != nil {
		return err
	}
	return o.report(ctx, s, ch, out)
}

// plan asks for what was not given and checks each answer at once.
func (o *changeOptions) plan(ctx context.Context, s *subject, v *cluster.View) (*ctl.Change, error) {
	ch := ctl.PlanFailover(s.name, s.key(), v)
	if o.kind == ctl.Switchover {
		var err error
		if ch, err = ctl.PlanSwitchover(s.name, s.key(), v); err != nil {
			return nil, err
		}
		if err = o.planLeader(ctx, ch); err != nil {
			return nil, err
		}
	}
	if err := o.planCandidate(ctx, ch); err != nil {
		return nil, err
	}
	if o.kind == ctl.Switchover {
		if err := o.planTime(ctx, ch); err != nil {
			return nil, err
		}
	}
	if o.force {
		return ch, nil
	}
	return ch, o.confirm(ctx, ch)
}

func (o *changeOptions) planLeader(ctx context.Context, ch *ctl.Change) error {
	leader := o.leader.value
	switch {
	case o.leader.given:
	case o.force:
		leader = ch.Leader
	default:
		question := "Primary"
		if ctl.StandbyCluster(ch.View) {
			question = "Standby Leader"
		}
		var err error
		if leader, err = o.ask.Text(ctx, question, ch.Leader); err != nil {
			return err
		}
	}
	return ch.CheckLeader(leader)
}

func (o *changeOptions) planCandidate(ctx context.Context, ch *ctl.Change) error {
	names, err := ch.Candidates()
	if err != nil {
		return err
	}
	candidate := o.candidate.value
	if !o.candidate.given {
		if o.force && o.kind == ctl.Switchover {
			return nil
		}
		if !o.force {
			if candidate, err = o.ask.Text(ctx, "Candidate "+quotedList(names), ""); err != nil {
				return err
			}
		}
	}
	return ch.SetCandidate(candidate)
}

// quotedList shows names as Python does.
func quotedList(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = "'" + n + "'"
		if strings.Contains(n, "'") {
			quoted[i] = `"` + n + `"`
		}
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func (o *changeOptions) planTime(ctx context.Context, ch *ctl.Change) error {
	when := o.scheduled.value
	if !o.scheduled.given && !o.force {
		var err error
		question := fmt.Sprintf("When should the switchover take place (e.g. %s ) ", o.example())
		if when, err = o.ask.Text(ctx, question, "now"); err != nil {
			return err
		}
	}
	at, err := ctl.ParseTime(when, o.now())
	if err != nil {
		return err
	}
	return ch.SetTime(at)
}

func (o *changeOptions) confirm(ctx context.Context, ch *ctl.Change) error {
	question := fmt.Sprintf("Are you sure you want to %s cluster %s", o.kind, ch.Cluster)
	refused := "Aborting " + string(o.kind)
	if ch.Asynchronous() && o.kind == ctl.Failover {
		if err := o.agree(ctx, fmt.Sprintf("Are you sure you want to failover to the asynchronous node %s?", *ch.Candidate), refused); err != nil {
			return err
		}
	}
	if !ch.ScheduledAt.IsZero() {
		question = fmt.Sprintf("Are you sure you want to schedule switchover of cluster %s at %s", ch.Cluster, cluster.FormatISO(ch.ScheduledAt))
		refused = "Aborting scheduled switchover"
	}
	if ch.Leader != "" {
		question += ", demoting current leader " + ch.Leader
	}
	return o.agree(ctx, question+"?", refused)
}

// agree turns a no into an error with the given text.
func (e *env) agree(ctx context.Context, question, refused string) error {
	yes, err := e.ask.Confirm(ctx, question)
	if err == nil && !yes {
		err = ctl.Refusal{Text: refused}
	}
	return err
}

// report prints what became of the change. After a fall-back to etcd hathi also waits for the result.
func (o *changeOptions) report(ctx context.Context, s *subject, ch *ctl.Change, out ctl.Outcome) error {
	if !out.OK {
		o.printf("%s%s failed, details: %s\n", strings.ToUpper(string(o.kind[:1])), o.kind[1:], out.Text)
		return o.failed()
	}
	text := out.Text
	if out.FellBack {
		text = fmt.Sprintf("Could not %s using Patroni api, falling back to DCS", o.kind)
	}
	o.printf("%s %s\n", stamp(out.At), text)
	if err := o.table(s, out.View); err != nil {
		return err
	}
	if !out.FellBack || o.contract() || !ch.ScheduledAt.IsZero() {
		return nil
	}
	o.hint("The request is in etcd; waiting for the members to act on it.")
	v, err := s.control.Follow(ctx, ch)
	switch {
	case err != nil:
		return err
	case v == nil:
		o.hint("The leader did not change. See %s list and the members' logs.", o.name)
		return errFailed
	}
	o.printf("%s %s\n", stamp(o.now()), ch.Success(v.Leader.Name))
	return o.table(s, v)
}
