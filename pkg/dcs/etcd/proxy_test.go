package etcd_test

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy stands between a client and one etcd member. While it loses answers, requests still arrive and are
// applied, but nothing comes back.
type proxy struct {
	listener net.Listener
	target   string

	mu     sync.Mutex
	losing bool
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

// heal ends that, and the connections in which something was lost.
func (p *proxy) heal() {
	p.mu.Lock()
	p.losing = false
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
		go func() { _, _ = io.Copy(answers{p, client}, server); client.Close() }()
	}
}

// answers is the way back.
type answers struct {
	p *proxy
	w io.Writer
}

func (a answers) Write(b []byte) (int, error) {
	a.p.mu.Lock()
	losing := a.p.losing
	a.p.mu.Unlock()
	if losing {
		return len(b), nil
	}
	return a.w.Write(b)
}
