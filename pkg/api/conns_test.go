package api

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// accepted makes a pair of connections and gives the server's end of it.
func accepted(t *testing.T, l net.Listener) *net.TCPConn {
	t.Helper()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return server.(*net.TCPConn)
}

// Accepted connections have the options of the listening socket.
func TestSocketOptions(t *testing.T) {
	l, err := Listen(context.Background(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := accepted(t, l).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]struct{ level, option, want int }{
		"keep-alive": {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, "idle": {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 3},
		"interval": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2}, "count": {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		"user timeout": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 10_000}, "no delay": {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		var got int
		var failed error
		if err := raw.Control(func(fd uintptr) { got, failed = unix.GetsockoptInt(int(fd), o.level, o.option) }); err != nil || failed != nil {
			t.Fatal(err, failed)
		}
		if got != o.want {
			t.Errorf("%s is %d, want %d", name, got, o.want)
		}
	}
}

// The longest idle connection makes room; one that is being answered does not.
func TestEviction(t *testing.T) {
	l, err := Listen(context.Background(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newConns(3)
	var list []net.Conn
	for range 5 {
		list = append(list, accepted(t, l))
	}
	closed := func(n int) {
		t.Helper()
		buffer := make([]byte, 1)
		if _, err := list[n].Read(buffer); err == nil { // ends as soon as it is closed
			t.Errorf("connection %d: something to read", n)
		}
	}
	c.note(list[0], http.StateNew)
	c.note(list[1], http.StateNew)
	c.note(list[2], http.StateNew)
	c.note(list[0], http.StateActive)
	c.note(list[3], http.StateNew) // 1 has to go
	closed(1)
	c.note(list[0], http.StateIdle)
	c.note(list[4], http.StateNew) // 2 was idle before 0
	closed(2)
	if len(c.open) != 3 || c.idle.Len() != 3 || c.idle.Front().Value != list[3] {
		t.Errorf("%d open, %d idle", len(c.open), c.idle.Len())
	}
	for _, conn := range list {
		c.note(conn, http.StateClosed)
	}
	if len(c.open) != 0 || c.idle.Len() != 0 {
		t.Errorf("after the end: %d open, %d idle", len(c.open), c.idle.Len())
	}
}

// While there are too many connections, those that have sent nothing, or half a request, are not even begun to be served.
func TestGate(t *testing.T) {
	l, err := Listen(context.Background(), "127.0.0.1:0", -1)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, secure := newConns(1), false
	g := &gate{Listener: l, open: c, secure: func() bool { return secure }, patience: time.Millisecond, seen: make([]byte, 64)}
	const whole = "GET /primary HTTP/1.0\r\n\r\n"
	connect := func(sent string) {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
	}
	next := func(want string) {
		t.Helper()
		time.Sleep(20 * time.Millisecond) // the silence that the gate is about
		conn, err := g.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(2 * time.Second)) // who has sent nothing is the wrong one
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != want {
			t.Errorf("let in who has sent %q, %v; want %q", got, err, want)
		}
	}
	connect("")
	next("") // there is room
	c.note(accepted(t, l), http.StateNew)
	for _, sent := range []string{"", "GET /primary HTTP/1.1\r\nHo", whole} {
		connect(sent)
	}
	next(whole)
	connect(strings.Repeat("x", 64))
	next(strings.Repeat("x", 64)) // a long head is not held against anybody
	secure = true
	connect("\x16\x03\x01")
	next("\x16\x03\x01")
	g.patience = time.Hour
	connect("")
	next("") // it has just come
}
