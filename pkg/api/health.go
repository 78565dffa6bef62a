package api

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// The conditions that health checks are made of. Source: Patroni 4.1, api.py, do_GET.

// leader: holds the lock, whatever its database does.
func (p picture) leader() bool {
	if p.view == nil && p.Settings.Pause {
		return p.role() == cluster.RolePrimary || p.role() == cluster.RoleStandbyLeader
	}
	return p.lock
}

// primary: holds the lock and accepts writes. Patroni leaves the second out, and so sends writes to a lock
// holder that is not yet, or no longer, a primary.
func (p picture) primary() bool {
	locked := p.lock && p.Settings.StandbyCluster == nil || p.view == nil && p.Settings.Pause
	return locked && p.running() && p.role() == cluster.RolePrimary
}

func (p picture) standbyLeader() bool {
	switch {
	case p.view == nil && p.Settings.Pause:
		return p.role() == cluster.RoleStandbyLeader
	case p.lock && p.Settings.StandbyCluster != nil:
		return p.role() == cluster.RoleReplica || p.role() == cluster.RoleStandbyLeader
	}
	return false
}

func (p picture) replica(q limits) bool {
	if p.lock && p.Settings.StandbyCluster != nil && (p.view != nil || !p.Settings.Pause) {
		return false
	}
	return p.running() && p.role() == cluster.RoleReplica && !p.Tags.NoLoadBalance() && q.within(p)
}

// rule is one health check.
type rule struct {
	usesLag, usesTags bool
	needsView         bool
	holds             func(p picture, q limits) bool
}

var (
	primaryRule       = rule{holds: func(p picture, _ limits) bool { return p.primary() }}
	leaderRule        = rule{holds: func(p picture, _ limits) bool { return p.leader() }}
	standbyLeaderRule = rule{holds: func(p picture, _ limits) bool { return p.standbyLeader() }}
	healthRule        = rule{usesTags: true, holds: func(p picture, _ limits) bool { return p.running() }}
	never             = rule{holds: func(picture, limits) bool { return false }}
	replicaRule       = rule{usesLag: true, usesTags: true, holds: picture.replica}
	readOnlyRule      = rule{usesLag: true, usesTags: true, holds: func(p picture, q limits) bool {
		return p.primary() || p.standbyLeader() || p.replica(q)
	}}
)

// synchronous makes the rules that look at /sync; with leads they also hold on the node that leads.
func synchronous(leads bool, listed func(picture) bool) rule {
	return rule{usesLag: true, usesTags: true, needsView: true, holds: func(p picture, q limits) bool {
		return leads && (p.primary() || p.standbyLeader()) || listed(p) && p.replica(q)
	}}
}

// ruleOf finds the health check of a path. Parts of the path count, as in Patroni: /primary/x and
// /healthz are checks too.
func ruleOf(path string) rule {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(path, w) {
				return true
			}
		}
		return false
	}
	switch {
	case path == "":
		return primaryRule
	case has("standby_leader", "standby-leader"):
		return standbyLeaderRule
	case has("leader"):
		return leaderRule
	case has("master", "primary", "read-write"): // the first word: checks written for Patroni 2
		return primaryRule
	case has("replica"):
		return replicaRule
	case has("read-only") && !has("sync", "quorum"):
		return readOnlyRule
	case has("health"):
		return healthRule
	}
	return exactRule(path)
}

func exactRule(path string) rule {
	switch path {
	case "/sync", "/synchronous":
		return synchronous(false, picture.syncStandby)
	case "/quorum":
		return synchronous(false, picture.quorumStandby)
	case "/async", "/asynchronous":
		return synchronous(false, func(p picture) bool { return !p.syncStandby() && !p.quorumStandby() })
	case "/read-only-quorum":
		return synchronous(true, picture.quorumStandby)
	case "/read-only-sync", "/read-only-synchronous":
		return synchronous(true, picture.syncStandby)
	}
	return never
}

// health answers the check of a path: the status document with the code that tells the result. HEAD and OPTIONS get the
// code alone, and the document is not even made: load balancers send thousands of those.
func (s *Server) health(method, path string, query url.Values) reply {
	p, rule := s.picture(), ruleOf(path)
	var q limits
	if rule.usesLag {
		var err error
		if q, err = parseLimits(query); err != nil {
			return failure(http.StatusBadRequest, "%v", err)
		}
	}
	ok := rule.holds(p, q) && (!rule.needsView || p.view != nil) && (!rule.usesTags || tagsMatch(p.Tags, query))
	answer := statusOnly(ok)
	if method != http.MethodGet {
		return answer
	}
	return jsonReply(answer.status, encode(p.document(s.o.Version)))
}

// lookLimit bounds the look at the server for a status document; whoever asks waits two seconds for it.
const lookLimit = 1500 * time.Millisecond

// status answers with the server as it is now, not as the loop last saw it: other members compare positions
// by it, and one that is a turn old lacks what was acknowledged since. Who hangs up must not interrupt the
// query, which would end the connection that all queries share.
func (s *Server) status(r *http.Request) reply {
	ctx, cancel := detached(r, lookLimit)
	defer cancel()
	p := s.picture()
	p.Snapshot = s.look(ctx)
	return jsonReply(http.StatusOK, encode(p.document(s.o.Version)))
}

// look gives the node with its server as it is now. A server that can't be looked at in time counts as one
// that does not answer: a position from before would be taken for one of now.
func (s *Server) look(ctx context.Context) *Snapshot {
	seen := make(chan *Snapshot, 1)
	go func() { seen <- s.o.Node.Look(ctx) }()
	select {
	case snapshot := <-seen:
		return snapshot
	case <-ctx.Done():
		silent := *s.o.Node.Snapshot()
		silent.Server.Answered = false
		return &silent
	}
}

// readiness: this member may count when others wait for it. An answer that is no says why.
// Source: Patroni 4.1, api.py, do_GET_readiness.
func (s *Server) readiness(query url.Values) reply {
	p := s.picture()
	lag, given, err := parseLag(query.Get("lag"))
	if err != nil {
		return failure(http.StatusBadRequest, "%v", err)
	}
	if !given {
		lag = int64(p.Settings.MaximumLagOnFailover)
	}
	if why := p.notReady(query.Get("mode") == "write", lag); why != "" {
		return failure(http.StatusServiceUnavailable, "%s", why)
	}
	return statusOnly(true)
}

func (p picture) notReady(byWrite bool, limit int64) string {
	position := p.Server.ReplayLSN
	if byWrite {
		position = p.Server.ReceiveLSN
	}
	lag := int64(p.leaderLSN()) - int64(position)
	switch {
	case p.lock:
		return ""
	case p.state() != cluster.StateRunning:
		return fmt.Sprintf("PostgreSQL is not running: %s", p.state())
	case p.Server.ReplicationState() != "streaming":
		return "PostgreSQL is not streaming from another server"
	case p.view == nil && p.Server.LatestEndLSN == 0 && p.failsafe():
		return ""
	case p.view == nil && p.Server.LatestEndLSN == 0:
		return "etcd is not accessible and the leader's position is not known"
	case lag > limit:
		return fmt.Sprintf("%d bytes behind the leader, limit is %d", lag, limit)
	}
	return ""
}
