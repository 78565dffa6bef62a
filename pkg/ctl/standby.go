package ctl

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Remote is what a standby cluster follows; empty fields are not given.
type Remote struct {
	Host, PrimarySlotName, RestoreCommand string
	Port                                  *int
}

// Empty reports whether nothing says where the WAL comes from.
func (r Remote) Empty() bool { return r.Host == "" && r.Port == nil && r.RestoreCommand == "" }

// section is the value of standby_cluster.
func (r Remote) section() string {
	var b body
	if r.Host != "" {
		b.set("host", r.Host)
	}
	if r.Port != nil {
		b.set("port", *r.Port)
	}
	if r.PrimarySlotName != "" {
		b.set("primary_slot_name", r.PrimarySlotName)
	}
	if r.RestoreCommand != "" {
		b.set("restore_command", r.RestoreCommand)
	}
	return b.String()
}

// Turn makes a standby cluster of a cluster, or a cluster of a standby cluster.
type Turn struct {
	Cluster, Scope string
	// Demote: it becomes a standby cluster of Remote.
	Demote bool
	Remote Remote
	Leader cluster.Member // as it was when the user decided
}

// Verb, Noun and Done are the words for it.
func (t *Turn) Verb() string { return map[bool]string{true: "demote", false: "promote"}[t.Demote] }

// Noun is the act.
func (t *Turn) Noun() string { return map[bool]string{true: "demotion", false: "promotion"}[t.Demote] }

// Done is the result.
func (t *Turn) Done() string { return t.Verb() + "d" }

func (t *Turn) role() cluster.Role {
	if t.Demote {
		return cluster.RoleStandbyLeader
	}
	return cluster.RolePrimary
}

// Check looks whether there is a leader to ask, and something to do.
func (t *Turn) Check(v *cluster.View) error {
	m, ok := v.Member(v.Leader.Name)
	switch {
	case !ok:
		return refuse("Cluster has no leader, %s is not possible", t.Noun())
	case m.Role == t.role():
		return refuse("Cluster is already in the required state")
	}
	t.Leader = m
	return nil
}

// Turn asks the leader, and nobody else, to change the configuration of the cluster.
func (c *Control) Turn(ctx context.Context, t *Turn) error {
	section := "null"
	if t.Demote {
		section = t.Remote.section()
	}
	answer, err := c.call(ctx, configTimeout, http.MethodPatch, t.Leader.APIURL, "config", `{"standby_cluster": `+section+`}`)
	failure := fmt.Sprintf("Failed to %s %s cluster", t.Verb(), t.Cluster)
	switch {
	case asPlanned(err):
		return err
	case err != nil && ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return refuse("%s: %v", failure, err)
	case answer.Status != http.StatusOK:
		return refuse("%s: %s: /config PATCH status code=%d, (%s)", failure, failure, answer.Status, answer.Body)
	}
	return nil
}

// AwaitTurn looks at the cluster every second until it has turned, and gives it. Each look that shows it under
// way is told in words. It ends only with its context: the configuration stands, and the members act on it.
func (c *Control) AwaitTurn(ctx context.Context, t *Turn, tell func(at time.Time, text string)) (*cluster.View, error) {
	for {
		v, err := c.Store.Snapshot(ctx, t.Scope)
		if err != nil {
			return nil, err
		}
		done, text := t.progress(v)
		if done {
			return v, nil
		}
		tell(c.now(), text)
		if err := rest(ctx, time.Second); err != nil {
			return nil, err
		}
	}
}

// progress says how far the cluster is.
func (t *Turn) progress(v *cluster.View) (done bool, text string) {
	now, led := v.Member(v.Leader.Name)
	former, _ := v.Member(t.Leader.Name)
	done = led && now.Role == t.role() && now.State == cluster.StateRunning
	if t.Demote {
		done = done && former.State == cluster.StateRunning
	}
	var b strings.Builder
	unlocked := map[bool]string{true: "True", false: "False"}[!v.Locked()]
	fmt.Fprintf(&b, "cluster is unlocked: %s, leader role: %s, leader state: %s", unlocked, orNone(string(now.Role)), orNone(string(now.State)))
	if t.Demote && led && now.Name != t.Leader.Name && former.State != "" {
		fmt.Fprintf(&b, ", previous leader state: '%s'", former.State)
	}
	return done, b.String()
}

func orNone(s string) string {
	if s == "" {
		return "None"
	}
	return s
}
