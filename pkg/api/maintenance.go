package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

func (s *Server) reload(*http.Request) reply {
	s.o.Node.Reload()
	return text(http.StatusAccepted, "reload scheduled")
}

// reinitialize answers POST /reinitialize as soon as the agent has accepted it. A body that can't be read
// changes nothing.
func (s *Server) reinitialize(r *http.Request) reply {
	_, fields, refused := body(r, false)
	if refused != nil {
		return *refused
	}
	force, _ := cluster.ParseBool(fields.decoded("force"))
	fromLeader, _ := cluster.ParseBool(fields.decoded("from_leader"))
	ctx, cancel := detached(r, 2*s.o.Node.Snapshot().Settings.RetryTimeout+10*time.Second)
	defer cancel()
	err := s.o.Node.Reinitialize(ctx, force, fromLeader)
	var busy BusyError
	switch {
	case err == nil:
		return text(http.StatusOK, "reinitialize started")
	case errors.As(err, &busy), errors.Is(err, ErrNoLeader), errors.Is(err, ErrIsLeader):
		return text(http.StatusServiceUnavailable, shortest(err))
	}
	return text(http.StatusServiceUnavailable, "reinitialize failed: "+err.Error())
}

// sigterm claims what Patroni's claims outside of its tests on Windows, and does as little.
func (s *Server) sigterm(*http.Request) reply { return text(http.StatusAccepted, "shutdown scheduled") }

// citus takes note of events that only a Citus coordinator acts on.
func (s *Server) citus(r *http.Request) reply {
	if _, _, refused := body(r, true); refused != nil {
		return *refused
	}
	return text(http.StatusOK, "OK")
}

// failsafe answers GET /failsafe: the members that a primary without etcd has to reach.
func (s *Server) failsafe() reply {
	view, _ := s.o.Store.Latest()
	switch {
	case view == nil:
		return noView()
	case view.Failsafe == nil:
		return failure(http.StatusBadGateway, "failsafe mode is off: there is no /failsafe in etcd")
	}
	return jsonReply(http.StatusOK, encode(view.Failsafe))
}

// postFailsafe refuses the primary that asks whether it may go on without etcd: this member could not keep
// the promise not to be promoted meanwhile. The asking primary then demotes itself, which is safe.
func (s *Server) postFailsafe(r *http.Request) reply {
	if !s.o.Node.Snapshot().Settings.FailsafeMode {
		return failure(http.StatusBadGateway, "failsafe mode is off")
	}
	if _, _, refused := body(r, true); refused != nil {
		return *refused
	}
	return failure(http.StatusNotImplemented, "this version of hathi does not take part in failsafe mode")
}
