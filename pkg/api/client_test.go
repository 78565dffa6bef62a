package api

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// patroni answers every request as Patroni does: HTTP/1.0, no length, connection closed.
func patroni(t *testing.T, body string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 4096)
			_, _ = conn.Read(buffer)
			_, _ = io.WriteString(conn, "HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n"+body)
			_ = conn.Close()
		}
	}()
	return "http://" + l.Addr().String() + "/patroni"
}

func TestAsk(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	own := newWorld()
	members := []cluster.Member{
		{Name: "hathi", APIURL: "http://" + own.start(t, Settings{}) + "/patroni"},
		{Name: "replica", APIURL: patroni(t, `{"role": "replica", "xlog": {"received_location": 5, "replayed_location": 7}, "timeline": 2, `+
			`"tags": {"nofailover": true}, "watchdog_failed": true}`)},
		{Name: "short", APIURL: patroni(t, `{"state": "stopped", "role": "replica"}`)},
		{Name: "garbage", APIURL: patroni(t, `<html>`)},
		{Name: "silent", APIURL: "http://" + silent.Addr().String() + "/patroni"},
		{Name: "none"},
	}
	client, err := NewClient(ClientOptions{Username: "admin", Password: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	got := client.Ask(t.Context(), members)
	if took := time.Since(begun); took > askTimeout+3*time.Second {
		t.Errorf("took %s", took)
	}
	if s := got[0]; !s.Reachable || s.InRecovery || s.Position != 67393056 || s.Timeline != 3 {
		t.Errorf("hathi: %+v", s)
	}
	if s := got[1]; !s.Reachable || !s.InRecovery || s.Position != 7 || s.Timeline != 2 || !s.Tags.NoFailover() || !s.WatchdogFailed {
		t.Errorf("replica: %+v", s)
	}
	for i, want := range []string{"can't be queried", "can't be read", "no answer within", "no api_url"} {
		if s := got[i+2]; s.Reachable || !strings.Contains(s.Error, want) || s.Name != members[i+2].Name {
			t.Errorf("%s: %+v, want %q", members[i+2].Name, s, want)
		}
	}
	if !client.Liveness(t.Context(), members[0]) || client.Liveness(t.Context(), cluster.Member{APIURL: "http://127.0.0.1:1/patroni"}) {
		t.Error("liveness of a living and of an absent member")
	}
}
