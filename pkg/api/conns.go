package api

import (
	"net"
	"net/http"
	"sync"
	"time"
)

// maxConns bounds the connections that are open at a time, and with them the memory they cost (about 20
// KiB each). A load balancer's checks and all peers together need a tenth of it.
const maxConns = 256

// conns closes the connection that has been idle for longest when there are too many, so that clients that
// connect and stay silent never keep a health check out. It is safe for concurrent use.
type conns struct {
	limit int

	mu   sync.Mutex
	open map[net.Conn]connState
}

type connState struct {
	idle  bool
	since time.Time
}

// note is the ConnState hook of an http.Server.
func (c *conns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateNew:
		if len(c.open) >= c.limit {
			c.evict(conn)
		}
		c.open[conn] = connState{idle: true, since: time.Now()}
	default:
		c.open[conn] = connState{idle: state == http.StateIdle, since: time.Now()}
	}
}

// evict closes the longest idle connection, or the new one if none is idle. The server notices the end of
// it by itself and calls note.
func (c *conns) evict(newest net.Conn) {
	victim, oldest := newest, time.Time{}
	for conn, s := range c.open {
		if s.idle && (oldest.IsZero() || s.since.Before(oldest)) {
			victim, oldest = conn, s.since
		}
	}
	delete(c.open, victim)
	_ = victim.Close()
}
