package api

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// reload answers POST /reload. Files with mistakes change nothing, and whoever asks had better know.
func (s *Server) reload(*http.Request) reply {
	if s.o.CheckFiles != nil {
		if err := s.o.CheckFiles(); err != nil {
			return text(http.StatusUnprocessableEntity, "the configuration stays as it is: "+err.Error())
		}
	}
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

// postFailsafe answers a primary that asks whether it may go on without etcd.
func (s *Server) postFailsafe(r *http.Request) reply {
	// Without a view the mode is not known; then the agent promises, which binds nobody but itself.
	if now := s.o.Node.Snapshot(); now.View != nil && !now.Settings.FailsafeMode {
		return failure(http.StatusBadGateway, "%s", ErrFailsafeOff)
	}
	raw, _, refused := body(r, true)
	if refused != nil {
		return *refused
	}
	var q failsafeQuestion
	if err := json.Unmarshal(raw, &q); err != nil || q.Name == "" || q.ConnURL == "" || q.APIURL == "" || q.TTL < 0 || q.TTL > longestPromise.Milliseconds() {
		return failure(http.StatusBadRequest, "name, conn_url and api_url are needed, an object of numbers as slots, and a time of at most %s", longestPromise)
	}
	lsn, err := s.o.Node.Failsafe(cluster.FailsafeQuestion{
		Name: q.Name, ConnURL: q.ConnURL, APIURL: q.APIURL, Slots: q.Slots, TTL: q.ttl(),
	})
	switch {
	case errors.Is(err, ErrFailsafeOff):
		return failure(http.StatusBadGateway, "%s", err)
	case err != nil:
		return text(http.StatusInternalServerError, err.Error())
	}
	answer := text(http.StatusOK, failsafeAccepted)
	if lsn != 0 {
		answer.header = map[string]string{"lsn": strconv.FormatUint(uint64(lsn), 10)}
	}
	return answer
}

// longestPromise bounds for how long a request can keep a member from being promoted.
const longestPromise = time.Hour

// failsafeAccepted is the one answer that counts as a promise.
const failsafeAccepted = "Accepted"

// failsafeQuestion is the body of POST /failsafe.
type failsafeQuestion struct {
	Name    string                 `json:"name"`
	ConnURL string                 `json:"conn_url"`
	APIURL  string                 `json:"api_url"`
	Slots   map[string]cluster.LSN `json:"slots"`
	// TTL is hathi's own, in milliseconds: for how long the answer has to hold.
	TTL int64 `json:"hathi_ttl_ms,omitempty"`
}

func (q failsafeQuestion) ttl() time.Duration { return time.Duration(q.TTL) * time.Millisecond }
