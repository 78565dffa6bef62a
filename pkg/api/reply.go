package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// reply is what a handler answers; the router writes it.
type reply struct {
	status      int
	contentType string // empty: a status line only
	body        []byte
	header      map[string]string // nil if there is nothing to add
}

// The shapes of answers. Source: Patroni 4.1, api.py; texts really are sent as text/html.
func jsonReply(status int, body []byte) reply {
	return reply{status: status, contentType: "application/json", body: body}
}

func text(status int, body string) reply {
	return reply{status: status, contentType: "text/html", body: []byte(body)}
}

func statusOnly(ok bool) reply {
	if ok {
		return reply{status: http.StatusOK}
	}
	return reply{status: http.StatusServiceUnavailable}
}

// failure answers where Patroni sends an HTML error page; only the status code matters there, so the body
// says what is wrong.
func failure(status int, format string, args ...any) reply {
	return reply{status: status, contentType: "text/plain; charset=utf-8", body: fmt.Appendf(nil, format, args...)}
}

// maxBody is the largest request body that is read; etcd refuses values larger than 1.5 MiB.
const maxBody = 1 << 20

// body reads the JSON object of a request. An optional body that is missing is an empty object; a required
// one must have something in it. With a non-nil reply the request has to be refused before anything is done.
func body(r *http.Request, required bool) (raw []byte, fields object, refused *reply) {
	raw, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, nil, refuse(http.StatusRequestEntityTooLarge, "body is larger than %d bytes", maxBody)
	case err != nil:
		return nil, nil, refuse(http.StatusBadRequest, "could not read the body: %v", err)
	case len(raw) == 0 && !required:
		return nil, object{}, nil
	case len(raw) == 0 && r.Header.Get("Content-Length") == "" && len(r.TransferEncoding) == 0:
		return nil, nil, refuse(http.StatusLengthRequired, "a body with a Content-Length is needed")
	}
	fields, err = decodeObject(raw)
	if err == nil && required && len(fields) == 0 {
		err = errors.New("body is an empty object")
	}
	if err != nil {
		return nil, nil, refuse(http.StatusBadRequest, "%v", err)
	}
	return raw, fields, nil
}

func refuse(status int, format string, args ...any) *reply {
	r := failure(status, format, args...)
	return &r
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, a reply) {
	settings := s.settings.Load()
	h := w.Header()
	h.Set("Server", settings.serverHeader(s.o.Version))
	for name, value := range a.header {
		h[name] = []string{value} // as it is spelt: Patroni's lsn header is lower case
	}
	if a.contentType != "" {
		h.Set("Content-Type", a.contentType)
		for name, value := range settings.Headers {
			h.Add(name, value)
		}
	}
	bodiless := r.Method == http.MethodHead || a.contentType == ""
	if !bodiless || r.Method != http.MethodHead {
		length := len(a.body)
		if bodiless {
			length = 0
		}
		h.Set("Content-Length", fmt.Sprint(length))
	}
	w.WriteHeader(a.status)
	if !bodiless {
		// The client may have gone; what it asked for is done, and there is nobody left to tell.
		_, _ = w.Write(a.body)
	}
}

// serverHeader is the Server header that restapi.server_tokens asks for.
func (c *Settings) serverHeader(version string) string {
	if strings.EqualFold(c.ServerTokens, "productonly") {
		return "hathi"
	}
	return "hathi/" + version
}
