package ctl_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

func TestHTTPRequest(t *testing.T) {
	var seen string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		seen = strings.Join([]string{r.Method, r.URL.Path, user, password, r.Header.Get("Content-Type"), string(body)}, "|")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "nope")
	}))
	defer server.Close()
	answer, err := ctl.NewHTTP(nil, "u", "p").Do(t.Context(), http.MethodPost, server.URL+"/restart", []byte("{}"))
	if err != nil || answer != (ctl.Answer{Status: 503, Body: "nope"}) {
		t.Errorf("got %+v, %v: every status is an answer", answer, err)
	}
	if want := "POST|/restart|u|p||{}"; seen != want {
		t.Errorf("the server saw %q, want %q", seen, want)
	}
}

// TestHTTPNotSent: only what certainly did not reach the server may be tried in another way.
func TestHTTPNotSent(t *testing.T) {
	dropped := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer dropped.Close()
	plain := httptest.NewTLSServer(http.NotFoundHandler())
	defer plain.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		url     string
		notSent bool
	}{
		"connection refused":         {closed, true},
		"not a URL":                  {"http://%", true},
		"certificate of no known CA": {plain.URL, true},
		"dropped without an answer":  {dropped.URL, false},
	} {
		_, err := ctl.NewHTTP(nil, "", "").Do(t.Context(), http.MethodPost, c.url, nil)
		if err == nil || ctl.WasNotSent(err) != c.notSent {
			t.Errorf("%s: %v, not sent %v, want %v", name, err, ctl.WasNotSent(err), c.notSent)
		}
	}
}
