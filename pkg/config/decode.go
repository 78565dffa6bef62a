package config

import (
	"slices"
	"strings"
)

// otherStores are the stores that Patroni can use and hathi can't.
var otherStores = []string{"consul", "zookeeper", "exhibitor", "kubernetes", "raft"}

// Load reads and checks what hathi run needs; see readTree for which files and variables. environ is as
// os.Environ gives it. The error holds all mistakes (Problems), or says why nothing could be read; warnings are
// worth a log line each. Nothing is written or contacted.
func Load(path string, environ []string) (*Config, Problems, error) {
	_, cfg, warnings, err := load(path, environ, true)
	return cfg, warnings, err
}

// LoadControl reads what the control commands need: scope, namespace, etcd, ctl and restapi. Nothing is
// required, and mistakes in other sections do not matter. Without a path and without variables the result is
// an empty configuration.
func LoadControl(path string, environ []string) (*Config, Problems, error) {
	_, cfg, warnings, err := load(path, environ, false)
	return cfg, warnings, err
}

// load gives the tree as well, which is there although it may have mistakes; nil if nothing could be read.
func load(path string, environ []string, run bool) (*Node, *Config, Problems, error) {
	var c collector
	tree, err := c.readTree(path, environ)
	if err != nil {
		return nil, nil, c.warnings, err
	}
	if run && len(tree.Entries) == 0 {
		return tree, nil, c.warnings, Problems{{Where: tree.where(), Text: "Config is empty. Give a configuration file, as in: hathi run /etc/hathi.yml"}}
	}
	root := c.enter(tree, "")
	cfg := &Config{tree: tree, Scope: root.text("scope"), Name: root.text("name")}
	cfg.Namespace = strings.Trim(root.textOr("namespace", "service"), "/")
	if cfg.Namespace == "" {
		cfg.Namespace = "service"
	}
	if cfg.Name == "" {
		cfg.Name = scalarText(tree.at("postgresql", "name"))
	}
	checkPathPart(&c, tree.Get("scope"), "scope")
	cfg.RestAPI = decodeRestAPI(root.sub("restapi"), run)
	cfg.Ctl = decodeCtl(root.sub("ctl"), cfg.RestAPI)
	cfg.Etcd = decodeStore(root, run)
	cfg.Citus = decodeCitus(root, run)
	if run {
		decodeNode(root, cfg)
	}
	if err := c.errors.sorted().orNil(); err != nil {
		return tree, nil, c.warnings.sorted(), err
	}
	return tree, cfg, c.warnings.sorted(), nil
}

// decodeNode reads the sections that only the agent uses.
func decodeNode(root *section, cfg *Config) {
	cfg.Log = decodeLog(root.sub("log"))
	cfg.Watchdog = decodeWatchdog(root.sub("watchdog"))
	cfg.Tags, cfg.TagConflicts = decodeTags(root.sub("tags"))
	pg := modernPostgres(root.get("postgresql"))
	cfg.Postgres = decodePostgres(root.c.enter(pg, "postgresql"), true)
	cfg.Bootstrap = decodeBootstrap(root.sub("bootstrap"), cfg)
	root.ignore("thread_pool_size", "thread_stack_size")
	var before string
	for _, key := range DynamicKeys() { // sorted
		if key, _, _ = strings.Cut(key, "."); key == "postgresql" || key == before {
			continue
		}
		before = key
		if n := root.get(key); n != nil {
			root.c.warn(n, key, "has no effect here; it belongs to the cluster: set it with PATCH /config (or under bootstrap.dcs before the first start)")
		}
	}
	if cfg.Name != "" {
		checkPathPart(root.c, root.node.Get("name"), "name")
		root.ignore("name")
	} else {
		root.require(root.node, "name")
	}
	root.require(root.node, "scope")
	rest := section{c: root.c, node: root.node.Get("restapi"), path: "restapi"}
	rest.require(root.node, "listen")
	s := section{c: root.c, node: pg, path: "postgresql"}
	s.require(root.node, "listen", "data_dir")
	replication := section{c: root.c, node: pg.at("authentication", "replication"), path: "postgresql.authentication.replication"}
	replication.require(root.node, "username")
	root.done()
}

// checkPathPart refuses names that would lead to other keys of etcd.
func checkPathPart(c *collector, n *Node, key string) {
	if t := scalarText(n); strings.ContainsAny(t, "/\x00\n") {
		c.fail(n, key, "must not contain a slash or a line break, it is part of the path of etcd keys")
	}
}

func scalarText(n *Node) string {
	if n.null() || n.Kind == List || n.Kind == Map {
		return ""
	}
	return n.Text
}

// login reads an authentication section, which must be whole.
func (s *section) login() Login {
	sub := s.sub("authentication")
	l := Login{sub.text("username"), sub.secret("password")}
	sub.done()
	if sub.node != nil && (l.Username == "") != l.Password.IsZero() {
		missing := "password"
		if l.Username == "" {
			missing = "username"
		}
		s.c.errors = append(s.c.errors, Problem{Where: sub.node.where(), Key: sub.key(missing), Text: "required, but missing; give username and password, or leave the section out"})
		return Login{}
	}
	return l
}

func decodeRestAPI(s *section, run bool) RestAPI {
	r := RestAPI{
		CertFile: s.text("certfile"), KeyFile: s.text("keyfile"), CAFile: s.text("cafile"), Ciphers: s.text("ciphers"),
		KeyFilePassword: s.secret("keyfile_password"), Auth: s.login(),
		VerifyClient: s.choice("verify_client", "none", "none", "optional", "required"),
		Allowlist:    s.strings("allowlist"), AllowlistIncludeMembers: s.boolean("allowlist_include_members", false),
		HTTPExtraHeaders: s.texts("http_extra_headers"), HTTPSExtraHeaders: s.texts("https_extra_headers"),
		RequestQueueSize: s.queueSize("request_queue_size"),
		ServerTokens:     s.choice("server_tokens", "Original", "Original", "ProductOnly", "Minimal"),
	}
	s.ignore("thread_pool_size", "listen", "connect_address")
	if run {
		r.Listen = s.listenOne("listen")
		r.ConnectAddress = s.address("connect_address", 0, false)
		if r.ConnectAddress.IsZero() {
			r.ConnectAddress = r.Listen
		}
		if r.KeyFile != "" && r.CertFile == "" {
			s.c.fail(s.node.Get("keyfile"), s.key("keyfile"), "is given without certfile; give both")
		}
		s.done()
	} else {
		r.ConnectAddress = ownAddress(s)
	}
	return r
}

// queueSize reads a length of 0 to 4096; -1 if it is not given.
func (s *section) queueSize(name string) int {
	n := s.integer(name, -1, 0)
	if n > 4096 {
		s.c.fail(s.node.Get(name), s.key(name), "must be 4096 or less")
	}
	return int(n)
}

// ownAddress is where the node's REST API can be asked from itself; zero if the file does not say. Commands
// work without it, so what is not an address is passed over.
func ownAddress(s *section) Address {
	for _, name := range []string{"connect_address", "listen"} {
		text := strings.TrimPrefix(scalarText(s.node.Get(name)), "*")
		if strings.HasPrefix(text, ":") {
			text = "localhost" + text
		}
		if a, err := ParseAddress(text, 0); err == nil && a.Port != 0 {
			return a
		}
	}
	return Address{}
}

// listenOne reads host:port where an empty host and * mean all addresses.
func (s *section) listenOne(name string) Address {
	t := s.text(name)
	if strings.HasPrefix(t, ":") {
		a, err := ParseAddress("*"+t, 0)
		if err == nil {
			return a
		}
	}
	return s.address(name, 0, true)
}

func decodeCtl(s *section, rest RestAPI) Ctl {
	c := Ctl{
		Insecure: s.boolean("insecure", false), CACert: s.textOr("cacert", rest.CAFile), CertFile: s.text("certfile"),
		KeyFile: s.text("keyfile"), KeyFilePassword: s.secret("keyfile_password"), Auth: s.login(),
	}
	if c.Auth.IsZero() {
		c.Auth = rest.Auth
	}
	s.done()
	return c
}

func decodeWatchdog(s *section) Watchdog {
	w := Watchdog{
		Device: s.textOr("device", "/dev/watchdog"), Driver: s.textOr("driver", "default"),
		SafetyMargin: int(s.integer("safety_margin", 5, -1)), Mode: "automatic",
	}
	if n := s.get("mode"); n != nil {
		switch strings.ToLower(n.Text) {
		case "automatic", "auto":
		case "required", "require":
			w.Mode = "required"
		case "off", "false", "disable", "disabled":
			w.Mode = "off"
		default:
			w.Mode = "off"
			s.c.warn(n, s.key("mode"), "is not one of off, automatic, required; the watchdog is off")
		}
	}
	s.done()
	return w
}

func decodeCitus(root *section, run bool) *Citus {
	n := root.get("citus")
	if n == nil {
		return nil
	}
	group, ok := wholeNumber(n.Get("group"))
	database := n.Get("database")
	if !ok || n.Get("group").Kind != Number || database.null() || database.Kind != String {
		root.c.warn(n, "citus", "ignored: it needs group (a number) and database (a text)")
		return nil
	}
	if run {
		root.c.fail(n, "citus", "Citus integration is not supported: remove the section only if this cluster never used it, its keys are stored by group")
	}
	return &Citus{int(group), database.Text}
}

var logLevels = []string{"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"}

func decodeLog(s *section) Log {
	l := Log{
		Type:           s.choice("type", "plain", "plain", "json"),
		Level:          s.choice("level", "INFO", logLevels...),
		TracebackLevel: s.choice("traceback_level", "ERROR", "DEBUG", "ERROR"), Format: s.logFormat("format"),
		DateFormat: s.text("dateformat"), StaticFields: s.texts("static_fields"), Dir: s.text("dir"),
		MaxQueueSize: int(s.integer("max_queue_size", 1000, 0)), Mode: int(s.integer("mode", -1, 0)),
		FileSize: s.integer("file_size", 25_000_000, 0), FileNum: int(s.integer("file_num", 4, 0)),
		Loggers: s.texts("loggers"), Deduplicate: s.boolean("deduplicate_heartbeat_logs", false),
	}
	for _, name := range sortedKeys(l.Loggers) {
		n, key := s.node.at("loggers", name), s.key("loggers."+name)
		switch {
		case name != "hathi" && name != "patroni":
			s.c.warn(n, key, "names a logger that hathi does not have; all its lines are of hathi (or patroni)")
		case !slices.Contains(logLevels, strings.ToUpper(l.Loggers[name])):
			s.c.fail(n, key, "must be one of "+strings.Join(logLevels, ", "))
		}
	}
	switch l.Level {
	case "WARN":
		l.Level = "WARNING"
	case "FATAL":
		l.Level = "CRITICAL"
	}
	if l.Mode > 0o777 {
		s.c.fail(s.node.Get("mode"), s.key("mode"), "must be permissions from 0 to 0777")
	}
	s.done()
	return l
}

// logFormat reads a format, or a list of fields of which each may be renamed.
func (s *section) logFormat(name string) []LogField {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if n.Kind == String {
		return []LogField{{Field: n.Text}}
	}
	if n.Kind != List || len(n.Items) == 0 {
		s.c.fail(n, s.key(name), "must be a text or a list of fields")
		return nil
	}
	var fields []LogField
	for _, e := range n.Items {
		switch {
		case e.Kind == String:
			fields = append(fields, LogField{Field: e.Text, Name: e.Text})
		case e.Kind == Map && len(e.Entries) == 1 && e.Entries[0].Value.Kind == String:
			fields = append(fields, LogField{Field: e.Entries[0].Key, Name: e.Entries[0].Value.Text})
		default:
			s.c.fail(e, s.key(name), "each item must be a field, or one field: new name")
		}
	}
	return fields
}
