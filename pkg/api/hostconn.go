package api

import (
	"bytes"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
)

// hostListener gives connections on which an HTTP/1.1 request without a Host header is answered. HAProxy's
// `option httpchk GET /replica HTTP/1.1` sends such, and net/http refuses them.
type hostListener struct{ net.Listener }

func (l hostListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &hostConn{Conn: c}, nil
}

// maxHead is the largest request head, in bytes.
const maxHead = 32 << 10

// hostConn adds an empty Host header to request heads that have none. It follows the framing of requests on
// the connection (Content-Length) to find the heads; from the first request with another framing on, bytes
// pass as they are. Adding that header is all it ever does, so the worst that a deliberately wrong framing
// can achieve is a spoilt request of the sender's own. Reads belong to one goroutine at a time, as net/http
// does it.
type hostConn struct {
	net.Conn
	in   []byte // received, framing not known yet
	out  []byte // to be handed out
	body int64  // bytes of the present request's body that are still to come
	raw  bool   // no more framing
}

// Read hands out what was received, head by head. A timeout in the middle of a head loses nothing: net/http
// interrupts its background read that way and reads on later.
func (c *hostConn) Read(p []byte) (int, error) {
	for {
		switch {
		case len(p) == 0:
			return 0, nil
		case len(c.out) > 0:
			n := copy(p, c.out)
			c.out = c.out[n:]
			return n, nil
		case len(c.in) > 0 && c.frame():
			continue
		case len(c.in) == 0 && (c.raw || c.body > 0):
			return c.pass(p)
		}
		if err := c.fill(); err != nil {
			return 0, err
		}
	}
}

// pass reads what needs no framing straight into p.
func (c *hostConn) pass(p []byte) (int, error) {
	if !c.raw {
		p = p[:min(int64(len(p)), c.body)]
	}
	n, err := c.Conn.Read(p)
	if !c.raw {
		c.body -= int64(n)
	}
	return n, err
}

// fill reads more of a head. At the end of the connection what there is of it is handed out.
func (c *hostConn) fill() error {
	c.in = slices.Grow(c.in, 1024)
	n, err := c.Conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) || len(c.in) == 0 {
		if n > 0 {
			return nil
		}
		return err
	}
	c.raw = true
	return nil
}

// frame moves what is understood from in to out; false if more has to be received for that.
func (c *hostConn) frame() bool {
	take := len(c.in)
	switch {
	case c.raw:
	case c.body > 0:
		take = int(min(int64(take), c.body))
		c.body -= int64(take)
	default:
		end := headEnd(c.in)
		if end == 0 {
			if len(c.in) <= maxHead {
				return false
			}
			c.raw = true // net/http refuses it for its length
			break
		}
		c.out = withHost(c.in[:end:end])
		c.rest(end)
		if c.body = bodyLength(c.out); c.body < 0 {
			c.body, c.raw = 0, true
		}
		return true
	}
	c.out = c.in[:take:take]
	c.rest(take)
	return true
}

func (c *hostConn) rest(from int) {
	if c.in = c.in[from:]; len(c.in) == 0 {
		c.in = nil // an idle connection keeps no memory
	}
}

// CloseWrite lets net/http end a refused request without a reset that would eat the answer.
func (c *hostConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// headEnd gives the length of the request head, with its empty line; zero if it is not complete.
func headEnd(b []byte) int {
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch {
		case bytes.HasPrefix(b[from:], []byte("\n")):
			return from + 1
		case bytes.HasPrefix(b[from:], []byte("\r\n")):
			return from + 2
		}
	}
}

func withHost(head []byte) []byte {
	line, headers, _ := bytes.Cut(head, []byte("\n"))
	if !bytes.HasSuffix(bytes.TrimRight(line, "\r"), []byte(" HTTP/1.1")) {
		return head
	}
	if len(values(headers, "host")) > 0 {
		return head
	}
	return slices.Concat(line, []byte("\nHost: \r\n"), headers)
}

// bodyLength gives the length of the body that a head announces, -1 if it can't be told from the head.
func bodyLength(head []byte) int64 {
	_, headers, _ := bytes.Cut(head, []byte("\n"))
	lengths := values(headers, "content-length")
	switch {
	case bytes.HasPrefix(head, []byte("CONNECT ")), len(values(headers, "transfer-encoding")) > 0, len(lengths) > 1:
		return -1
	case len(lengths) == 0:
		return 0
	}
	n, err := strconv.ParseUint(string(lengths[0]), 10, 62)
	if err != nil {
		return -1
	}
	return int64(n)
}

// values gives the values of a header; name in lower case.
func values(headers []byte, name string) [][]byte {
	var found [][]byte
	for line := range bytes.Lines(headers) {
		n, v, ok := bytes.Cut(line, []byte(":"))
		if ok && string(bytes.ToLower(bytes.TrimSpace(n))) == name {
			found = append(found, bytes.TrimSpace(v))
		}
	}
	return found
}
