package api

import (
	"net/http"

	"github.com/hathi-ha/hathi/pkg/explain"
)

// explain answers GET /explain, which Patroni does not have: the last decision with its reasons, and what it was
// made from. The server and the time are of now, so that positions of several members can be compared.
func (s *Server) explain(r *http.Request) reply {
	ctx, cancel := detached(r, lookLimit)
	defer cancel()
	snapshot := s.o.Node.Look(ctx)
	if snapshot.Observation == nil {
		return failure(http.StatusServiceUnavailable, "nothing has been decided yet")
	}
	o := *snapshot.Observation
	decided := o.Now
	o.Server, o.Settings, o.Now = snapshot.Server, snapshot.Settings, s.o.Clock.Now()
	view, health := s.o.Store.Latest()
	o.Store.View, o.Store.FailingSince, o.Store.LockProven = view, health.FailingSince, snapshot.LockUntil
	return jsonReply(http.StatusOK, encode(explain.State(
		s.o.Version, string(snapshot.Role), string(snapshot.State), o, snapshot.Decision, o.Now.Sub(decided))))
}
