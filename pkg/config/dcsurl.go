package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrOtherStore is a URL of a store that Patroni knows and hathi does not.
var ErrOtherStore = errors.New("is not supported")

// UseDCSURL replaces the store by what -d or DCS_URL says: [SCHEME://][HOST][:PORT][/NAMESPACE]. User, password
// and certificates of the configured section are dropped with it. An empty text changes nothing. The words of
// the error are the contract's. Source: Patroni 4.1, ctl.py, parse_dcs.
func (c *Config) UseDCSURL(text string) error {
	if text == "" {
		return nil
	}
	rest, scheme := text, ""
	if before, after, ok := strings.Cut(text, "://"); ok {
		scheme, rest = strings.ToLower(before), after
	}
	hostPort, namespace, _ := strings.Cut(rest, "/")
	host, port, err := splitDCSHost(hostPort)
	if err != nil {
		return fmt.Errorf("DCS url %s: %w", shown(&Node{Kind: String, Text: text}, ""), err)
	}
	if scheme == "" {
		scheme = map[int]string{8500: "consul", 2181: "zookeeper", 8181: "exhibitor"}[port]
		if scheme == "" {
			scheme = "etcd"
		}
	}
	switch scheme {
	case "etcd", "etcd3":
	case "consul", "zookeeper", "exhibitor":
		return fmt.Errorf("%s %w; hathi needs etcd3://host:port", scheme, ErrOtherStore)
	default:
		//lint:ignore ST1005 wording of the contract
		return fmt.Errorf("Unknown dcs scheme: %s", scheme)
	}
	if host == "" {
		host = "localhost"
	}
	if port == 0 {
		port = 2379
	}
	if namespace = strings.Trim(namespace, "/"); namespace != "" {
		c.Namespace = namespace
	}
	c.Etcd = Etcd{Section: scheme, Protocol: "http", Hosts: []string{Address{host, port}.String()}}
	return nil
}

func splitDCSHost(text string) (host string, port int, err error) {
	host = text
	if i := strings.LastIndexByte(text, ':'); i >= 0 && !strings.HasSuffix(text, "]") {
		host = text[:i]
		if text[i+1:] != "" {
			if port, err = strconv.Atoi(text[i+1:]); err != nil || port < 1 || port > 65535 {
				return "", 0, fmt.Errorf("the port is not a number from 1 to 65535")
			}
		}
	}
	return strings.Trim(host, "[]"), port, nil
}
