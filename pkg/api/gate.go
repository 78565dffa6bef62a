package api

import (
	"errors"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a client may have been connected without a request while there are too many of them. Clients send
// theirs with the next packet after they are connected.
const patience = 5 * time.Millisecond

// gate turns silent clients away at once while there are too many connections, without a goroutine for each.
//
// Connections are accepted one after the other. A health check that comes behind thousands of silent ones waits until all of
// them were begun to be served and closed again, and what comes when the kernel's queue is full waits for a second, after
// which it tries again. So the queue must be emptied faster than anybody can fill it: a look at what was received so far
// tells who has sent a request, and the kernel knows how long the others have been there.
type gate struct {
	net.Listener
	open     *conns
	secure   func() bool   // TLS is spoken, so that requests can't be told from other bytes
	patience time.Duration // see the constant
	seen     []byte
}

// Accept gives the next connection that is worth a goroutine.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil || !g.open.full() || !g.silent(c) {
			return c, err
		}
		_ = c.Close()
	}
}

// silent reports whether a client has had the time to send a request and has not done so. What can't be told is not held
// against it.
func (g *gate) silent(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), g.seen, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			n = 0
		case err != nil || n == 0: // it has hung up
			silent = true
			return
		case g.secure() || n == len(g.seen) || headEnd(g.seen[:n]) > 0:
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		silent = err == nil && time.Duration(info.Last_ack_recv)*time.Millisecond >= g.patience
	})
	return silent && err == nil
}
