package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listen opens the socket of the REST API. address is host:port as in restapi.listen; an empty host or *
// means all addresses, IPv4 and IPv6. backlog is how many connections may wait to be accepted; negative for as many as
// the kernel allows. An error names the address and what to do.
func Listen(ctx context.Context, address string, backlog int) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("restapi.listen %q: expected <HOST>:<PORT>: %w", address, err)
	}
	if host == "*" {
		host = ""
	}
	// What Go would set on each accepted connection, in four calls of the kernel, those inherit from the socket: a health
	// check waits for all connections that came before it.
	config := net.ListenConfig{KeepAlive: -1, Control: inherited}
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(host, port))
	switch {
	case err == nil:
		return l, setBacklog(l, backlog)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the REST API can't listen on %s (restapi.listen): the port is in use; "+
			"is hathi or Patroni already running on this node? `ss -ltnp 'sport = :%s'` shows who has it; "+
			"stop that or choose another port: %w", address, port, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("the REST API can't listen on %s (restapi.listen): this machine has no such address; "+
			"use one of its own or *:%s: %w", address, port, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("the REST API can't listen on %s (restapi.listen): not permitted; "+
			"choose a port of 1024 or above: %w", address, err)
	}
	return nil, fmt.Errorf("the REST API can't listen on %s (restapi.listen): %w", address, err)
}

// setBacklog listens once more on the same socket, which on Linux only changes the length of its queue.
func setBacklog(l net.Listener, backlog int) error {
	tcp, ok := l.(*net.TCPListener)
	if backlog < 0 || !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return fmt.Errorf("set restapi.request_queue_size: %w", err)
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.Listen(int(fd), backlog) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("set restapi.request_queue_size %d: %w", backlog, err)
	}
	return nil
}

// inherited sets what accepted connections have from the listening socket: the kernel asks silent clients whether they are
// still there, and answers to one that vanished fail after ten seconds. Source: Patroni 4.1, utils.py,
// keepalive_socket_options, as used by api.py.
func inherited(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 3},
			{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2},
			{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 10_000},
		} {
			failed = errors.Join(failed, unix.SetsockoptInt(int(fd), o.level, o.name, o.value))
		}
	})
	return errors.Join(err, failed)
}
