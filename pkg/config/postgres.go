package config

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// credentialKeys are the keys of one section of postgresql.authentication.
var credentialKeys = []string{
	"username", "password", "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslcrldir",
	"gssencmode", "channel_binding", "sslnegotiation",
}

// CredentialOptions are the keywords of libpq, besides name and password, that a section of postgresql.authentication may
// have.
func CredentialOptions() []string { return slices.Clone(credentialKeys[2:]) }

// localOnly are the keys of postgresql that the cluster's configuration can't set.
var localOnly = []string{"connect_address", "proxy_address", "listen", "config_dir", "data_dir", "pgpass", "authentication", "name"}

var callbackNames = []string{"on_start", "on_stop", "on_restart", "on_reload", "on_role_change"}

// programs are those that bin_name can rename.
var programs = []string{"pg_ctl", "initdb", "pg_controldata", "pg_basebackup", "postgres", "pg_isready", "pg_rewind", "pg_waldump"}

// modernPostgres turns the old form without postgresql.authentication into today's.
// Source: Patroni 4.1, config.py, _build_effective_configuration.
func modernPostgres(n *Node) *Node {
	if n.null() || n.Kind != Map || n.Get("authentication") != nil {
		return n
	}
	auth := &Node{Kind: Map, file: n.file, line: n.line}
	for _, user := range []string{"replication", "superuser"} {
		if old := n.Get(user); old.truthy() && old.Kind == Map {
			auth, n = auth.with(user, old), n.with(user, nil)
		}
	}
	if old := n.Get("pg_rewind"); old.truthy() && old.Kind == Map {
		if auth.Get("superuser") == nil {
			auth = auth.with("superuser", old)
		}
		n = n.with("pg_rewind", nil).with("use_pg_rewind", boolNode(true, old.file))
	}
	if len(auth.Entries) == 0 {
		return n
	}
	return n.with("authentication", auth)
}

// decodePostgres reads a postgresql section, local or merged. local: warn about keys that have no effect in a
// file.
func decodePostgres(s *section, local bool) Postgres {
	p := Postgres{
		ConnectAddress: s.address("connect_address", 5432, false), ProxyAddress: s.address("proxy_address", 5432, false),
		DataDir: s.text("data_dir"), ConfigDir: s.text("config_dir"), ConfigBaseName: s.textOr("config_base_name", "postgresql"),
		CustomConf: s.text("custom_conf"), BinDir: s.text("bin_dir"), PassFile: s.text("pgpass"),
		Database: s.textOr("database", "postgres"), KerberosName: s.text("krbsrvname"),
		PgHBA: s.strings("pg_hba"), PgIdent: s.strings("pg_ident"), Parameters: s.parameters("parameters"), Recovery: s.parameters("recovery_conf"),
		UseUnixSocket: s.boolean("use_unix_socket", false), UseUnixSocketRepl: s.boolean("use_unix_socket_repl", false),
		UsePgRewind:         s.boolean("use_pg_rewind", false),
		RemoveOnRewindError: s.boolean("remove_data_directory_on_rewind_failure", false),
		RemoveOnDivergence:  s.boolean("remove_data_directory_on_diverged_timelines", false),
		PrePromote:          s.text("pre_promote"), BeforeStop: s.text("before_stop"),
	}
	p.ListenAddresses, p.Port = s.listenAddresses("listen")
	p.PgCtlTimeout = s.duration("pg_ctl_timeout", 60*time.Second)
	names := s.sub("bin_name")
	p.BinNames = map[string]string{}
	for _, program := range programs {
		if t := names.text(program); t != "" {
			p.BinNames[program] = t
		}
	}
	names.done()
	callbacks := s.sub("callbacks")
	p.Callbacks = map[string]string{}
	for _, name := range callbackNames {
		if t := callbacks.text(name); t != "" {
			p.Callbacks[name] = t
		}
	}
	callbacks.done()
	p.Superuser, p.Replication, p.Rewind = s.authentication()
	s.replicaMethods(&p)
	s.ignore("name")
	if n := s.get("use_slots"); n != nil && local {
		s.c.warn(n, s.key("use_slots"), "has no effect here; it belongs to the cluster: set it with PATCH /config")
	}
	if local {
		s.warnControlled()
		s.done()
	}
	return p
}

// duration reads seconds, or a number with a unit.
func (s *section) duration(name string, fallback time.Duration) time.Duration {
	n := s.get(name)
	if n == nil {
		return fallback
	}
	seconds, ok := ParseGUCReal(n.Text, "s")
	if !ok || n.Kind != Number && n.Kind != String || seconds < 0 || seconds > 1e9 {
		s.c.fail(n, s.key(name), "must be a time in seconds, or with a unit such as 30s or 5min")
		return fallback
	}
	return time.Duration(seconds * float64(time.Second))
}

func (s *section) authentication() (superuser, replication, rewind Credentials) {
	auth := s.sub("authentication")
	read := func(name string) Credentials {
		u := auth.sub(name)
		c := Credentials{Username: u.text("username"), Password: u.secret("password")}
		for _, key := range credentialKeys[2:] {
			if v := u.text(key); v != "" {
				c.Options = append(c.Options, Parameter{key, v})
			}
		}
		u.done()
		if u.node != nil && c.Username == "" && name != "replication" { // that one is required anyway
			s.c.errors = append(s.c.errors, Problem{Where: u.node.where(), Key: u.key("username"), Text: "required, but missing; add it, or leave the section out"})
		}
		return c
	}
	superuser, replication, rewind = read("superuser"), read("replication"), read("rewind")
	auth.done()
	if rewind.Username == "" {
		rewind = superuser
	}
	return superuser, replication, rewind
}

// parameters reads settings of PostgreSQL: names in lower case, sorted, values as PostgreSQL reads them.
func (s *section) parameters(name string) []Parameter {
	sub := s.sub(name)
	if sub.node == nil {
		return nil
	}
	values := map[string]string{}
	for _, e := range sub.node.Entries {
		if e.Value.null() {
			continue
		}
		if !s.c.parameter(e, sub.key(e.Key)) {
			continue
		}
		values[strings.ToLower(e.Key)] = settingText(e.Value)
	}
	var list []Parameter
	for _, k := range sortedKeys(values) {
		list = append(list, Parameter{k, values[k]})
	}
	return list
}

// parameterName is what postgresql.conf takes as the name of a setting. With another one PostgreSQL can't read the file
// at all. Source: PostgreSQL 17, src/backend/utils/misc/guc-file.l, ID and QUALIFIED_ID.
var parameterName = regexp.MustCompile(`^[A-Za-z_]\w*(\.[A-Za-z_]\w*)?$`)

// parameter reports whether an entry can be a setting of PostgreSQL, and tells what is wrong with it.
func (c *collector) parameter(e Entry, key string) bool {
	switch {
	case !parameterName.MatchString(e.Key):
		c.fail(e.Value, key, "is not the name of a PostgreSQL parameter: it takes letters, digits and _, and one dot after the name of an extension")
	case e.Value != nil && (e.Value.Kind == List || e.Value.Kind == Map):
		c.fail(e.Value, key, "must be one value for a PostgreSQL parameter")
	case strings.ContainsRune(scalarText(e.Value), 0):
		c.fail(e.Value, key, "must not contain a zero byte")
	default:
		return true
	}
	return false
}

// settingText is a scalar as PostgreSQL reads it.
func settingText(n *Node) string {
	if n.Kind == Bool {
		return map[string]string{"true": "on", "false": "off"}[n.Text]
	}
	return n.Text
}

// warnControlled tells which local parameters only the cluster's configuration can set.
func (s *section) warnControlled() {
	for _, e := range entriesOf(s.node.Get("parameters")) {
		if _, ok := controlled[strings.ToLower(e.Key)]; ok {
			s.c.warn(e.Value, s.key("parameters."+e.Key), "has no effect here, all members must agree on it: set it with PATCH /config (or under bootstrap.dcs before the first start)")
		}
	}
}

func entriesOf(n *Node) []Entry {
	if n == nil {
		return nil
	}
	return n.Entries
}

// replicaMethods reads the ways to create a replica and their sections.
func (s *section) replicaMethods(p *Postgres) {
	names := s.strings("create_replica_methods")
	if old := s.strings("create_replica_method"); names == nil {
		names = old
	}
	if n := s.get("basebackup"); n != nil {
		p.Basebackup = s.c.options(n, s.key("basebackup"), []string{
			"pgdata", "format", "wal-method", "xlog-method", "gzip", "version", "dbname", "host", "port", "username", "password",
		}, false)
	}
	p.CreateReplicaMethods = s.methods(names)
}

// methods reads the sections of methods; none means basebackup.
func (s *section) methods(names []string) []Method {
	if len(names) == 0 {
		names = []string{"basebackup"}
	}
	var list []Method
	for _, name := range names {
		if name == "basebackup" {
			list = append(list, Method{Name: name})
			continue
		}
		m := s.method(name, "no_leader", "keep_data", "no_params")
		if m.Command == "" {
			m.Command = name
		}
		list = append(list, m)
	}
	return list
}

// method reads the section of a custom method. Keys besides the command become --key=value, but for those of
// a bootstrap that are only for the agent. Source: postgresql.md 5.3 and 5.6.
func (s *section) method(name string, flags ...string) Method {
	sub := s.sub(name)
	m := Method{
		Name: name, Command: sub.text("command"), NoParams: sub.boolean("no_params", false),
		NoLeader: sub.boolean("no_leader", false), KeepData: sub.boolean("keep_data", false),
		KeepRecoveryConf: sub.boolean("keep_existing_recovery_conf", false), RecoveryConf: sub.parameters("recovery_conf"),
	}
	for _, e := range entriesOf(sub.node) {
		isFlag := slices.Contains(flags, e.Key)
		if slices.Contains([]string{"command", "keep_existing_recovery_conf", "recovery_conf", "scope", "datadir"}, e.Key) ||
			e.Value.null() || e.Value.Kind == List || e.Value.Kind == Map || isFlag && m.NoParams || e.Key == "no_params" && !isFlag {
			continue
		}
		text := e.Value.Text
		if e.Value.Kind == Bool {
			text = map[string]string{"true": "True", "false": "False"}[text]
		}
		m.Args = append(m.Args, "--"+e.Key+"="+text)
	}
	return m
}
