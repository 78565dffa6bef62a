package api

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const failsafeBody = `{"name": "db1", "conn_url": "postgres://a/postgres", "api_url": "http://a/patroni", "slots": {"db2": 77}, "hathi_ttl_ms": 30000}`

// failsafeOn turns failsafe mode on; the agent answers with err.
func failsafeOn(err error) func(*world) {
	return func(w *world) {
		w.snapshot.Settings.FailsafeMode = true
		if err != nil {
			w.err = err
		}
	}
}

// TestFailsafeTellsThePosition: the answer carries the position of the member that promises.
func TestFailsafeTellsThePosition(t *testing.T) {
	w := newWorld()
	failsafeOn(nil)(w)
	got := askOne(t, t.Context(), "http://"+w.start(t, Settings{}), cluster.FailsafeQuestion{Name: "db1", ConnURL: "u", APIURL: "v", TTL: 30 * time.Second})
	if !got.Accepted || got.LSN != 77 || w.called() != "failsafe db1 30s" {
		t.Errorf("answer %+v after %q", got, w.called())
	}
}

// TestFailsafeIsAnsweredBesideOthers: requests that wait for etcd keep others from waiting as well, but no primary from its promises.
func TestFailsafeIsAnsweredBesideOthers(t *testing.T) {
	w := newWorld()
	failsafeOn(nil)(w)
	address, server := w.serve(t, Settings{})
	for range maxOperations {
		server.operations <- struct{}{}
	}
	if a := send(t, address, "POST", "/reload", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("POST /reload: %d, want 503", a.status)
	}
	if a := send(t, address, "POST", "/failsafe", failsafeBody); a.status != http.StatusOK || a.body != failsafeAccepted {
		t.Errorf("POST /failsafe: %d %q", a.status, a.body)
	}
}

// TestFailsafeTimeIsRoundedUp: a promise that is too short by a fraction of a millisecond would not do.
func TestFailsafeTimeIsRoundedUp(t *testing.T) {
	body := ""
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body) // a body that is cut off fails the test below
		body = string(raw)
		_, _ = io.WriteString(rw, "Accepted")
	}))
	defer server.Close()
	askOne(t, t.Context(), server.URL, cluster.FailsafeQuestion{Name: "db1", TTL: time.Second + 1})
	if !strings.Contains(body, `"hathi_ttl_ms":1001`) {
		t.Errorf("body %s", body)
	}
}

// TestFailsafeAnswers: only the one word with status 200 is a promise.
func TestFailsafeAnswers(t *testing.T) {
	for _, c := range []struct {
		name              string
		answer            func(http.ResponseWriter, int)
		accepted, refused bool
	}{
		{"accepted", func(w http.ResponseWriter, _ int) { _, _ = io.WriteString(w, "Accepted") }, true, false},
		{"another word", func(w http.ResponseWriter, _ int) { _, _ = io.WriteString(w, "accepted") }, false, true},
		{"another status", func(w http.ResponseWriter, _ int) { w.WriteHeader(202); _, _ = io.WriteString(w, "Accepted") }, false, true},
		{"a leader", func(w http.ResponseWriter, _ int) { http.Error(w, "Running as a leader", 500) }, false, true},
		{"the second attempt is answered", func(w http.ResponseWriter, n int) {
			if n == 1 {
				panic(http.ErrAbortHandler)
			}
			_, _ = io.WriteString(w, "Accepted")
		}, true, false},
		{"no answer twice", func(http.ResponseWriter, int) { panic(http.ErrAbortHandler) }, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32 // a handler may still run when the client has gone
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				c.answer(w, int(calls.Add(1)))
			}))
			defer server.Close()
			got := askOne(t, t.Context(), server.URL, cluster.FailsafeQuestion{Name: "db1"})
			if got.Accepted != c.accepted || got.Refused != c.refused || !c.accepted && got.Error == "" || calls.Load() > 2 {
				t.Errorf("%+v after %d calls", got, calls.Load())
			}
		})
	}
}

// TestFailsafeIsBounded: a member that says nothing does not hold the round up.
func TestFailsafeIsBounded(t *testing.T) {
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	defer server.Close()
	defer close(held)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := askOne(t, ctx, server.URL, cluster.FailsafeQuestion{Name: "db1"}); got.Accepted || got.Refused || got.Error == "" {
		t.Errorf("%+v", got)
	}
}

func askOne(t *testing.T, ctx context.Context, url string, q cluster.FailsafeQuestion) cluster.FailsafeAnswer {
	t.Helper()
	client, err := NewClient(ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answers := client.AskFailsafe(ctx, map[string]string{"db2": url + "/patroni"}, q)
	if len(answers) != 1 || answers[0].Name != "db2" {
		t.Fatalf("answers %+v", answers)
	}
	return answers[0]
}
