package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/postgres"
)

// How the configuration reads in the words of the packages that use it.

func postgresConfig(cfg *config.Config, e config.Effective) postgres.Config {
	p := e.Postgres
	c := postgres.Config{
		Scope: cfg.Scope, Name: cfg.Name,
		DataDir: absolute(p.DataDir), ConfigDir: p.ConfigDir, ConfigBaseName: p.ConfigBaseName,
		CustomConf: p.CustomConf, PassFile: passFile(p.PassFile), BinDir: p.BinDir, BinNames: p.BinNames,
		ListenAddresses: p.ListenAddresses, Port: p.Port, Database: p.Database,
		UseUnixSocket: p.UseUnixSocket, KerberosService: p.KerberosName,
		Superuser: credentials(p.Superuser), Replication: credentials(p.Replication), Rewind: credentials(p.Rewind),
		Parameters: withRetryInterval(parameters(p.Parameters)), Controlled: parameters(e.Controlled), Recovery: parameters(p.Recovery),
		HBA: p.PgHBA, Ident: p.PgIdent,
		UseSlots: e.Settings.UseSlots, UsePgRewind: p.UsePgRewind, StartTimeout: p.PgCtlTimeout,
		BootstrapMethod: method(cfg.Bootstrap.Method), ReplicaMethods: methods(p.CreateReplicaMethods),
		InitdbArgs: cfg.Bootstrap.Initdb, BasebackupArgs: p.Basebackup,
		BootstrapHBA: cfg.Bootstrap.PgHBA, PostBootstrap: cfg.Bootstrap.PostBootstrap,
		PrePromote: p.PrePromote, BeforeStop: p.BeforeStop, Callbacks: p.Callbacks,
	}
	if s := e.Settings.StandbyCluster; s != nil {
		followRemote(&c, s)
		return c
	}
	for _, s := range e.Settings.PermanentSlots {
		c.LogicalSlots = c.LogicalSlots || s.Logical && c.UseSlots && !cfg.Tags.NoStream()
	}
	return c
}

// followRemote adds what a standby cluster's recovery needs: the archive for all its servers, the delay only for
// the one that follows the remote server. Later parameters win over earlier ones of the same name.
func followRemote(c *postgres.Config, s *cluster.StandbyCluster) {
	c.Recovery = slices.Clone(c.Recovery)
	for _, p := range []postgres.Parameter{{Name: "restore_command", Value: s.RestoreCommand}, {Name: "archive_cleanup_command", Value: s.ArchiveCleanupCommand}} {
		if p.Value != "" {
			c.Recovery = append(c.Recovery, p)
		}
	}
	c.RemoteHost, c.RemoteApplyDelay = s.Host, s.RecoveryMinApplyDelay
}

// major is the major version of the node's database, zero before there is one.
func major(cfg *config.Config) int { return postgres.Version(absolute(cfg.Postgres.DataDir)) / 10000 }

func method(m config.Method) postgres.Method {
	return postgres.Method{
		Name: m.Name, Command: m.Command, Args: m.Args, NoParams: m.NoParams, NoLeader: m.NoLeader, KeepData: m.KeepData,
		KeepRecoveryConf: m.KeepRecoveryConf, RecoveryConf: parameters(m.RecoveryConf),
	}
}

func methods(list []config.Method) []postgres.Method {
	out := make([]postgres.Method, len(list))
	for i, m := range list {
		out[i] = method(m)
	}
	return out
}

// withRetryInterval lets replicas look for their upstream every second instead of every five, unless the user
// has said otherwise: nothing tells a WAL receiver that its upstream is back.
func withRetryInterval(list []postgres.Parameter) []postgres.Parameter {
	const name = "wal_retrieve_retry_interval"
	for _, p := range list {
		if p.Name == name {
			return list
		}
	}
	return append(list, postgres.Parameter{Name: name, Value: "1s"})
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// passFile is where the passwords of primary_conninfo go. Source: Patroni 4.1, postgresql/config.py: pgpass,
// by default the file pgpass (without a dot) in the home directory.
func passFile(path string) string {
	if path == "" {
		if home, err := os.UserHomeDir(); err == nil {
			path = filepath.Join(home, "pgpass")
		}
	}
	return absolute(path)
}

func credentials(c config.Credentials) postgres.Credentials {
	return postgres.Credentials{Username: c.Username, Password: postgres.Secret(c.Password.Reveal()), TLS: parameters(c.Options)}
}

func parameters(list []config.Parameter) []postgres.Parameter {
	out := make([]postgres.Parameter, len(list))
	for i, p := range list {
		out[i] = postgres.Parameter{Name: p.Name, Value: p.Value}
	}
	return out
}

func apiSettings(cfg *config.Config) api.Settings {
	r := cfg.RestAPI
	headers := map[string]string{}
	for k, v := range r.HTTPExtraHeaders {
		headers[k] = v
	}
	if r.CertFile != "" {
		for k, v := range r.HTTPSExtraHeaders {
			headers[k] = v
		}
	}
	return api.Settings{
		Username: r.Auth.Username, Password: r.Auth.Password.Reveal(),
		Allowlist: r.Allowlist, AllowMembers: r.AllowlistIncludeMembers, Headers: headers, ServerTokens: r.ServerTokens,
		TLS: api.TLS{
			CertFile: r.CertFile, KeyFile: r.KeyFile, KeyPassword: r.KeyFilePassword.Reveal(),
			CAFile: r.CAFile, Ciphers: r.Ciphers, VerifyClient: r.VerifyClient,
		},
	}
}

func peerOptions(cfg *config.Config) api.ClientOptions {
	return api.ClientOptions{
		Username: cfg.Ctl.Auth.Username, Password: cfg.Ctl.Auth.Password.Reveal(),
		CertFile: cfg.Ctl.CertFile, KeyFile: cfg.Ctl.KeyFile, KeyPassword: cfg.Ctl.KeyFilePassword.Reveal(), CAFile: cfg.Ctl.CACert, Version: Version,
	}
}

// published is what the member key says out of the configuration.
func published(cfg *config.Config, e config.Effective) agent.Published {
	p := agent.Published{
		Tags: cfg.PublishedTags(), ConnURL: connURL(e.Postgres, e.Postgres.ConnectAddress), APIURL: cfg.RestAPI.URL(),
		QuietHeartbeat: cfg.Log.Deduplicate,
	}
	if !e.Postgres.ProxyAddress.IsZero() {
		p.ProxyURL = connURL(e.Postgres, e.Postgres.ProxyAddress)
	}
	return p
}

// connURL is what a member publishes as conn_url: the address that others connect to, without credentials.
func connURL(p config.Postgres, address config.Address) string {
	if address.IsZero() {
		host, _, _ := strings.Cut(p.ListenAddresses, ",")
		switch host {
		case "", "*", "0.0.0.0", "127.0.0.1":
			host = "localhost"
		}
		address = config.Address{Host: host, Port: p.Port}
	}
	return fmt.Sprintf("postgres://%s/%s", address, p.Database)
}
