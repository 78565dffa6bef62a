package api

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// maxConns bounds the connections that are open at a time, and with them the memory they cost (about 20
// KiB each). A load balancer's checks and all peers together need a tenth of it.
const maxConns = 256

// conns closes the connection that has been idle for longest when there are too many, so that clients that
// connect and stay silent never keep a health check out. It is safe for concurrent use.
//
// Connections are accepted one after the other (see gate), so nothing here takes longer with more of them, and the closing is
// left to another goroutine.
type conns struct {
	limit int

	mu   sync.Mutex
	open map[net.Conn]*list.Element // nil: a request is being answered
	idle list.List                  // of net.Conn; who is idle for longest comes first
}

func newConns(limit int) *conns {
	return &conns{limit: limit, open: map[net.Conn]*list.Element{}}
}

// note is the ConnState hook of an http.Server.
func (c *conns) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.idle.Remove(e)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		delete(c.open, conn)
	case http.StateNew:
		if len(c.open) >= c.limit {
			c.evict(conn)
		}
		c.open[conn] = c.idle.PushBack(conn)
	case http.StateIdle:
		c.open[conn] = c.idle.PushBack(conn)
	default:
		c.open[conn] = nil
	}
}

// full reports whether another connection makes one too many.
func (c *conns) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.open) >= c.limit
}

// evict closes the longest idle connection, or the new one if none is idle. The server notices the end of
// it by itself and calls note.
func (c *conns) evict(newest net.Conn) {
	victim := newest
	if e := c.idle.Front(); e != nil {
		victim = c.idle.Remove(e).(net.Conn)
	}
	delete(c.open, victim)
	go func() { _ = victim.Close() }()
}
