package ctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/explain"
	"github.com/hathi-ha/hathi/pkg/peer"
)

const (
	// explainTimeout bounds each question to a member, explainEtcd the reading of etcd: somebody waits for it
	// in the middle of an outage.
	explainTimeout = 2 * time.Second
	explainEtcd    = 3 * time.Second
)

// Explain asks everybody for what a report is made from. It works without etcd as long as one of the REST APIs in
// known answers: that member tells of the others. It fails only if nobody can be asked.
func (c *Control) Explain(ctx context.Context, scope string, known ...string) (explain.Input, error) {
	in := explain.Input{Cluster: scope}
	limited, cancel := context.WithTimeoutCause(ctx, explainEtcd, fmt.Errorf("no answer within %s", explainEtcd))
	defer cancel()
	view, problem := c.Store.Snapshot(limited, scope)
	var members []cluster.Member
	if problem == nil {
		in.View, members = view, view.Members
	} else {
		in.Etcd = problem.Error()
		view, members = c.discover(ctx, known)
	}
	switch {
	case view == nil:
		return in, fmt.Errorf("%w, and no member that knows the cluster could be asked instead: run this with a node's configuration, or name a REST API with --api", problem)
	case len(members) == 0:
		return in, refuse("%s cluster doesn't have any members", scope)
	}
	in.Answers = c.askInOrder(ctx, members, view.Leader.Name)
	return in, ctx.Err()
}

// askInOrder asks the members, those they tell of besides, and the leader last: then what it has written is at
// least what it had written when the others said how far they were, and the difference bounds what would be lost.
func (c *Control) askInOrder(ctx context.Context, members []cluster.Member, leader string) []explain.Answer {
	isLeader := func(m cluster.Member) bool { return m.Name == leader }
	answers := c.askAll(ctx, slices.DeleteFunc(slices.Clone(members), isLeader))
	told := members
	for _, a := range answers {
		told = unite(told, a.Statement)
	}
	answers = append(answers, c.askAll(ctx, slices.DeleteFunc(slices.Clone(told[len(members):]), isLeader))...)
	if i := slices.IndexFunc(told, isLeader); i >= 0 {
		answers = append(answers, c.askOne(ctx, told[i]))
	}
	return answers
}

// discover finds the cluster without etcd, by asking one member for what it last saw; nil if none can tell. Its own
// key may be gone from that: etcd may have dropped it for want of a renewal before it went away itself.
func (c *Control) discover(ctx context.Context, known []string) (*cluster.View, []cluster.Member) {
	for _, url := range known {
		a := c.askOne(ctx, cluster.Member{APIURL: url})
		if a.Statement != nil && a.Statement.Observation.Store.View != nil {
			members := unite(nil, a.Statement)
			return a.Statement.Observation.Store.View, with(members, cluster.Member{Name: a.Statement.Name, APIURL: url})
		}
	}
	return nil, nil
}

// unite adds the members that a statement tells of: those with a key, and those that /failsafe lists.
func unite(members []cluster.Member, st *explain.Statement) []cluster.Member {
	if st == nil || st.Observation.Store.View == nil {
		return members
	}
	for _, m := range st.Observation.Store.View.Members {
		members = with(members, m)
	}
	for name, url := range st.Observation.Store.View.Failsafe {
		members = with(members, cluster.Member{Name: name, APIURL: url})
	}
	return members
}

// with adds a member that is not there.
func with(members []cluster.Member, m cluster.Member) []cluster.Member {
	if slices.ContainsFunc(members, func(there cluster.Member) bool { return there.Name == m.Name }) {
		return members
	}
	return append(slices.Clip(members), m)
}

func (c *Control) askAll(ctx context.Context, members []cluster.Member) []explain.Answer {
	answers := make([]explain.Answer, len(members))
	var all sync.WaitGroup
	for i, m := range members {
		all.Go(func() { answers[i] = c.askOne(ctx, m) })
	}
	all.Wait()
	return answers
}

// askOne asks a member to explain itself or, if it can't, for its status.
func (c *Control) askOne(ctx context.Context, m cluster.Member) explain.Answer {
	a := explain.Answer{Member: m}
	answer, err := c.call(ctx, explainTimeout, http.MethodGet, m.APIURL, "explain", "")
	if err != nil {
		a.Error = "does not answer: " + err.Error()
		return a
	}
	var statement explain.Statement
	if json.Unmarshal([]byte(answer.Body), &statement) == nil && statement.Action != "" {
		if m.Name != "" && statement.Name != m.Name {
			a.Error = fmt.Sprintf("%s answers as %s", m.APIURL, statement.Name)
			return a
		}
		a.Statement = &statement
		return a
	}
	return c.status(ctx, a)
}

// status is what a member that can't explain itself tells of itself.
func (c *Control) status(ctx context.Context, a explain.Answer) explain.Answer {
	answer, err := c.call(ctx, explainTimeout, http.MethodGet, a.Member.APIURL, "patroni", "")
	if err != nil {
		a.Error = "does not answer: " + err.Error()
		return a
	}
	var runs struct {
		Patroni struct{ Version string }
		Hathi   *struct{ Version string }
	}
	if err := json.Unmarshal([]byte(answer.Body), &runs); err != nil {
		a.Error = "its answer can't be read: " + err.Error()
		return a
	}
	if runs.Hathi != nil {
		a.Error = fmt.Sprintf("hathi %s has not decided anything yet, or can't explain itself", runs.Hathi.Version)
	} else {
		a.Patroni = runs.Patroni.Version
		a.Error = strings.TrimSpace("runs Patroni "+a.Patroni) + " and can't explain itself"
	}
	if s, err := peer.Parse([]byte(answer.Body)); err == nil {
		a.Status = &s
	}
	return a
}
