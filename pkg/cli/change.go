package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/explain"
	"github.com/hathi-ha/hathi/pkg/view"
)

// changeOptions are those of switchover and failover.
type changeOptions struct {
	changing
	kind      ctl.Kind
	group     integer
	leader    text
	candidate text
	scheduled text
	force     bool
}

func newSwitchover(e *env) *cobra.Command {
	o := &changeOptions{changing: changing{env: e}, kind: ctl.Switchover}
	cmd := changeCommand(o, "Switchover to a replica")
	option(cmd, &o.leader, "TEXT", "The name of the current leader", "--leader", "--primary")
	option(cmd, &o.candidate, "TEXT", "The name of the candidate", "--candidate")
	option(cmd, &o.scheduled, "TEXT", "Timestamp of a scheduled switchover in unambiguous format (e.g. ISO 8601)", "--scheduled")
	forceOption(cmd, &o.force)
	o.declare(cmd, waitForAll)
	e.memberCompletion(cmd, "leader", "primary", "candidate")
	return cmd
}

func newFailover(e *env) *cobra.Command {
	o := &changeOptions{changing: changing{env: e}, kind: ctl.Failover}
	cmd := changeCommand(o, "Failover to a replica")
	option(cmd, &o.candidate, "TEXT", "The name of the candidate", "--candidate")
	forceOption(cmd, &o.force)
	o.declare(cmd, waitForAll)
	e.memberCompletion(cmd, "candidate")
	return cmd
}

func changeCommand(o *changeOptions, short string) *cobra.Command {
	cmd := &cobra.Command{
		Use: string(o.kind) + " [OPTIONS] [CLUSTER_NAME]", Short: short,
		Args: positional(1), ValidArgsFunction: o.completeCluster,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	return cmd
}

func (o *changeOptions) run(ctx context.Context, args []string) error {
	o.group.asked = true
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	if err := o.grouped(ctx, s, o.force || o.dry); err != nil {
		return err
	}
	v, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	o.hintUnknown(s, v)
	if err := o.topology(s, v); err != nil {
		return err
	}
	ch, err := o.plan(ctx, s, v)
	if err != nil {
		return err
	}
	stop := o.follow(ctx, s)
	out, err := s.control.Execute(ctx, ch)
	stop()
	switch {
	case o.planned(err):
		return o.foretell(ctx, s, ch)
	case err != nil:
		return err
	}
	if err := o.report(ctx, s, ch, out); err != nil || !ch.ScheduledAt.IsZero() {
		return err
	}
	return o.settled(ctx, s, waitLimit, ctl.Names(v.Members))
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
	return ch, o.sure(o.force, func() error { return o.confirm(ctx, ch) })
}

func (o *changeOptions) planLeader(ctx context.Context, ch *ctl.Change) error {
	switch {
	case o.leader.given:
		return ch.CheckLeader(o.leader.value)
	case o.force || o.dry:
		return nil
	}
	question := "Primary"
	if ctl.StandbyCluster(ch.View) {
		question = "Standby Leader"
	}
	return o.askUntil(func() (string, error) { return o.ask.Text(ctx, question, ch.Leader, ch.Leader) }, ch.CheckLeader)
}

func (o *changeOptions) planCandidate(ctx context.Context, ch *ctl.Change) error {
	names, err := ch.Candidates()
	switch {
	case err != nil:
		return err
	case o.candidate.given:
		return ch.SetCandidate(o.candidate.value)
	case (o.force || o.dry) && o.kind == ctl.Switchover:
		return nil
	case o.force || o.dry:
		return ch.SetCandidate("")
	}
	return o.askUntil(func() (string, error) { return o.ask.Text(ctx, "Candidate "+quotedList(names), "", names...) }, ch.SetCandidate)
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
	set := func(when string) error {
		at, err := ctl.ParseTime(when, o.now())
		if err != nil {
			return err
		}
		return ch.SetTime(at)
	}
	if o.scheduled.given || o.force || o.dry {
		return set(o.scheduled.value)
	}
	question := fmt.Sprintf("When should the switchover take place (e.g. %s ) ", o.example())
	return o.askUntil(func() (string, error) { return o.ask.Text(ctx, question, "now") }, set)
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
		o.say("%s%s failed, details: %s", strings.ToUpper(string(o.kind[:1])), o.kind[1:], out.Text)
		return o.failed()
	}
	text := out.Text
	if out.FellBack {
		text = fmt.Sprintf("Could not %s using Patroni api, falling back to DCS", o.kind)
	}
	o.said(out.At, text, out.View)
	if err := o.table(s, out.View); err != nil {
		return err
	}
	if ch.Candidate != nil && strings.HasSuffix(text, fmt.Sprintf(" instead of %q", *ch.Candidate)) {
		return o.failed()
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
	o.said(o.now(), ch.Success(v.Leader.Name), v)
	return o.table(s, v)
}

// waitForAll is the help of --wait.
const waitForAll = "Wait until all members replicate from the leader"

// said prints what has happened, with the moment.
func (o *changeOptions) said(at time.Time, text string, v *cluster.View) {
	o.result.message = append(o.result.message, text)
	o.result.more = nil
	if v != nil {
		o.result.more = view.Object{{Key: "leader", Value: v.Leader.Name}}
	}
	o.printf("%s %s\n", stamp(at), text)
}

// foretell is the end of a dry run: what the leader would make of the request. The error says that it would be in
// vain. A manual failover is forced, so only what it would cost can be said.
func (o *changeOptions) foretell(ctx context.Context, s *subject, ch *ctl.Change) error {
	in, err := s.control.Explain(ctx, s.key())
	if err != nil {
		return err
	}
	report, candidate := explain.Make(in), ""
	if ch.Candidate != nil {
		candidate = *ch.Candidate
	}
	if o.kind == ctl.Failover {
		if behind := report.Behind(candidate); behind != nil {
			o.printf("%s is %d bytes of WAL behind the leader\n", candidate, *behind)
		}
		o.say("Nothing was changed")
		return nil
	}
	verdict, known := report.Foretell(candidate)
	switch {
	case !known:
		o.say("The leader can't be asked whether it would switch over now; nothing was changed")
	case verdict.Possible:
		o.say("The leader would switch over now; nothing was changed")
	default:
		for _, r := range verdict.Reasons {
			o.printf("%s\n", r.Text)
		}
		o.say("The leader would not switch over now; nothing was changed")
		return errFailed
	}
	return nil
}
