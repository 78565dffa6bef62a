package cli

import (
	"maps"
	"slices"
	"testing"

	"github.com/hathi-ha/hathi/pkg/config"
	hathilog "github.com/hathi-ha/hathi/pkg/log"
)

// read reads a node's configuration with these sections besides what each needs.
func read(t *testing.T, sections string) *config.Config {
	t.Helper()
	cfg, _, err := config.Load("", []string{"PATRONI_CONFIGURATION=" + `scope: shop
name: db1
etcd3: {host: 'e:2379'}
postgresql: {listen: '127.0.0.1:5432', data_dir: /d, authentication: {replication: {username: r}}}
` + sections})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// How the restapi and ctl sections reach the server and the client of other members.
func TestSettingsOfTheAPI(t *testing.T) {
	const rest = `restapi:
  listen: 127.0.0.1:8008
  authentication: {username: a, password: b}
  http_extra_headers: {X-A: plain, X-B: 5}
  https_extra_headers: {X-A: secure}
  keyfile_password: k
  cafile: /ca
`
	plain := apiSettings(read(t, rest))
	if want := map[string]string{"X-A": "plain", "X-B": "5"}; !maps.Equal(plain.Headers, want) {
		t.Errorf("headers over http: %v, want %v", plain.Headers, want)
	}
	secure := apiSettings(read(t, rest+"  certfile: /c\n"))
	if want := map[string]string{"X-A": "secure", "X-B": "5"}; !maps.Equal(secure.Headers, want) {
		t.Errorf("headers over https: %v, want %v", secure.Headers, want)
	}
	if secure.TLS.CertFile != "/c" || secure.TLS.KeyPassword != "k" || secure.Username != "a" || secure.Password != "b" {
		t.Errorf("settings: %+v", secure)
	}
	// What ctl does not say comes from restapi, but for the client certificate.
	if p := peerOptions(read(t, rest+"  certfile: /c\n")); p.Username != "a" || p.Password != "b" || p.CAFile != "/ca" || p.CertFile != "" {
		t.Errorf("without ctl: %+v", p)
	}
	own := rest + "ctl: {authentication: {username: c, password: d}, cacert: /other, certfile: /client, keyfile: /key, keyfile_password: e}\n"
	if p := peerOptions(read(t, own)); p.Username != "c" || p.Password != "d" || p.CAFile != "/other" || p.CertFile != "/client" || p.KeyFile != "/key" || p.KeyPassword != "e" {
		t.Errorf("with ctl: %+v", p)
	}
}

// How the log section reaches the logger.
func TestLogOptions(t *testing.T) {
	const rest = "restapi: {listen: '127.0.0.1:8008'}\n"
	o := logOptions(read(t, rest+`log:
  type: json
  level: warn
  format: [message, {asctime: '@timestamp'}]
  dateformat: '%H'
  static_fields: {app: x}
  dir: /l
  mode: 0640
  file_size: 9
  file_num: 2
  max_queue_size: 7
  loggers: {patroni: DEBUG}
`).Log)
	if !o.JSON || o.Level != "DEBUG" || o.DateFormat != "%H" || o.Static["app"] != "x" || o.Dir != "/l" || o.Mode != 0o640 || o.FileSize != 9 || o.FileNum != 2 || o.Queue != 7 {
		t.Errorf("options: %+v", o)
	}
	if want := []hathilog.Field{{Field: "message", Name: "message"}, {Field: "asctime", Name: "@timestamp"}}; !slices.Equal(o.Fields, want) || o.Format != "" {
		t.Errorf("fields: %v, format %q", o.Fields, o.Format)
	}
	if o := logOptions(read(t, rest+"log: {format: '%(message)s'}\n").Log); o.Format != "%(message)s" || o.Fields != nil || o.Level != "INFO" || o.Mode != 0 {
		t.Errorf("a format as text: %+v", o)
	}
}
