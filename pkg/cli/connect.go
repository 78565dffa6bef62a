package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/dcs/etcd"
	"github.com/hathi-ha/hathi/pkg/keypair"
)

// open reads the configuration and makes the clients. It does not speak to etcd yet: the command's first
// read does, and says so if it can't, after etcd.DefaultTimeout at most.
func (e *env) open(ctx context.Context) (*session, error) {
	cfg, err := e.configuration()
	if err != nil {
		return nil, err
	}
	if cfg.Etcd.Section == "" {
		e.hint("%s", e.searched())
		return nil, noStore()
	}
	secure, err := restTLS(cfg.Ctl, e.global.insecure)
	if err != nil {
		return nil, err
	}
	client, err := etcd.Open(ctx, etcdOptions(cfg))
	if err != nil {
		return nil, err
	}
	var api string
	if !cfg.RestAPI.ConnectAddress.IsZero() {
		api = cfg.RestAPI.URL()
	}
	var group *int
	if cfg.Citus != nil {
		group = &cfg.Citus.Group
	}
	return &session{
		plain: e.contract(),
		citus: group, scope: cfg.Scope, api: api, scopes: client.Scopes, close: func() { _ = client.Close() },
		control: &ctl.Control{
			Store: etcdStore{client},
			REST:  ctl.NewHTTP(secure, cfg.Ctl.Auth.Username, cfg.Ctl.Auth.Password.Reveal()),
			Now:   e.now,
			Log:   newLogger(e.err, e.getenv),
		},
	}, nil
}

func noStore() error {
	return worded("Can not find suitable configuration of distributed configuration store\nAvailable implementations: etcd, etcd3")
}

// configuration is what the file, the environment and -d say together.
func (e *env) configuration() (*config.Config, error) {
	path, err := e.findConfig()
	if err != nil {
		return nil, err
	}
	cfg, _, err := config.LoadControl(path, environment())
	if err != nil {
		return nil, wordedBy(err, strings.TrimSpace("Invalid config file "+path))
	}
	url := e.global.dcsURL.value
	if url == "" {
		url = e.getenv("DCS_URL")
	}
	err = cfg.UseDCSURL(url)
	if errors.Is(err, config.ErrOtherStore) {
		e.hint("%v", err)
		return nil, noStore()
	}
	return cfg, err
}

func etcdOptions(cfg *config.Config) etcd.Options {
	c := cfg.Etcd
	return etcd.Options{
		Namespace: cfg.Namespace, Hosts: c.Hosts, SRV: c.SRV, SRVSuffix: c.SRVSuffix, UseProxies: c.UseProxies, Protocol: c.Protocol,
		Username: c.Username, Password: c.Password.Reveal(), CACert: c.CACert, Cert: c.Cert, Key: c.Key,
	}
}

// restTLS is how members' certificates are checked, nil for Go's defaults. Insecure with a client
// certificate still checks the chain, and leaves out the host name only. Source: Patroni 4.1, request.py.
func restTLS(c config.Ctl, insecure bool) (*tls.Config, error) {
	insecure = insecure || c.Insecure
	if !insecure && c.CACert == "" && c.CertFile == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACert != "" {
		pem, err := os.ReadFile(c.CACert)
		if err != nil {
			return nil, fmt.Errorf("read ctl.cacert: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ctl.cacert %s holds no certificate", c.CACert)
		}
	}
	if c.CertFile != "" {
		cert, err := keypair.Load(c.CertFile, c.KeyFile, c.KeyFilePassword.Reveal())
		if err != nil {
			return nil, fmt.Errorf("section ctl: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	if insecure {
		conf.InsecureSkipVerify = true
		if c.CertFile != "" {
			conf.VerifyConnection = keypair.VerifyChain(conf.RootCAs)
		}
	}
	return conf, nil
}

// etcdStore words etcd's failures for users of the commands.
type etcdStore struct{ *etcd.Client }

func (s etcdStore) Snapshot(ctx context.Context, scope string) (v *cluster.View, err error) {
	v, err = s.Client.Snapshot(ctx, scope)
	switch {
	case err == nil:
		return v, nil
	case errors.Is(err, etcd.ErrAuthentication):
		return nil, wordedBy(err, "Etcd authentication failed")
	case errors.Is(err, dcs.ErrNotSent):
		return nil, wordedBy(err, "Can not connect to etcd")
	}
	return nil, wordedBy(err, "Etcd is not responding properly")
}
