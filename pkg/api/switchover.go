package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// A switchover is a request that names the leader; a failover names only the candidate.
const (
	switchover = "switchover"
	failover   = "failover"
)

func (s *Server) switchover(r *http.Request) reply { return s.handOver(r, switchover) }
func (s *Server) failover(r *http.Request) reply   { return s.handOver(r, failover) }

// handOver checks a request, writes it to /failover, where the leader finds it, and waits for the outcome.
func (s *Server) handOver(r *http.Request, action string) reply {
	_, fields, refused := body(r, true)
	if refused != nil {
		return *refused
	}
	req, refused := s.handOverRequest(fields, action)
	if refused != nil {
		return *refused
	}
	if action == failover && req.Leader != "" {
		s.o.Log.Warn("received failover request with leader specified - performing switchover instead")
		action = switchover
	}
	settings := s.o.Node.Snapshot().Settings
	ctx, cancel := detached(r, 2*max(10*time.Second, settings.LoopWait)+2*settings.RetryTimeout)
	defer cancel()
	view, err := s.o.Store.Refresh(ctx)
	if err != nil {
		return failure(http.StatusServiceUnavailable, "the cluster can't be read from etcd: %v", err)
	}
	if req.ScheduledAt.IsZero() {
		if why := s.impossible(ctx, view, req, action); why != "" {
			return text(http.StatusPreconditionFailed, why)
		}
	}
	revision, err := s.putFailover(ctx, view, req)
	if err != nil {
		s.o.Log.Warn("failed to write failover key into DCS", "error", err)
		return text(http.StatusServiceUnavailable, "failed to write failover key into DCS")
	}
	s.o.Node.Wake()
	if !req.ScheduledAt.IsZero() {
		return text(http.StatusAccepted, "Switchover scheduled")
	}
	return s.outcome(ctx, view.Leader.Name, revision, req.Candidate, action)
}

// handOverRequest checks what can be seen in the body alone.
func (s *Server) handOverRequest(fields object, action string) (req cluster.FailoverRequest, refused *reply) {
	leader, okLeader := fields.text("leader")
	candidate, okCandidate := fields.text("candidate")
	if okCandidate && candidate == "" {
		candidate, okCandidate = fields.text("member")
	}
	if !okLeader || !okCandidate {
		return req, refuse(http.StatusBadRequest, "leader and candidate must be names of members")
	}
	scheduled, isText := fields.text("scheduled_at")
	paused := s.o.Node.Snapshot().Settings.Pause
	no := func(why string) (cluster.FailoverRequest, *reply) {
		a := text(http.StatusBadRequest, why)
		return cluster.FailoverRequest{}, &a
	}
	planned := scheduled != "" || !isText
	switch {
	case action == failover && candidate == "":
		return no("Failover could be performed only to a specific candidate")
	case action == switchover && leader == "":
		return no("Switchover could be performed only from a specific leader")
	case action == failover && planned:
		return no("Failover can't be scheduled")
	case paused && planned:
		return no("Can't schedule switchover in the paused state")
	}
	req = cluster.FailoverRequest{Leader: leader, Candidate: candidate}
	if planned {
		if req.ScheduledAt, refused = s.schedule(scheduled, switchover); refused != nil {
			return req, refused
		}
	}
	switch {
	case paused && candidate == "":
		return no("Switchover is possible only to a specific candidate in a paused state")
	case leader == candidate:
		return no("Switchover target and source are the same")
	}
	return req, nil
}

// impossible says why the request can't be carried out now; empty if it can. Lag and timeline are judged by
// the leader. Source: Patroni 4.1, api.py, is_failover_possible.
func (s *Server) impossible(ctx context.Context, view *cluster.View, req cluster.FailoverRequest, action string) string {
	if req.Leader != "" && req.Leader != view.Leader.Name {
		return "leader name does not match"
	}
	plainSync := s.o.Node.Snapshot().Settings.SynchronousMode == cluster.SyncOn
	var candidates []cluster.Member
	for _, m := range view.Members {
		if s.mayTakeOver(m, view, req, plainSync) {
			candidates = append(candidates, m)
		}
	}
	switch {
	case req.Candidate != "" && action == switchover && plainSync && !view.Sync.HasStandby(req.Candidate):
		return "candidate name does not match with sync_standby"
	case len(candidates) > 0:
	case req.Candidate != "":
		return "candidate does not exists"
	case plainSync:
		return action + " is not possible: can not find sync_standby"
	default:
		return action + " is not possible: cluster does not have members except leader"
	}
	for _, p := range s.o.Peers.Ask(ctx, candidates) {
		if p.Reachable && !p.Tags.NoFailover() && !p.WatchdogFailed {
			return ""
		}
	}
	return action + " is not possible: no good candidates have been found"
}

// mayTakeOver reports whether a member comes into question at all.
func (s *Server) mayTakeOver(m cluster.Member, view *cluster.View, req cluster.FailoverRequest, plainSync bool) bool {
	switch {
	case req.Candidate != "":
		return m.Name == req.Candidate
	case plainSync:
		return view.Sync.HasStandby(m.Name)
	}
	return m.Name != view.Leader.Name && m.APIURL != ""
}

// putFailover writes the request over whatever /failover holds, with compare so that nothing unread is
// overwritten, and gives the revision from which on the view has it. A lost race is run once more.
func (s *Server) putFailover(ctx context.Context, view *cluster.View, req cluster.FailoverRequest) (int64, error) {
	for range 2 {
		done, err := s.o.Store.PutFailover(ctx, req, view.Failover.Revision)
		if done && err == nil {
			return s.newest(view).Revision, nil
		}
		if err != nil && !errors.Is(err, dcs.ErrMaybe) {
			return 0, err
		}
		maybe := err != nil
		if view, err = s.o.Store.Refresh(ctx); err != nil {
			return 0, err
		}
		if maybe && sameRequest(view.Failover, req) {
			return view.Revision, nil
		}
	}
	return 0, errors.New("/failover was changed by somebody else, twice")
}

func sameRequest(a, b cluster.FailoverRequest) bool {
	return a.Leader == b.Leader && a.Candidate == b.Candidate && a.ScheduledAt.Equal(b.ScheduledAt)
}

// newest is the watched view, or the given one if that is all there is.
func (s *Server) newest(view *cluster.View) *cluster.View {
	if v, _ := s.o.Store.Latest(); v != nil && v.Revision >= view.Revision {
		return v
	}
	return view
}

// outcome waits until the leader key has another owner or the request is gone. It looks at each new picture
// of the agent, which is taken at every change of etcd. Views from before the request was written don't
// count: in them it is not there yet.
func (s *Server) outcome(ctx context.Context, before string, revision int64, candidate, action string) reply {
	settings := s.o.Node.Snapshot().Settings
	limit := time.NewTimer(2 * max(10*time.Second, settings.LoopWait))
	defer limit.Stop()
	noun, verb, past := "Switchover", "Switched", "switched"
	if action == failover {
		noun, verb, past = "Failover", "Failed", "failed"
	}
	for {
		updated := s.o.Node.Updated() // before looking, so that no update is missed
		if view, _ := s.o.Store.Latest(); view != nil && view.Revision >= revision {
			leader := view.Leader.Name
			switch {
			case leader != "" && leader != before && (candidate == "" || candidate == leader):
				return text(http.StatusOK, "Successfully "+past+` over to "`+leader+`"`)
			case leader != "" && leader != before:
				return text(http.StatusOK, verb+` over to "`+leader+`" instead of "`+candidate+`"`)
			case leader == before && !view.Failover.Pending():
				return text(http.StatusServiceUnavailable, noun+" failed")
			}
		}
		select {
		case <-updated:
		case <-limit.C:
			return text(http.StatusServiceUnavailable, noun+" status unknown")
		case <-ctx.Done():
			return text(http.StatusServiceUnavailable, noun+" status unknown")
		}
	}
}

func (s *Server) deleteSwitchover(r *http.Request) reply {
	ctx, cancel := detached(r, 2*s.o.Node.Snapshot().Settings.RetryTimeout)
	defer cancel()
	view, err := s.o.Store.Refresh(ctx)
	switch {
	case err != nil:
		return failure(http.StatusServiceUnavailable, "the cluster can't be read from etcd: %v", err)
	case !view.Failover.Pending() || view.Failover.ScheduledAt.IsZero():
		return text(http.StatusNotFound, "no switchover is scheduled")
	}
	done, err := s.o.Store.PutFailover(ctx, cluster.FailoverRequest{}, view.Failover.Revision)
	switch {
	case err != nil:
		return failure(http.StatusServiceUnavailable, "the scheduled switchover can't be deleted in etcd: %v", err)
	case !done:
		return failure(http.StatusConflict, "the scheduled switchover was changed by somebody else at the same moment; try again")
	}
	s.o.Node.Wake()
	return text(http.StatusOK, "scheduled switchover deleted")
}

// detached gives what a client has asked for a time of its own: a client that hangs up does not end it.
func detached(r *http.Request, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), limit)
}
