package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// restart answers POST /restart: now, and then when it is done, or at the scheduled time.
func (s *Server) restart(r *http.Request) reply {
	_, fields, refused := body(r, false)
	if refused != nil {
		return *refused
	}
	settings := s.o.Node.Snapshot().Settings
	if _, planned := fields.get("schedule"); planned && settings.Pause {
		return text(http.StatusInternalServerError, "Can't schedule restart in the paused state")
	}
	req, at, refused := s.restartRequest(fields)
	if refused != nil {
		return *refused
	}
	if !at.IsZero() {
		return s.planRestart(req, at)
	}
	limit := req.Timeout
	if limit == 0 {
		limit = settings.PrimaryStartTimeout
	}
	// Beside the start there is the stop before it, which the agent bounds; this only bounds the answer.
	ctx, cancel := detached(r, limit+max(time.Minute, 2*settings.LoopWait))
	defer cancel()
	return s.restartReply(s.o.Node.Restart(ctx, req))
}

func (s *Server) restartReply(err error) reply {
	var busy BusyError
	switch {
	case err == nil:
		return text(http.StatusOK, "restarted successfully")
	case errors.As(err, &busy), errors.Is(err, ErrConditions), errors.Is(err, ErrStillStarting):
		return text(http.StatusServiceUnavailable, shortest(err))
	case errors.Is(err, context.DeadlineExceeded):
		return text(http.StatusServiceUnavailable, ErrStillStarting.Error())
	}
	if err != ErrRestartFailed { // of that alone the agent has logged the cause
		s.o.Log.Warn("restart failed", "error", err)
	}
	return text(http.StatusServiceUnavailable, ErrRestartFailed.Error())
}

// shortest gives the text of the contract without what was wrapped around it.
func shortest(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

func (s *Server) planRestart(req RestartRequest, at time.Time) reply {
	planned := cluster.ScheduledRestart{
		Schedule: cluster.FormatISO(at), Role: req.Role, PostgresVersion: req.PostgresVersion,
		RestartPending: req.RestartPending, TimeoutSeconds: int(req.Timeout / time.Second),
	}
	switch err := s.o.Node.ScheduleRestart(planned, at); {
	case errors.Is(err, ErrAlreadyPlanned):
		return text(http.StatusConflict, ErrAlreadyPlanned.Error())
	case err != nil:
		return failure(http.StatusServiceUnavailable, "%v", err)
	}
	return text(http.StatusAccepted, "Restart scheduled")
}

func (s *Server) deleteRestart(*http.Request) reply {
	switch err := s.o.Node.CancelScheduledRestart(); {
	case errors.Is(err, ErrNothingPlanned):
		return text(http.StatusNotFound, ErrNothingPlanned.Error())
	case err != nil:
		return failure(http.StatusServiceUnavailable, "%v", err)
	}
	return text(http.StatusOK, "scheduled restart deleted")
}

// restartRequest reads the fields in the order of the body; the first mistake answers.
func (s *Server) restartRequest(fields object) (req RestartRequest, at time.Time, refused *reply) {
	for _, f := range fields {
		value := fields.decoded(f.name)
		given, isText := value.(string)
		var err error
		switch f.name {
		case "schedule":
			if at, refused = s.schedule(given, "restart"); refused != nil {
				return req, at, refused
			}
		case "role":
			req.Role = given
			if given != string(cluster.RolePrimary) && given != string(cluster.RoleStandbyLeader) && given != string(cluster.RoleReplica) {
				err = errors.New("PostgreSQL role should be either primary, standby_leader, or replica")
			}
		case "postgres_version":
			req.PostgresVersion = given
			if req.VersionNum, err = cluster.ParseVersion(given); !isText {
				err = errors.New("postgres_version must be a string like \"17.2\"")
			}
		case "timeout":
			req.Timeout, err = restartTimeout(value)
		case "restart_pending":
			req.RestartPending = true // being there is the condition, whatever the value
		default:
			//lint:ignore ST1005 wording of the contract
			err = fmt.Errorf("Unknown filter for the scheduled restart: %s", f.name)
		}
		if err != nil {
			a := text(http.StatusBadRequest, err.Error())
			return req, at, &a
		}
	}
	return req, at, nil
}

var timeoutUnits = map[string]float64{"": 1, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}

// maxTimeout keeps a timeout within what can be counted.
const maxTimeout = 365 * 24 * time.Hour

func restartTimeout(value any) (time.Duration, error) {
	var given string
	switch v := value.(type) {
	case json.Number:
		given = v.String()
	case string:
		given = strings.TrimSpace(v)
	}
	digits := strings.TrimRight(given, "abcdefghijklmnopqrstuvwxyz")
	unit, known := timeoutUnits[given[len(digits):]]
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	seconds := math.RoundToEven(n * unit)
	if err != nil || !known || !(seconds > 0) || seconds > maxTimeout.Seconds() {
		//lint:ignore ST1005 wording of the contract
		return 0, errors.New("Timeout should be a positive number of seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}
