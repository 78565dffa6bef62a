package cli

import (
	"context"
	"strconv"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
)

// session is an open way to the clusters of one configuration.
type session struct {
	scope   string // of the configuration; empty: none
	control *ctl.Control
	// scopes lists the clusters of the namespace, for completion; nil: not possible.
	scopes func(ctx context.Context) ([]string, error)
	// citus is the group of the configuration's citus section, nil without one.
	citus *int
	// plain: what patronictl does not show is left out.
	plain bool
	// api is the REST API of the node whose configuration this is; empty: it is nobody's.
	api   string
	close func()
}

// subject is the cluster that a command is about.
type subject struct {
	*session
	name  string // as the user knows it
	group *int   // Citus group, nil without Citus
}

// subject finds the cluster of a command: the first argument, else the configuration's scope.
func (e *env) subject(ctx context.Context, args []string, group integer) (*subject, error) {
	s, err := e.connect(ctx)
	if err != nil {
		return nil, err
	}
	name := s.scope
	if len(args) > 0 {
		name = args[0]
	}
	if name == "" {
		s.close()
		return nil, worded("No cluster name given and no scope in the configuration")
	}
	if group.value == nil && group.configured {
		group.value = s.citus
	}
	if err := s.needsGroup(group); err != nil {
		s.close()
		return nil, err
	}
	return &subject{session: s, name: name, group: group.value}, nil
}

// errNoGroup is in the contract's words, misspelling included.
var errNoGroup = ctl.Refusal{Text: "For Citus clusters the --group must me specified"}

// needsGroup refuses a command that would be about all groups of a Citus cluster at once.
func (s *session) needsGroup(group integer) error {
	if s.citus != nil && group.value == nil && !group.asked {
		return errNoGroup
	}
	return nil
}

// look finds the cluster of a command as subject does, and reads it. The caller closes it unless there is an error.
func (e *env) look(ctx context.Context, args []string, group integer) (*subject, *cluster.View, error) {
	s, err := e.subject(ctx, args, group)
	if err != nil {
		return nil, nil, err
	}
	return e.viewed(ctx, s)
}

// viewed gives the cluster with what it is now, and closes it if that can't be read.
func (e *env) viewed(ctx context.Context, s *subject) (*subject, *cluster.View, error) {
	v, err := s.snapshot(ctx)
	if err != nil {
		s.close()
		return nil, nil, err
	}
	e.hintUnknown(s, v)
	return s, v, nil
}

// hintUnknown says so where a cluster has no keys: its name is mistyped, or it was never founded.
func (e *env) hintUnknown(s *subject, v *cluster.View) {
	if !v.Initialize.Present && len(v.Members) == 0 {
		e.hint("No cluster %q is known to etcd.", s.name)
	}
}

// grouped makes sure that a group is known where the cluster has several: it asks, or refuses if nothing may be
// asked.
func (e *env) grouped(ctx context.Context, s *subject, unasked bool) error {
	if s.citus == nil || s.group != nil {
		return nil
	}
	if unasked {
		return errNoGroup
	}
	n, err := e.ask.Int(ctx, "Citus group")
	s.group = &n
	return err
}

// key is the cluster's path below the namespace.
func (s *subject) key() string {
	if s.group != nil {
		return s.name + "/" + strconv.Itoa(*s.group)
	}
	return s.name
}

func (s *subject) snapshot(ctx context.Context) (*cluster.View, error) {
	return s.control.Store.Snapshot(ctx, s.key())
}

func (s *subject) describe(v *cluster.View) ctl.Cluster {
	c := ctl.Describe(s.name, v)
	c.Group = s.group
	for n := range c.Members {
		if s.plain {
			c.Members[n].Progress = ""
		}
	}
	return c
}
