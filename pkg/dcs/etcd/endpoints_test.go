package etcd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// zone answers for the names it holds.
type zone map[string][]*net.SRV

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	full := "_" + service + "._" + proto + "." + name
	if records, ok := z[full]; ok {
		return full, records, nil
	}
	return "", nil, &net.DNSError{Err: "no such host", Name: full, IsNotFound: true}
}

func TestAddress(t *testing.T) {
	dns := zone{
		"_etcd-client-ssl._tcp.example.org": {{Target: "a.example.org.", Port: 2379}, {Target: "b.example.org.", Port: 12379}},
		"_etcd-x._tcp.example.org":          {{Target: "c.example.org.", Port: 2379}},
		"_etcd-server._tcp.old.org":         {{Target: "d.old.org.", Port: 2380}},
	}
	for _, c := range []struct {
		name    string
		options Options
		want    string
		fixed   bool
	}{
		{"host", Options{Host: "h:1"}, "http://h:1", false},
		{"host without port", Options{Host: "h"}, "http://h:2379", false},
		{"IPv6", Options{Hosts: []string{"::1", "[::1]:5", "[fd00::1]"}}, "http://[::1]:2379 http://[::1]:5 http://[fd00::1]:2379", false},
		{"hosts win over host", Options{Host: "h", Hosts: []string{" a:1 ", "", "b"}, Port: 7, Protocol: "https"}, "https://a:1 https://b:7", false},
		{"use_proxies", Options{Hosts: []string{"a:1"}, UseProxies: true}, "http://a:1", true},
		{"url", Options{URL: "https://h", Host: "x"}, "https://h:2379", false},
		{"proxy wins", Options{Proxy: "http://p:8", URL: "https://h", SRV: "example.org"}, "http://p:8", true},
		{"srv", Options{SRV: "example.org", Host: "x"}, "https://a.example.org:2379 https://b.example.org:12379", false},
		{"srv with suffix", Options{SRV: "example.org", SRVSuffix: "x"}, "http://c.example.org:2379", false},
		{"srv of peers", Options{SRV: "old.org"}, "http://d.old.org:2379", false},
	} {
		a, err := c.options.address(t.Context(), dns)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := strings.Join(a.endpoints, " "); got != c.want || a.fixed != c.fixed {
			t.Errorf("%s: got %s (fixed %v), want %s (fixed %v)", c.name, got, a.fixed, c.want, c.fixed)
		}
	}
}

func TestAddressRefuses(t *testing.T) {
	if _, err := (&Options{}).address(t.Context(), zone{}); !errors.Is(err, ErrNoEndpoint) {
		t.Errorf("nothing: %v", err)
	}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Host: "http://h:2379"}, "option url"},
		{Options{Host: "h:many"}, `"many" is not a port`},
		{Options{Host: "h", Protocol: "ftp"}, `protocol "ftp"`},
		{Options{URL: "h:2379"}, "http://host:2379"},
		{Options{URL: "http://u:geheim@h:x:y"}, "can't be read"},
		{Options{SRV: "nowhere.org"}, "nowhere.org"},
		{Options{Host: "h", Username: "u"}, "username and password"},
	} {
		_, err := c.options.address(t.Context(), zone{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%v: %v, want something with %q", c.options, err, c.want)
		}
	}
}

func TestCredentialsOfTheURLWin(t *testing.T) {
	a, err := (&Options{URL: "http://u:p%40@h", Username: "x", Password: "y"}).address(t.Context(), zone{})
	if err != nil || a.username != "u" || a.password != "p@" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestOptionsDoNotShowThePassword(t *testing.T) {
	o := Options{Host: "h", Username: "u", Password: "geheim", URL: "http://u:geheim@h"}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(format, o); strings.Contains(text, "geheim") {
			t.Errorf("%s shows %s", format, text)
		}
	}
}

func TestMerge(t *testing.T) {
	for _, c := range []struct {
		name       string
		given      []string
		advertised []string
		want       []string
	}{
		{"others are added", []string{"http://a:1"}, []string{"http://c:1", "http://a:1", "http://b:1"}, []string{"http://a:1", "http://b:1", "http://c:1"}},
		{"of use only at home", []string{"http://a:1"}, []string{"http://0.0.0.0:1", "http://[::]:1", "http://127.0.0.1:1", "http://localhost:1", "unix://x", "https://b:1"}, []string{"http://a:1"}},
		{"at home", []string{"http://127.0.0.1:1"}, []string{"http://127.0.0.1:2"}, []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}},
	} {
		if got := merge(c.given, c.advertised); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestTLSFilesThatAreWrong(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{URL: "https://h", CACert: "/does/not/exist"},
		{URL: "https://h", CACert: empty},
		{URL: "https://h", Cert: empty},
		{URL: "https://h", Cert: empty, Key: "/does/not/exist"},
	} {
		if c, err := Open(t.Context(), o); err == nil {
			c.Close()
			t.Errorf("%+v was accepted", o)
		}
	}
}
