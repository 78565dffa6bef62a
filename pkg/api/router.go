package api

import (
	"net/http"
	"strings"
	"time"
)

// ServeHTTP finds the handler by method and first path segment; the rest of the path and any number of
// slashes do not matter. There is no 404: an unknown GET is a health check that fails.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
	path, _, _ = strings.Cut(path, ";")
	segment, _, _ := strings.Cut(path[1:], "/")
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		a := s.read(r, segment, path)
		if r.Method == http.MethodOptions {
			a = reply{status: a.status}
		}
		s.write(w, r, a)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		s.write(w, r, s.change(w, r, segment))
	}
}

// read answers a safe request. HEAD and OPTIONS are evaluated like GET.
func (s *Server) read(r *http.Request, segment, path string) reply {
	switch segment {
	case "patroni":
		return s.status(r)
	case "cluster":
		return s.cluster()
	case "history":
		return s.history()
	case "config":
		return s.config()
	case "metrics":
		return s.metrics()
	case "liveness":
		return statusOnly(s.picture().alive())
	case "readiness":
		return s.readiness(r.URL.Query())
	case "failsafe":
		return s.failsafe()
	case "explain":
		return s.explain(r)
	}
	return s.health(r.Method, strings.TrimRight(path, "/"), r.URL.Query())
}

// change answers a request that changes something, after the checks of access.
func (s *Server) change(w http.ResponseWriter, r *http.Request, segment string) reply {
	handler := s.changeHandler(r.Method, segment)
	if handler == nil {
		return failure(http.StatusNotImplemented, "Server does not support this operation: %s /%s", r.Method, segment)
	}
	if refused := s.deny(r, segment != "failsafe"); refused != nil {
		return *refused
	}
	// A question of failsafe mode waits for nothing, and comes just when etcd is away and the others wait for that; any answer but a
	// promise would end the reign of the asker.
	if segment != "failsafe" {
		select {
		case s.operations <- struct{}{}:
			defer func() { <-s.operations }()
		default:
			return failure(http.StatusServiceUnavailable, "%d requests are already waiting for the cluster; try again later", maxOperations)
		}
	}
	// The request has a deadline of its own; the connection's starts when there is an answer to write. An
	// error means that the connection has ended, which must not stop the request.
	deadline := http.NewResponseController(w)
	_ = deadline.SetWriteDeadline(time.Time{})
	a := handler(r)
	_ = deadline.SetWriteDeadline(time.Now().Add(writeTimeout))
	return a
}

func (s *Server) changeHandler(method, segment string) func(*http.Request) reply {
	switch method + " " + segment {
	case "PATCH config":
		return s.patchConfig
	case "PUT config":
		return s.putConfig
	case "POST switchover":
		return s.switchover
	case "POST failover":
		return s.failover
	case "DELETE switchover":
		return s.deleteSwitchover
	case "POST restart":
		return s.restart
	case "DELETE restart":
		return s.deleteRestart
	case "POST reload":
		return s.reload
	case "POST reinitialize":
		return s.reinitialize
	case "POST failsafe":
		return s.postFailsafe
	case "POST sigterm":
		return s.sigterm
	case "POST citus", "POST mpp":
		return s.citus
	}
	return nil
}
