package cli

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// restartFailed is the whole answer of a member whose server did not come up again, by contract.
const restartFailed = "restart failed"

type restartOptions struct {
	changing
	group     integer
	role      choice
	any       bool
	scheduled text
	version   text
	pending   bool
	limitText text
	force     bool
}

func newRestart(e *env) *cobra.Command {
	o := &restartOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "restart [OPTIONS] CLUSTER_NAME [MEMBER_NAMES]...", Short: "Restart cluster member",
		Args: positional(-1, "CLUSTER_NAME"), ValidArgsFunction: e.completeClusterMembers,
		RunE: o.command(o.run),
	}
	groupOption(cmd, &o.group)
	roleOption(cmd, &o.role, ctl.RoleNames)
	toggle(cmd, &o.any, "Restart a single member only", "--any")
	option(cmd, &o.scheduled, "TEXT", "Timestamp of a scheduled restart in unambiguous format (e.g. ISO 8601)", "--scheduled")
	option(cmd, &o.version, "TEXT", "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2)", "--pg-version")
	toggle(cmd, &o.pending, "Restart if pending", "--pending")
	option(cmd, &o.limitText, "TEXT", "Return error and fail over if necessary when restarting takes longer than this.", "--timeout")
	forceOption(cmd, &o.force)
	o.declare(cmd, "Wait until the members replicate again, a minute at most")
	return cmd
}

func (o *restartOptions) run(ctx context.Context, args []string) error {
	s, err := o.begin(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	v, members, err := o.selection(ctx, s, o.role.value, args[1:], "'"+o.role.value+"'")
	if err != nil {
		return err
	}
	at, err := o.time(ctx)
	if err != nil {
		return err
	}
	members = o.narrow(members, at)
	if err := o.sure(o.force, func() error { return o.confirm(ctx, members, at) }); err != nil {
		return err
	}
	version, err := o.olderThan(ctx)
	if err != nil {
		return err
	}
	if !at.IsZero() && ctl.Paused(v) {
		return ctl.Refusal{Text: "Can't schedule restart in the paused state"}
	}
	request := ctl.RestartOptions{Pending: o.pending, Version: version, At: at, Timeout: o.limitText.value}
	stop := o.follow(ctx, s)
	err = o.tally(ctx, "restart", members, func(m cluster.Member) (bool, error) { return o.one(ctx, s, m, request) })
	stop()
	if err != nil || !at.IsZero() {
		return err
	}
	return o.settled(ctx, s, waitLimit, ctl.Names(members))
}

func (o *restartOptions) time(ctx context.Context) (at time.Time, err error) {
	if o.scheduled.given || o.force || o.dry {
		return ctl.ParseTime(o.scheduled.value, o.now())
	}
	question := fmt.Sprintf("When should the restart take place (e.g. %s) ", o.example())
	err = o.askUntil(func() (string, error) { return o.ask.Text(ctx, question, "now") }, func(when string) (err error) {
		at, err = ctl.ParseTime(when, o.now())
		return err
	})
	return at, err
}

// narrow keeps the members that need a restart, unless that is found out later, and one at random if the
// user does not mind which.
func (o *restartOptions) narrow(members []cluster.Member, at time.Time) []cluster.Member {
	if o.pending && at.IsZero() {
		var flagged []cluster.Member
		for _, m := range members {
			if m.PendingRestart {
				flagged = append(flagged, m)
			}
		}
		members = flagged
		if len(members) == 0 {
			o.hint("No member waits for a restart.")
		}
	}
	if o.any && len(members) > 0 {
		i := rand.IntN(len(members))
		members = members[i : i+1]
	}
	return members
}

func (o *restartOptions) confirm(ctx context.Context, members []cluster.Member, at time.Time) error {
	const refused = "Aborted scheduled restart"
	if at.IsZero() {
		return o.agreeMembers(ctx, "restart", members)
	}
	if o.pending {
		return o.agree(ctx, "The nodes needing a restart will be identified at the scheduled time, and might be different "+
			"from the ones showing pending restart right now. Is this fine?", refused)
	}
	when := strings.Replace(cluster.FormatISO(at), "T", " ", 1)
	question := fmt.Sprintf("Are you sure you want to schedule restart of members %s at %s?", strings.Join(ctl.Names(members), ", "), when)
	return o.agree(ctx, question, refused)
}

func (o *restartOptions) olderThan(ctx context.Context) (version string, err error) {
	check := func(text string) error {
		if version = text; text == "" {
			return nil
		}
		return ctl.CheckVersion(text)
	}
	if o.version.given || o.force || o.dry {
		return o.version.value, check(o.version.value)
	}
	const question = "Restart if the PostgreSQL version is less than provided (e.g. 9.5.2) "
	err = o.askUntil(func() (string, error) { return o.ask.Text(ctx, question, "") }, check)
	return version, err
}

func (o *restartOptions) one(ctx context.Context, s *subject, m cluster.Member, r ctl.RestartOptions) (bool, error) {
	if o.force && !r.At.IsZero() && m.ScheduledRestart != nil {
		answer, err := s.control.CancelRestart(ctx, m)
		if !o.planned(err) && err != nil {
			return false, err
		}
		if answer.Status >= http.StatusBadRequest {
			o.printf("Failed: flush scheduled restart for member %s, status code=%d, (%s)\n", m.Name, answer.Status, answer.Body)
		}
	}
	answer, err := s.control.Restart(ctx, m, r)
	if err != nil {
		return false, err
	}
	switch answer.Status {
	case http.StatusOK:
		o.sayOf(m, true, answer.Status, "Success: restart on member %s", m.Name)
		return true, nil
	case http.StatusAccepted:
		o.sayOf(m, true, answer.Status, "Success: restart scheduled on member %s", m.Name)
		return true, nil
	case http.StatusConflict:
		o.sayOf(m, false, answer.Status, "Failed: another restart is already scheduled on member %s", m.Name)
	default:
		o.sayOf(m, false, answer.Status, "Failed: restart for member %s, status code=%d, (%s)", m.Name, answer.Status, answer.Body)
		if answer.Body == restartFailed {
			o.hint("The log of %s says why.", m.Name)
		}
	}
	return false, nil
}
