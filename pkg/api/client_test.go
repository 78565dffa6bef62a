package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// patroni answers every request as Patroni does: HTTP/1.0, no length, connection closed.
func patroni(t *testing.T, body string) string {
	t.Helper()
	return "http://" + answering(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.0 503 Service Unavailable\r\nContent-Type: application/json\r\n\r\n"+body)
	}) + "/patroni"
}

// answering lets each client that has sent a request have an answer, and then closes the connection. What came before the
// request would be no answer to it.
func answering(t *testing.T, answer func(net.Conn)) (address string) {
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
			go func() {
				defer func() { _ = conn.Close() }()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					answer(conn)
				}
			}()
		}
	}()
	return l.Addr().String()
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

// dripping answers a byte per second, for ever: of what a member says, or of the lines before.
func dripping(t *testing.T, begin string) (address string) {
	t.Helper()
	return answering(t, func(conn net.Conn) {
		_, err := io.WriteString(conn, begin)
		for tick := time.NewTicker(time.Second); err == nil; <-tick.C {
			_, err = io.WriteString(conn, "x")
		}
	})
}

// TestAskIsBounded: however many members are silent, or speak slowly, a round ends in time, and has the answers of the
// others.
func TestAskIsBounded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	addresses := []string{
		dripping(t, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"), dripping(t, "HTTP/1.1 200 OK\r\nX-Slow: "),
		dripping(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"), dripping(t, ""),
	}
	for range 50 {
		addresses = append(addresses, silent.Addr().String())
	}
	members, urls := []cluster.Member{{Name: "well", APIURL: patroni(t, `{"role": "replica", "xlog": {"received_location": 5}}`)}}, map[string]string{}
	for i, address := range addresses {
		m := cluster.Member{Name: fmt.Sprint(i), APIURL: "http://" + address + "/patroni"}
		members, urls[m.Name] = append(members, m), m.APIURL
	}
	client, err := NewClient(ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for _, s := range client.Ask(t.Context(), members) {
		if s.Reachable != (s.Name == "well") || !s.Reachable && !strings.Contains(s.Error, "no answer within") {
			t.Errorf("%s: %+v", s.Name, s)
		}
	}
	if took := time.Since(begun); took > 2*askTimeout {
		t.Errorf("a round of questions took %s", took)
	}

	begun = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), askTimeout)
	defer cancel()
	answers := client.AskFailsafe(ctx, urls, cluster.FailsafeQuestion{Name: "a"})
	if took := time.Since(begun); took > 2*askTimeout || len(answers) != len(urls) {
		t.Errorf("a round in failsafe mode took %s and has %d answers", took, len(answers))
	}
	for _, a := range answers {
		if a.Accepted {
			t.Errorf("%s: %+v", a.Name, a)
		}
	}
}
