package etcd_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a client and one etcd member. While it loses answers, requests still arrive and are
// applied, but nothing comes back; while it is slow, that comes late.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	losing bool
	late   time.Duration
	conns  []net.Conn
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target}
	go p.serve()
	t.Cleanup(func() { l.Close(); p.cut() })
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// lose begins to swallow all answers.
func (p *proxy) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.losing = true
}

// slow lets all answers that begin from now on come so late.
func (p *proxy) slow(late time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.late = late
}

// heal ends that, and the connections in which something was lost.
func (p *proxy) heal() {
	p.mu.Lock()
	p.losing, p.late = false, 0
	p.mu.Unlock()
	p.cut()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (p *proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		go func() { _, _ = io.Copy(server, client); server.Close() }()
		go p.answer(client, server)
	}
}

// answer is the way back.
func (p *proxy) answer(client, server net.Conn) {
	type part struct {
		due  time.Time
		text []byte
	}
	parts := make(chan part, 1<<10)
	go func() {
		for x := range parts {
			time.Sleep(time.Until(x.due)) // that is the fault
			_, _ = client.Write(x.text)
		}
		client.Close()
	}()
	defer close(parts)
	for buf := make([]byte, 32<<10); ; {
		n, err := server.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		losing, due := p.losing, time.Now().Add(p.late)
		p.mu.Unlock()
		if !losing {
			parts <- part{due, bytes.Clone(buf[:n])}
		}
	}
}
