package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// selection reads the cluster, prints its table and picks the members that a command is about. what names
// the role in the message if none of those given has it.
func (e *env) selection(ctx context.Context, s *subject, role string, named []string, what string) (*cluster.View, []cluster.Member, error) {
	v, err := s.snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	members := ctl.OfRole(v, role)
	if err := ctl.CheckMembers(s.name, members, named); err != nil {
		e.perhapsMember(ctx, s)
		return nil, nil, err
	}
	if err := e.table(s, v); err != nil {
		return nil, nil, err
	}
	members, err = ctl.Pick(members, named, what)
	return v, members, err
}

// perhapsMember tells that what was typed as the name of a cluster is that of a member of the configuration's.
func (e *env) perhapsMember(ctx context.Context, s *subject) {
	own := &subject{session: s.session, name: s.scope, group: s.group}
	if e.contract() || s.scope == "" || s.scope == s.name {
		return
	}
	if v, err := own.snapshot(ctx); err == nil {
		if _, there := v.Member(s.name); there {
			e.hint("%s is a member of cluster %s; the name of the cluster comes first: %s %s", s.name, s.scope, s.scope, s.name)
		}
	}
}

// agreeMembers asks before something is done to members.
func (e *env) agreeMembers(ctx context.Context, action string, members []cluster.Member) error {
	question := fmt.Sprintf("Are you sure you want to %s members %s?", action, strings.Join(ctl.Names(members), ", "))
	return e.agree(ctx, question, "Aborted "+action)
}

// tally runs an action on one member after the other. A member that can't be reached does not keep the
// others from their turn, but ends the command with exit code 1, under either name. each reports whether
// the member did as asked.
func (o *changing) tally(ctx context.Context, action string, members []cluster.Member, each func(m cluster.Member) (bool, error)) error {
	var result error
	for _, m := range members {
		ok, err := each(m)
		switch {
		case o.planned(err):
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errAborted):
			return err
		case err != nil:
			o.sayOf(m, false, 0, "Failed: %s for member %s, %v", action, m.Name, err)
			result = errFailed
		case !ok && result == nil:
			result = o.failed()
		}
	}
	return result
}
