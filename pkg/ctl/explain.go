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
	members, problem, err := c.discover(ctx, scope, known, &in)
	if err != nil {
		return in, err
	}
	if len(members) == 0 {
		return in, refuse("%s cluster doesn't have any members", scope)
	}
	if problem != nil {
		in.Etcd = problem.Error()
	}
	// The leader is asked last: then what it has written is at least what it had written when the others said
	// how far they were, and the difference bounds what would be lost.
	leader := in.View.Leader.Name
	others := slices.DeleteFunc(slices.Clone(members), func(m cluster.Member) bool { return m.Name == leader })
	in.Answers = c.askAll(ctx, others)
	if m, ok := in.View.Member(leader); ok {
		in.Answers = append(in.Answers, c.askAll(ctx, []cluster.Member{m})...)
	}
	if problem != nil {
		in.View = nil // it is a member's, and may be old; the report looks for the newest
	}
	return in, ctx.Err()
}

// discover finds the members in etcd or, if that can't be read, which problem tells, by asking one of them.
func (c *Control) discover(ctx context.Context, scope string, known []string, in *explain.Input) (members []cluster.Member, problem, err error) {
	limited, cancel := context.WithTimeoutCause(ctx, explainEtcd, fmt.Errorf("no answer within %s", explainEtcd))
	defer cancel()
	in.View, problem = c.Store.Snapshot(limited, scope)
	if problem == nil {
		return in.View.Members, nil, nil
	}
	for _, url := range known {
		a := c.askOne(ctx, cluster.Member{APIURL: url})
		if a.Statement != nil && a.Statement.Observation.Store.View != nil {
			in.View = a.Statement.Observation.Store.View
			return in.View.Members, problem, nil
		}
	}
	return nil, problem, fmt.Errorf("%w, and no member that knows the cluster could be asked instead: run this with a node's configuration, or name a REST API with --api", problem)
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
