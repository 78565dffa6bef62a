package ctl

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Planned is a request that was not made, because Control.DryRun is set. It is the error of whatever would have
// made it.
type Planned struct {
	Method string // of HTTP, or PUT and DELETE for etcd
	Target string // the URL, or the key below the namespace
	Body   string // empty: none
}

func (p Planned) Error() string {
	text := p.Method + " " + p.Target
	if p.Body != "" {
		text += " " + p.Body
	}
	return text
}

// asPlanned reports whether an error only says what would have been done.
func asPlanned(err error) bool { return errors.As(err, &Planned{}) }

// plan gives the error in whose place a request would have been made; nil if it is to be made.
func (c *Control) plan(method, target, body string) error {
	if !c.DryRun || method == http.MethodGet {
		return nil
	}
	return Planned{Method: method, Target: target, Body: body}
}

// dryStore is a store that plans what it should write.
type dryStore struct {
	Store
	c *Control
}

// store is where commands write.
func (c *Control) store() Store {
	if c.DryRun {
		return dryStore{c.Store, c}
	}
	return c.Store
}

func (s dryStore) PutFailover(_ context.Context, scope string, req cluster.FailoverRequest, _ int64) (bool, error) {
	text := "{}"
	if req.Pending() {
		text = fmt.Sprintf(`{"leader": %q, "member": %q}`, req.Leader, req.Candidate)
	}
	return false, s.c.plan(http.MethodPut, "/"+scope+"/failover", text)
}

func (s dryStore) PutConfig(_ context.Context, scope string, raw []byte, _ int64) (bool, error) {
	return false, s.c.plan(http.MethodPut, "/"+scope+"/config", string(raw))
}

func (s dryStore) DeleteCluster(_ context.Context, scope string) (int64, error) {
	return 0, s.c.plan(http.MethodDelete, "/"+scope+"/", "")
}
