package etcd

import (
	"errors"
	"fmt"
	"time"
)

// DefaultTimeout bounds one operation of a control command.
const DefaultTimeout = 5 * time.Second

// Options say where etcd is and how to speak to it; the fields are the options of the etcd3 section of
// the configuration. Source: Patroni 4.1, documentation, YAML configuration, Etcdv3.
type Options struct {
	// Namespace is the path under which clusters lie; empty means "service".
	Namespace string

	// One of these is needed. Of several, the first in this order is used: Proxy, SRV, URL, Hosts, Host.
	Proxy string   // URL; no discovery of members
	SRV   string   // DNS domain to look up
	URL   string   // http(s)://[user:password@]host[:port]
	Hosts []string // host:port; the port may be missing
	Host  string   // host:port

	SRVSuffix  string // _etcd-client-<suffix>._tcp.<domain>
	UseProxies bool   // the given endpoints only; no discovery of members
	Protocol   string // http or https for Host and Hosts; empty means http
	Port       int    // where Host, Hosts or URL name none; zero means 2379

	// Username and Password log in to etcd; both or none. Those in URL or Proxy win.
	Username, Password string

	CACert string // file; without it a server's certificate is not verified (as Patroni does)
	Cert   string // file of the client's certificate
	Key    string // file of its key; empty: it is in Cert

	// Timeout bounds each operation of a control command; zero means DefaultTimeout. A Session has its own,
	// see SetTimeouts.
	Timeout time.Duration
}

// ErrNoEndpoint says that the options name no etcd.
var ErrNoEndpoint = errors.New("no etcd endpoint is configured: set one of host, hosts, url, proxy or srv")

// String leaves the password out.
func (o Options) String() string {
	return fmt.Sprintf("etcd{namespace: %s, hosts: %v, host: %s, srv: %s}", o.Namespace, o.Hosts, o.Host, o.SRV)
}

// GoString leaves the password out.
func (o Options) GoString() string { return o.String() }
