package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// config answers GET /config: the stored document, its names in the stored order.
func (s *Server) config() reply {
	view, _ := s.o.Store.Latest()
	switch {
	case view == nil:
		return noView()
	case !isObject(view.Config):
		return failure(http.StatusBadGateway, "the cluster has no valid configuration in etcd (/config)")
	}
	return jsonReply(http.StatusOK, encode(json.RawMessage(view.Config.Raw)))
}

func isObject(d cluster.Document) bool {
	raw := bytes.TrimSpace(d.Raw)
	return d.Present && len(raw) > 0 && raw[0] == '{' && json.Valid(raw)
}

// change gives the document that is to be stored instead of the given one.
type change func(stored []byte) (wanted []byte, changed bool, err error)

func (s *Server) patchConfig(r *http.Request) reply {
	raw, _, refused := body(r, true)
	if refused != nil {
		return *refused
	}
	return s.changeConfig(r, true, func(stored []byte) ([]byte, bool, error) { return s.o.MergePatch(stored, raw) })
}

func (s *Server) putConfig(r *http.Request) reply {
	raw, _, refused := body(r, true)
	if refused != nil {
		return *refused
	}
	var wanted bytes.Buffer
	if err := json.Compact(&wanted, raw); err != nil {
		return failure(http.StatusBadRequest, "body is not valid JSON: %v", err)
	}
	return s.changeConfig(r, false, func(stored []byte) ([]byte, bool, error) {
		var now bytes.Buffer
		same := json.Compact(&now, stored) == nil && bytes.Equal(now.Bytes(), wanted.Bytes())
		return wanted.Bytes(), !same, nil
	})
}

// changeConfig reads, changes and writes /config with compare. A lost race, and a write of which nobody
// knows what became of it, are answered by doing all of it once more: if the write did happen, there is
// nothing left to change.
func (s *Server) changeConfig(r *http.Request, mustExist bool, c change) reply {
	ctx, cancel := detached(r, s.o.Node.Snapshot().Settings.RetryTimeout*2)
	defer cancel()
	for range 2 {
		view, err := s.o.Store.Refresh(ctx)
		if err != nil {
			return failure(http.StatusServiceUnavailable, "the configuration can't be read from etcd: %v", err)
		}
		if mustExist && !isObject(view.Config) {
			return failure(http.StatusServiceUnavailable, "the cluster has no valid configuration in etcd (/config) to change")
		}
		wanted, changed, err := c(view.Config.Raw)
		if err == nil && changed {
			err = s.accept(view.Config, wanted)
		}
		if err != nil {
			return failure(http.StatusBadRequest, "%v", err)
		}
		if changed {
			done, err := s.o.Store.PutConfig(ctx, wanted, view.Config.Revision)
			if err != nil && !errors.Is(err, dcs.ErrMaybe) {
				return failure(http.StatusServiceUnavailable, "the configuration can't be written to etcd: %v", err)
			}
			if err != nil || !done {
				continue
			}
		}
		s.o.Node.Wake()
		return jsonReply(http.StatusOK, encode(json.RawMessage(wanted)))
	}
	return failure(http.StatusConflict, "the configuration was changed by somebody else at the same moment; try again")
}

// accept refuses a change that no member would accept. A mistake that is stored already does not stand in
// the way of another change: a cluster with one must still be able to pause.
func (s *Server) accept(stored cluster.Document, wanted []byte) error {
	err := s.o.Validate(wanted)
	if err == nil || !isObject(stored) {
		return err
	}
	if before := s.o.Validate(stored.Raw); before != nil && before.Error() == err.Error() {
		return nil
	}
	return err
}
