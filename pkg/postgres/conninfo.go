package postgres

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/postgres/query"
)

// keywords prints libpq keywords and values, with what is special in a value escaped by a backslash. This
// form without quotes is also what Patroni writes. Keywords without a value are left out.
func keywords(list []Parameter) string {
	var words []string
	for _, p := range list {
		if p.Value != "" {
			words = append(words, p.Name+"="+escapeKeyword(p.Value))
		}
	}
	return strings.Join(words, " ")
}

var keywordEscaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, ` `, `\ `)

func escapeKeyword(v string) string { return keywordEscaper.Replace(v) }

// upstreamOf reads where a primary_conninfo leads to; the zero upstream if nowhere, or if it can't be read.
func upstreamOf(conninfo, slot string) cluster.Upstream {
	values, err := query.ParseDSN(conninfo)
	if err != nil || values["host"] == "" {
		return cluster.Upstream{}
	}
	port := values["port"]
	if port == "" {
		port = "5432"
	}
	return cluster.Upstream{Host: values["host"], Port: port, Slot: slot}
}

// privateService is the name of the service by which libpq finds what must not be on a command line, and has no
// variable nor a place in a password file: the password of a client key. See privatePassFile.
const privateService = "hathi"

// remote gives the keywords for a connection to another server, without a password.
func (c Config) remote(cred Credentials, to cluster.Upstream, database string) []Parameter {
	list := []Parameter{
		{"dbname", database},
		{"user", cred.Username},
		{"host", to.Host},
		{"port", to.Port},
	}
	for _, p := range cred.TLS {
		if p.Name == sslPassword && p.Value != "" {
			p = Parameter{"service", privateService}
		}
		list = append(list, p)
	}
	return list
}

// bounded is remote for programs that run for long. The kernel takes two hours to notice that the other end has vanished
// with its machine, and a program that waits for it can't be told from one that works. Now it fails after a minute, as the
// stream of WAL does by wal_sender_timeout: sooner would only throw away what a short break of the network spares.
// Source: PostgreSQL 12, 33.1.2.
func (c Config) bounded(cred Credentials, to cluster.Upstream, database string) []Parameter {
	return append(c.remote(cred, to, database), Parameter{"keepalives_idle", "30"}, Parameter{"keepalives_interval", "10"},
		Parameter{"keepalives_count", "3"}, Parameter{"tcp_user_timeout", "60000"})
}

const sslPassword = "sslpassword"

// keyPassword is the password of the client's key.
func (c Credentials) keyPassword() string {
	for _, p := range c.TLS {
		if p.Name == sslPassword {
			return p.Value
		}
	}
	return ""
}

// primaryConninfo is what a standby connects to its upstream with. The password is in the password file,
// never here: pg_settings shows this text. Source: Patroni 4.1, postgresql/config.py,
// format_dsn and primary_conninfo_params.
func (c Config) primaryConninfo(up cluster.Upstream, version int) string {
	list := []Parameter{{"dbname", c.Database}, {"user", c.Replication.Username}}
	if c.Replication.Password != "" {
		list = append(list, Parameter{"passfile", c.PassFile})
	}
	list = append(list, Parameter{"host", up.Host}, Parameter{"port", up.Port})
	defaults := []Parameter{{"sslmode", "prefer"}, {"gssencmode", "prefer"}, {"channel_binding", "prefer"}, {"sslnegotiation", "postgres"}}
	given := make(map[string]bool)
	for _, p := range c.Replication.TLS {
		given[p.Name] = true
		list = append(list, p)
	}
	list = append(list, Parameter{"application_name", c.Name}, Parameter{"krbsrvname", c.KerberosService})
	for _, p := range defaults {
		if !given[p.Name] {
			list = append(list, p)
		}
	}
	if strings.Contains(up.Host, ",") && up.Slot != "" {
		list = append(list, Parameter{"target_session_attrs", "read-write"})
	}
	return keywords(slices.DeleteFunc(list, func(p Parameter) bool { return !keywordsSince[p.Name].has(version) }))
}

// passLines are the lines of a password file for one server. Source: PostgreSQL 17, 32.16, The Password File.
func passLines(cred Credentials, hosts, port string) string {
	esc := strings.NewReplacer(`\`, `\\`, `:`, `\:`)
	any := func(s string) string {
		if s == "" {
			return "*"
		}
		return esc.Replace(s)
	}
	var b strings.Builder
	ports := strings.Split(port, ",")
	for n, host := range strings.Split(hosts, ",") {
		p := ports[min(n, len(ports)-1)]
		names := []string{host}
		if strings.HasPrefix(host, "/") {
			names = append(names, "localhost") // the library looks the default socket directory up under this name
		}
		for _, name := range names {
			fmt.Fprintf(&b, "%s:%s:*:%s:%s\n", any(name), any(p), any(cred.Username), esc.Replace(string(cred.Password)))
		}
	}
	return b.String()
}

// writePassFile writes the password file that primary_conninfo names.
func (c Config) writePassFile(up cluster.Upstream) error {
	if c.Replication.Password == "" || up.Host == "" {
		return nil
	}
	_, err := writeFile(c.PassFile, []byte(passLines(c.Replication, up.Host, up.Port)), 0o600)
	return err
}

// privatePassFile writes a password file for one run of one program, so that the shared one stays what
// primary_conninfo needs, and a service file if the client's key has a password. It gives the environment that names
// them, and a function that removes them. Source: PostgreSQL 17, 32.17, The Connection Service File.
func privatePassFile(cred Credentials, host, port string) (env []string, remove func(), err error) {
	key := cred.keyPassword()
	if cred.Password == "" && key == "" {
		return nil, func() {}, nil
	}
	dir, err := os.MkdirTemp("", "hathi-pass-") // mode 0700
	if err != nil {
		return nil, nil, fmt.Errorf("create a place for the password file: %w", err)
	}
	remove = func() { os.RemoveAll(dir) }
	for _, f := range []struct{ secret, variable, name, content string }{
		{string(cred.Password), "PGPASSFILE", "pgpass", passLines(cred, host, port)},
		{key, "PGSERVICEFILE", "pg_service.conf", "[" + privateService + "]\n" + sslPassword + "=" + key + "\n"},
	} {
		if f.secret == "" {
			continue
		}
		path := filepath.Join(dir, f.name)
		if err := os.WriteFile(path, []byte(f.content), 0o600); err != nil {
			remove()
			return nil, nil, fmt.Errorf("write password file: %w", err)
		}
		env = append(env, f.variable+"="+path)
	}
	return env, remove, nil
}

// quoteConf quotes a value for postgresql.conf, in which a string ends with its line.
// Source: PostgreSQL 17, 19.1.2, and src/backend/utils/misc/guc-file.l, DeescapeQuotedString.
func quoteConf(v string) string { return "'" + confEscapes.Replace(v) + "'" }

// unquoteConf undoes quoteConf.
func unquoteConf(v string) string { return confPlain.Replace(strings.TrimSuffix(v, "'")) }

var (
	confEscapes = strings.NewReplacer(`'`, `''`, `\`, `\\`, "\n", `\n`, "\r", `\r`)
	confPlain   = strings.NewReplacer(`''`, `'`, `\\`, `\`, `\n`, "\n", `\r`, "\r")
)

func portText(port int) string { return strconv.Itoa(port) }
