package config

import (
	"net/url"
	"strconv"
	"strings"
)

// Etcd is the etcd3 or etcd section. In both cases the v3 API is spoken.
type Etcd struct {
	Section string // etcd3 or etcd; empty: none was given

	// Hosts are host:port, without scheme. Protocol and these are also filled from URL or Proxy, if given.
	Hosts      []string
	Protocol   string // http or https
	SRV        string // domain for discovery by DNS; wins over Hosts
	SRVSuffix  string
	UseProxies bool // use the configured endpoints only

	Username          string
	Password          Secret
	CACert, Cert, Key string
}

// Endpoints gives the configured endpoints as URLs.
func (e Etcd) Endpoints() []string {
	urls := make([]string, len(e.Hosts))
	for i, h := range e.Hosts {
		urls[i] = e.Protocol + "://" + h
	}
	return urls
}

// decodeStore finds the section of the store. Two are one too many, none or a foreign one is a mistake when
// the agent is to run.
func decodeStore(root *section, run bool) Etcd {
	etcd3, etcd := root.get("etcd3"), root.get("etcd")
	foreign := ""
	for _, name := range otherStores {
		if n := root.get(name); n != nil {
			foreign = name
			if run && etcd3 == nil && etcd == nil {
				root.c.fail(n, name, "Can not find suitable configuration of distributed configuration store: hathi does not support "+name+"; it needs an etcd3 section")
			} else if run {
				root.c.warn(n, name, "ignored: hathi uses etcd")
			}
		}
	}
	switch {
	case etcd3 != nil && etcd != nil:
		root.c.warn(etcd, "etcd", "ignored: there is an etcd3 section too, and that one counts")
		return decodeEtcd(root.sub("etcd3"))
	case etcd3 != nil:
		return decodeEtcd(root.sub("etcd3"))
	case etcd != nil:
		return decodeEtcd(root.sub("etcd"))
	case run && foreign == "":
		root.c.errors = append(root.c.errors, Problem{
			Where: root.node.where(), Key: "etcd3",
			Text: "Can not find suitable configuration of distributed configuration store: add an etcd3 section with host or hosts",
		})
	}
	return Etcd{}
}

func decodeEtcd(s *section) Etcd {
	e := Etcd{
		Section: s.path, SRVSuffix: s.text("srv_suffix"), UseProxies: s.boolean("use_proxies", false),
		Protocol: s.choice("protocol", "http", "http", "https"), Username: s.text("username"), Password: s.secret("password"),
		CACert: s.text("cacert"), Cert: s.text("cert"), Key: s.text("key"),
	}
	for _, name := range []string{"srv", "discovery_srv", "srv_domain"} {
		if t := s.text(name); t != "" && e.SRV == "" {
			e.SRV = t
		}
	}
	port := s.integer("port", 2379, 1)
	hosts, host := s.etcdHosts("hosts", int(port)), s.etcdHosts("host", int(port))
	e.Hosts = host
	if len(hosts) > 0 {
		e.Hosts = hosts
	}
	s.etcdURL("url", &e, len(hosts) == 0 && e.SRV == "")
	if s.text("proxy") != "" {
		s.etcdURL("proxy", &e, true)
		e.UseProxies, e.SRV = true, ""
	}
	s.done()
	if len(e.Hosts) == 0 && e.SRV == "" && len(s.c.errors) == 0 {
		s.c.errors = append(s.c.errors, Problem{Where: s.node.where(), Key: s.path, Text: "names no endpoint; add host, hosts, url, proxy or srv"})
	}
	return e
}

// etcdHosts reads a list, or a text with commas, of host:port.
func (s *section) etcdHosts(name string, port int) []string {
	var out []string
	for _, item := range s.strings(name) {
		for text := range strings.SplitSeq(item, ",") {
			if text = strings.TrimSpace(text); text == "" {
				continue
			}
			a, err := ParseAddress(text, port)
			if err != nil {
				why := err.Error()
				if strings.Contains(text, "://") {
					why = "a URL belongs into url; here write host:port, and https into protocol"
				}
				s.c.fail(s.node.Get(name), s.key(name), "not an address: "+why)
				continue
			}
			out = append(out, a.String())
		}
	}
	return out
}

// etcdURL reads an endpoint with its scheme and credentials, which overrule those of other keys: a URL
// without credentials means none, but then what was configured beside it is kept (Patroni drops it).
func (s *section) etcdURL(name string, e *Etcd, use bool) {
	t := s.text(name)
	if t == "" {
		return
	}
	u, err := url.Parse(t)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		s.c.fail(s.node.Get(name), s.key(name), "not a URL; write http://host:port or https://host:port")
		return
	}
	if !use {
		return
	}
	port := 2379
	if n, err := strconv.Atoi(u.Port()); err == nil {
		port = n
	}
	e.Protocol, e.Hosts = u.Scheme, []string{Address{u.Hostname(), port}.String()}
	if u.User != nil {
		password, _ := u.User.Password()
		e.Username, e.Password = u.User.Username(), NewSecret(password)
	}
}
