package config

import (
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

const envPrefix = "PATRONI_"

// kind of a variable: how its text is read.
type envKind int

const (
	envText envKind = iota
	envInt
	envBool
	envList
	envDict
	envFormat // log.format: a text or a list
)

type envTarget struct {
	path []string
	kind envKind
}

// envNames maps each variable of section 5.2, without prefix, to the key it sets.
// Source: Patroni 4.1, config.py, _build_environment_configuration.
var envNames = buildEnvNames()

func buildEnvNames() map[string]envTarget {
	m := map[string]envTarget{}
	add := func(prefix string, path []string, kind envKind, names string) {
		for name := range strings.FieldsSeq(names) {
			m[prefix+name] = envTarget{append(slices.Clone(path), strings.ToLower(name)), kind}
		}
	}
	add("", nil, envText, "NAME NAMESPACE SCOPE THREAD_POOL_SIZE THREAD_STACK_SIZE")
	log := []string{"log"}
	add("LOG_", log, envText, "TYPE LEVEL TRACEBACK_LEVEL DATEFORMAT DIR")
	add("LOG_", log, envInt, "MAX_QUEUE_SIZE FILE_SIZE FILE_NUM MODE")
	add("LOG_", log, envDict, "STATIC_FIELDS LOGGERS")
	add("LOG_", log, envBool, "DEDUPLICATE_HEARTBEAT_LOGS")
	add("LOG_", log, envFormat, "FORMAT")
	rest := []string{"restapi"}
	add("RESTAPI_", rest, envText, "LISTEN CONNECT_ADDRESS CERTFILE KEYFILE KEYFILE_PASSWORD CAFILE CIPHERS VERIFY_CLIENT SERVER_TOKENS THREAD_POOL_SIZE")
	add("RESTAPI_", rest, envDict, "HTTP_EXTRA_HEADERS HTTPS_EXTRA_HEADERS")
	add("RESTAPI_", rest, envList, "ALLOWLIST")
	add("RESTAPI_", rest, envBool, "ALLOWLIST_INCLUDE_MEMBERS")
	add("RESTAPI_", rest, envInt, "REQUEST_QUEUE_SIZE")
	add("RESTAPI_", []string{"restapi", "authentication"}, envText, "USERNAME PASSWORD")
	add("CTL_", []string{"ctl"}, envText, "CACERT CERTFILE KEYFILE KEYFILE_PASSWORD")
	add("CTL_", []string{"ctl"}, envBool, "INSECURE")
	add("CTL_", []string{"ctl", "authentication"}, envText, "USERNAME PASSWORD")
	add("POSTGRESQL_", []string{"postgresql"}, envText, "LISTEN CONNECT_ADDRESS PROXY_ADDRESS CONFIG_DIR DATA_DIR PGPASS BIN_DIR")
	add("POSTGRESQL_BIN_", []string{"postgresql", "bin_name"}, envText, "PG_CTL INITDB PG_CONTROLDATA PG_BASEBACKUP POSTGRES PG_ISREADY PG_REWIND")
	for _, user := range []string{"superuser", "replication", "rewind"} {
		add(strings.ToUpper(user)+"_", []string{"postgresql", "authentication", user}, envText, strings.ToUpper(strings.Join(credentialKeys, " ")))
	}
	for _, store := range []string{"etcd", "etcd3"} {
		add(strings.ToUpper(store)+"_", []string{store}, envText, "USERNAME PASSWORD")
	}
	add("RAFT_", []string{"raft"}, envText, "DATA_DIR SELF_ADDR PASSWORD BIND_ADDR")
	add("RAFT_", []string{"raft"}, envList, "PARTNER_ADDRS")
	// The manual names this one, Patroni reads only BIN_PG_ISREADY.
	m["POSTGRESQL_BIN_IS_READY"] = m["POSTGRESQL_BIN_PG_ISREADY"]
	return m
}

// envOld are the old names, which count only if the new variable is not set.
var envOld = map[string]string{"LOGLEVEL": "LOG_LEVEL", "LOGFORMAT": "LOG_FORMAT", "LOG_DATEFMT": "LOG_DATEFORMAT"}

// envSuffixes are read for any store: PATRONI_<SECTION>_<SUFFIX>.
var envSuffixes = buildEnvSuffixes()

func buildEnvSuffixes() map[string]envKind {
	m := map[string]envKind{}
	for kind, names := range map[envKind]string{
		envText: "HOST PROTOCOL SRV SRV_SUFFIX URL PROXY CACERT CERT KEY TOKEN DC CONSISTENCY SERVICE_CHECK_INTERVAL " +
			"SERVICE_CHECK_TLS_SERVER_NAME NAMESPACE CONTEXT SCOPE_LABEL ROLE_LABEL POD_IP KEY_PASSWORD USE_SSL " +
			"LEADER_LABEL_VALUE FOLLOWER_LABEL_VALUE STANDBY_LEADER_LABEL_VALUE TMP_ROLE_LABEL",
		envInt:  "PORT",
		envList: "HOSTS PORTS CHECKS SERVICE_TAGS RETRIABLE_HTTP_CODES",
		envDict: "LABELS SET_ACLS AUTH_DATA BOOTSTRAP_LABELS",
		envBool: "USE_PROXIES REGISTER_SERVICE USE_ENDPOINTS BYPASS_API_SERVICE VERIFY",
	} {
		for name := range strings.FieldsSeq(names) {
			m[name] = kind
		}
	}
	return m
}

// lookup finds what a variable, without prefix, sets.
func lookup(name string) (envTarget, bool) {
	if t, ok := envNames[name]; ok {
		return t, true
	}
	if now, ok := envOld[name]; ok {
		return envNames[now], true
	}
	store, suffix, _ := strings.Cut(name, "_")
	kind, ok := envSuffixes[suffix]
	if store == "CITUS" && (suffix == "GROUP" || suffix == "DATABASE") {
		kind, ok = map[string]envKind{"GROUP": envInt, "DATABASE": envText}[suffix], true
	}
	return envTarget{[]string{strings.ToLower(store), strings.ToLower(suffix)}, kind}, ok && store != ""
}

// environment reads the PATRONI_ variables into a tree. What can't be read is dropped with a warning.
func (c *collector) environment(environ []string) *Node {
	vars := map[string]string{}
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if short, ok := strings.CutPrefix(name, envPrefix); ok {
			vars[short] = value
		}
	}
	root := &Node{Kind: Map, file: "environment"}
	for _, name := range sortedKeys(vars) {
		value := vars[name]
		target, ok := lookup(name)
		if now, old := envOld[name]; !ok || old && vars[now] != "" {
			if !ok && name != "CONFIGURATION" {
				c.unknownVariable(name)
			}
			continue
		}
		_, named := envNames[name]
		if value == "" && (named || target.kind != envText) {
			continue
		}
		if n := c.variable(envPrefix+name, value, target); n != nil {
			root = root.set(target.path, n)
		}
	}
	return root
}

func (c *collector) unknownVariable(name string) {
	text := "unknown variable, it has no effect"
	if near := nearest(name, sortedKeys(envNames)); near != "" {
		text += "; did you mean " + envPrefix + near + "?"
	}
	c.warnings = append(c.warnings, Problem{Where: envPrefix + name, Text: text})
}

// variable reads the text of one variable; nil if it can't be read.
func (c *collector) variable(name, value string, t envTarget) *Node {
	n := &Node{Kind: String, Text: value, file: name}
	key, what := strings.Join(t.path, "."), ""
	switch t.kind {
	case envInt:
		v, ok := wholeNumber(n)
		if ok {
			return &Node{Kind: Number, Text: intString(v), file: name}
		}
		what = "a whole number"
	case envBool:
		v, ok := cluster.ParseBool(value)
		if ok {
			return boolNode(v, name)
		}
		what = "a boolean (on or off)"
	case envList:
		if l := yamlVariable(name, value, "[", "]", strings.Contains(value, "[") || strings.HasPrefix(value, "-")); l != nil && l.Kind == List {
			return l
		}
		what = "a list (a, b, c)"
	case envDict:
		if d := yamlVariable(name, value, "{", "}", strings.HasPrefix(value, "{")); d != nil && d.Kind == Map {
			return d
		}
		what = "a mapping (a: b, c: d)"
	case envFormat:
		if strings.Contains(value, "%(") {
			return n
		}
		if l := yamlVariable(name, value, "[", "]", strings.Contains(value, "[") || strings.HasPrefix(value, "-")); l != nil && l.Kind == List {
			return l
		}
		what = "a format with %(name)s fields or a list"
	default:
		return n
	}
	c.warn(n, key, "ignored: it must be "+what)
	return nil
}

// yamlVariable reads a value as YAML, within brackets unless it has its own.
func yamlVariable(name, value, open, end string, asIs bool) *Node {
	if !asIs {
		value = open + value + end
	}
	n, err := ParseYAML(name, []byte(value))
	if err != nil {
		return nil
	}
	return n.relocated(name)
}

// relocated says of a whole tree that it came from a variable.
func (n *Node) relocated(name string) *Node {
	c := *n
	c.file, c.line, c.Items, c.Entries = name, 0, nil, nil
	for _, e := range n.Items {
		c.Items = append(c.Items, e.relocated(name))
	}
	for _, e := range n.Entries {
		c.Entries = append(c.Entries, Entry{e.Key, e.Value.relocated(name)})
	}
	return &c
}

// set gives a copy of a mapping with a value at a path, making the mappings on the way.
func (n *Node) set(path []string, value *Node) *Node {
	if len(path) == 1 {
		return n.with(path[0], value)
	}
	child := n.Get(path[0])
	if child.null() || child.Kind != Map {
		child = &Node{Kind: Map, file: value.file}
	}
	return n.with(path[0], child.set(path[1:], value))
}

// ofOneNode are the variables, without prefix, that no two nodes have in common.
var ofOneNode = []string{
	"CONFIGURATION", "NAME", "LOG_DIR", "RESTAPI_LISTEN", "RESTAPI_CONNECT_ADDRESS", "RESTAPI_CERTFILE", "RESTAPI_KEYFILE",
	"POSTGRESQL_LISTEN", "POSTGRESQL_CONNECT_ADDRESS", "POSTGRESQL_PROXY_ADDRESS", "POSTGRESQL_DATA_DIR", "POSTGRESQL_CONFIG_DIR", "POSTGRESQL_PGPASS",
}

// SharedVariables leaves out of an environment the PATRONI_ variables that belong to one node, and names them.
func SharedVariables(environ []string) (shared, leftOut []string) {
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if short, ours := strings.CutPrefix(name, envPrefix); ours && slices.Contains(ofOneNode, short) {
			leftOut = append(leftOut, name)
			continue
		}
		shared = append(shared, pair)
	}
	return shared, leftOut
}

// ChildEnviron gives the environment for PostgreSQL and other children: without the PATRONI_ variables, which
// hold passwords, and without those of Kubernetes. Source: Patroni 4.1, config.py and postmaster.py.
func ChildEnviron(environ []string) []string {
	var kept []string
	for _, e := range environ {
		if !strings.HasPrefix(e, envPrefix) && !strings.HasPrefix(e, "KUBERNETES_") {
			kept = append(kept, e)
		}
	}
	return kept
}
