package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const defaultPort = 2379

// address is where the options lead to.
type address struct {
	endpoints          []string // URLs, all of one scheme
	username, password string
	fixed              bool // members must not be discovered
}

func (a *address) secure() bool { return strings.HasPrefix(a.endpoints[0], "https://") }

// resolver looks names up; net.DefaultResolver in production.
type resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

func (o *Options) address(ctx context.Context, dns resolver) (*address, error) {
	a := &address{username: o.Username, password: o.Password, fixed: o.UseProxies || o.Proxy != ""}
	var err error
	switch {
	case o.Proxy != "":
		err = a.fromURL(o.Proxy, o.port())
	case o.SRV != "":
		err = a.fromSRV(ctx, dns, o.SRV, o.SRVSuffix)
	case o.URL != "":
		err = a.fromURL(o.URL, o.port())
	case len(o.Hosts) > 0:
		err = a.fromHosts(o.Hosts, o.Protocol, o.port())
	case o.Host != "":
		err = a.fromHosts([]string{o.Host}, o.Protocol, o.port())
	}
	if err != nil {
		return nil, err
	}
	if len(a.endpoints) == 0 {
		return nil, ErrNoEndpoint
	}
	if (a.username == "") != (a.password == "") {
		return nil, errors.New("etcd: username and password are needed both or not at all")
	}
	return a, nil
}

func (o *Options) port() int {
	if o.Port == 0 {
		return defaultPort
	}
	return o.Port
}

func (a *address) fromURL(text string, port int) error {
	u, err := url.Parse(text)
	if err != nil {
		// The text of the error would show the password that the URL may hold.
		return errors.New("etcd: the URL can't be read; it looks like http://host:2379")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("etcd: URL %q: it must look like http://host:2379 or https://host:2379", u.Redacted())
	}
	if u.User != nil {
		a.username = u.User.Username()
		a.password, _ = u.User.Password()
	}
	hostport := u.Host
	if u.Port() == "" {
		hostport = net.JoinHostPort(u.Hostname(), strconv.Itoa(port))
	}
	a.endpoints = []string{u.Scheme + "://" + hostport}
	return nil
}

func (a *address) fromHosts(hosts []string, protocol string, port int) error {
	if protocol == "" {
		protocol = "http"
	}
	if protocol != "http" && protocol != "https" {
		return fmt.Errorf("etcd: protocol %q: it must be http or https", protocol)
	}
	for _, text := range hosts {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		hostport, err := withPort(text, port)
		if err != nil {
			return err
		}
		a.endpoints = append(a.endpoints, protocol+"://"+hostport)
	}
	return nil
}

// withPort adds the port to a host that has none; IPv6 addresses may stand with or without brackets.
func withPort(text string, port int) (string, error) {
	if strings.Contains(text, "://") || strings.Contains(text, "/") {
		return "", fmt.Errorf("etcd: host %q: it must be host:port; a URL belongs into the option url", text)
	}
	host, given, err := net.SplitHostPort(text)
	if err != nil {
		return net.JoinHostPort(strings.Trim(text, "[]"), strconv.Itoa(port)), nil
	}
	if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("etcd: host %q: %q is not a port", text, given)
	}
	return net.JoinHostPort(host, given), nil
}

// srvNames are tried in this order; the first that has records wins. Source: Patroni 4.1, dcs/etcd.py,
// _get_machines_list_from_srv.
var srvNames = []struct {
	service, scheme string
	peers           bool
}{
	{"etcd-client-ssl", "https", false},
	{"etcd-client", "http", false},
	{"etcd-ssl", "https", false},
	{"etcd", "http", false},
	{"etcd-server-ssl", "https", true},
	{"etcd-server", "http", true},
}

func (a *address) fromSRV(ctx context.Context, dns resolver, domain, suffix string) error {
	var last error
	for _, n := range srvNames {
		service := n.service
		if suffix != "" {
			service += "-" + suffix
		}
		_, records, err := dns.LookupSRV(ctx, service, "tcp", domain)
		if err != nil || len(records) == 0 {
			last = err
			continue
		}
		for _, r := range records {
			port := int(r.Port)
			if n.peers {
				// These name the ports of peers. Asking them for the clients' would need their own TLS setup; the
				// hosts are the same and the default port nearly always is.
				port = defaultPort
			}
			host := net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(port))
			a.endpoints = append(a.endpoints, n.scheme+"://"+host)
		}
		return nil
	}
	if last == nil {
		last = errors.New("there are no such records")
	}
	return fmt.Errorf("etcd: look up SRV records of %q: %w", domain, last)
}

// merge adds the URLs that members advertise to the given endpoints. They are added and do not replace
// them, for what a member advertises may be of use only where it runs: other schemes, unspecified
// addresses, and loopback ones unless the configuration has one itself, are left out.
func merge(given, advertised []string) []string {
	merged := slices.Clone(given)
	loopback := slices.ContainsFunc(given, func(e string) bool { return isLoopback(hostOf(e)) })
	scheme, _, _ := strings.Cut(given[0], "://")
	for _, e := range slices.Sorted(slices.Values(advertised)) {
		host := hostOf(e)
		ip := net.ParseIP(host)
		switch {
		case host == "", !strings.HasPrefix(e, scheme+"://"), slices.Contains(merged, e):
		case ip != nil && ip.IsUnspecified():
		case isLoopback(host) && !loopback:
		default:
			merged = append(merged, e)
		}
	}
	return merged
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
