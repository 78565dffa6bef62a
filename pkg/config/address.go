package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Address is host and port; the host without brackets around IPv6. A zero port was not given.
type Address struct {
	Host string
	Port int
}

// IsZero reports whether there is no address.
func (a Address) IsZero() bool { return a == Address{} }

// String gives host:port, with brackets around IPv6; only the host if there is no port.
func (a Address) String() string {
	if a.Port == 0 {
		if strings.Contains(a.Host, ":") {
			return "[" + a.Host + "]"
		}
		return a.Host
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// ParseAddress reads host:port, split at the last colon; without one, port is the default (zero: none). An
// IPv6 address may stand without brackets if a port follows. Source: Patroni 4.1, utils.py, split_host_port.
func ParseAddress(text string, port int) (Address, error) {
	text = strings.TrimSpace(text)
	host, tail := text, ""
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host, tail = text[:i], text[i+1:]
		n, err := strconv.Atoi(tail)
		if err != nil || n < 1 || n > 65535 {
			return Address{}, fmt.Errorf("the port %q is not a number from 1 to 65535", tail)
		}
		port = n
	}
	if strings.Contains(host, ":") || strings.HasPrefix(host, "[") {
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if net.ParseIP(strings.SplitN(host, "%", 2)[0]) == nil {
			return Address{}, fmt.Errorf("%q is not an IPv6 address; write [address]:port", host)
		}
	}
	if host == "" || strings.ContainsAny(host, " \t/@") {
		return Address{}, fmt.Errorf("it has no valid host; write host:port")
	}
	return Address{host, port}, nil
}

// address reads host:port. With a default port of zero and mustPort the port has to be there.
func (s *section) address(name string, port int, mustPort bool) Address {
	t := s.text(name)
	if t == "" {
		return Address{}
	}
	a, err := ParseAddress(t, port)
	if err == nil && mustPort && a.Port == 0 {
		err = fmt.Errorf("it has no port; write host:port")
	}
	if err != nil {
		s.c.fail(s.node.Get(name), s.key(name), "not an address: "+err.Error())
		return Address{}
	}
	return a
}

// listenAddresses reads h1,h2:port: hosts as PostgreSQL's listen_addresses takes them, and one port.
func (s *section) listenAddresses(name string) (hosts string, port int) {
	t := s.text(name)
	if t == "" {
		return "", 0
	}
	parts := strings.Split(t, ",")
	port = 5432
	for i, p := range parts {
		p = strings.TrimSpace(p)
		last := i == len(parts)-1
		if !last && strings.Count(p, ":") < 2 && !strings.HasPrefix(p, "[") {
			if strings.Contains(p, ":") {
				s.c.fail(s.node.Get(name), s.key(name), "one port at the end counts for all hosts; write host1,host2:port")
				return "", 0
			}
			parts[i] = p
			continue
		}
		if !last {
			p = "[" + strings.Trim(p, "[]") + "]"
		}
		a, err := ParseAddress(p, port)
		if err != nil {
			s.c.fail(s.node.Get(name), s.key(name), "not an address: "+err.Error())
			return "", 0
		}
		parts[i], port = a.Host, a.Port
	}
	if len(parts) > 1 && strings.Contains(","+strings.Join(parts, ",")+",", ",*,") {
		s.c.fail(s.node.Get(name), s.key(name), "* must stand alone, it means all addresses already")
		return "", 0
	}
	return strings.Join(parts, ","), port
}
