package api

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// network is one entry of the allowlist.
type network = netip.Prefix

// resolveTimeout bounds the look-up of all host names together.
const resolveTimeout = 2 * time.Second

// resolve turns the entries of an allowlist into networks. Those that are of no use are logged and left
// out; a list of which nothing is left allows nobody, for it was meant to keep somebody out.
func (s *Server) resolve(ctx context.Context, entries []string) []network {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	var nets []network
	for _, e := range entries {
		found := lookup(ctx, e)
		if len(found) == 0 {
			s.o.Log.Error("entry of restapi.allowlist can't be resolved and is ignored", "entry", e)
		}
		nets = append(nets, found...)
	}
	return nets
}

// lookup gives the networks of a CIDR range, an address or a host name; nil if there are none.
func lookup(ctx context.Context, entry string) []network {
	if strings.Contains(entry, "/") {
		if p, err := netip.ParsePrefix(entry); err == nil {
			return []network{p.Masked()}
		}
		return nil
	}
	if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
		return []network{single(a)}
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", entry)
	if err != nil {
		return nil
	}
	nets := make([]network, 0, len(addresses))
	for _, a := range addresses {
		nets = append(nets, single(a))
	}
	return nets
}

func single(a netip.Addr) network {
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen())
}

// deny checks, in this order, address, client certificate and credentials of a request that changes
// something. nil lets it pass. Source: Patroni 4.1, api.py, check_access.
func (s *Server) deny(r *http.Request, membersRequired bool) *reply {
	c := s.settings.Load()
	if (len(c.Allowlist) > 0 || c.AllowMembers && membersRequired) && !s.allowed(r, c) {
		return &reply{status: http.StatusForbidden, contentType: "text/html", body: []byte("Access is denied")}
	}
	if c.TLS.verifies() && !clientCertificate(r) {
		return &reply{status: http.StatusForbidden, contentType: "text/html", body: []byte("client certificate required")}
	}
	if c.Username == "" {
		return nil
	}
	given, ok := r.Header["Authorization"]
	if !ok {
		return unauthorized("no auth header received")
	}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Password))
	if subtle.ConstantTimeCompare([]byte(given[0]), []byte(want)) != 1 {
		return unauthorized("not authenticated")
	}
	return nil
}

func unauthorized(why string) *reply {
	a := text(http.StatusUnauthorized, why)
	a.header = map[string]string{"WWW-Authenticate": `Basic realm="Patroni"`}
	return &a
}

// allowed reports whether the client's address is in the allowlist or, if they are allowed, is a member's.
func (s *Server) allowed(r *http.Request, c *Settings) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	address := from.Addr().Unmap().WithZone("")
	for _, n := range c.nets {
		if n.Contains(address) {
			return true
		}
	}
	view, _ := s.o.Store.Latest()
	if !c.AllowMembers || view == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(r.Context(), resolveTimeout)
	defer cancel()
	for _, m := range view.Members {
		u, err := url.Parse(m.APIURL)
		if err != nil || u.Hostname() == "" {
			continue
		}
		for _, n := range lookup(ctx, u.Hostname()) {
			if n.Contains(address) {
				return true
			}
		}
	}
	return false
}
