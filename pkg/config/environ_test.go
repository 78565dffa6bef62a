package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// envTable has a line for each variable of the contract: name without prefix, key, a value, what it becomes as JSON.
// Source: configuration.md 5.2 and 5.3.
const envTable = `
NAME name x "x"
NAMESPACE namespace x "x"
SCOPE scope x "x"
THREAD_POOL_SIZE thread_pool_size 5 "5"
THREAD_STACK_SIZE thread_stack_size 512kB "512kB"
LOG_TYPE log.type json "json"
LOG_LEVEL log.level DEBUG "DEBUG"
LOG_TRACEBACK_LEVEL log.traceback_level DEBUG "DEBUG"
LOG_DATEFORMAT log.dateformat %Y "%Y"
LOG_DIR log.dir /l "/l"
LOG_FORMAT log.format %(message)s "%(message)s"
LOG_FORMAT log.format message,levelname ["message","levelname"]
LOG_MAX_QUEUE_SIZE log.max_queue_size 7 7
LOG_FILE_SIZE log.file_size 0x10 16
LOG_FILE_NUM log.file_num 2 2
LOG_MODE log.mode 0644 420
LOG_STATIC_FIELDS log.static_fields a:_b {"a":"b"}
LOG_LOGGERS log.loggers {patroni:_DEBUG} {"patroni":"DEBUG"}
LOG_DEDUPLICATE_HEARTBEAT_LOGS log.deduplicate_heartbeat_logs on true
LOGLEVEL log.level DEBUG "DEBUG"
LOGFORMAT log.format %(message)s "%(message)s"
LOG_DATEFMT log.dateformat %Y "%Y"
RESTAPI_LISTEN restapi.listen a:1 "a:1"
RESTAPI_CONNECT_ADDRESS restapi.connect_address a:1 "a:1"
RESTAPI_CERTFILE restapi.certfile /c "/c"
RESTAPI_KEYFILE restapi.keyfile /k "/k"
RESTAPI_KEYFILE_PASSWORD restapi.keyfile_password p "p"
RESTAPI_CAFILE restapi.cafile /a "/a"
RESTAPI_CIPHERS restapi.ciphers X "X"
RESTAPI_VERIFY_CLIENT restapi.verify_client required "required"
RESTAPI_SERVER_TOKENS restapi.server_tokens Minimal "Minimal"
RESTAPI_THREAD_POOL_SIZE restapi.thread_pool_size 6 "6"
RESTAPI_HTTP_EXTRA_HEADERS restapi.http_extra_headers X-A:_b,X-C:_1 {"X-A":"b","X-C":1}
RESTAPI_HTTPS_EXTRA_HEADERS restapi.https_extra_headers {X-A:_b} {"X-A":"b"}
RESTAPI_ALLOWLIST restapi.allowlist 10.0.0.0/8,'::1' ["10.0.0.0/8","::1"]
RESTAPI_ALLOWLIST_INCLUDE_MEMBERS restapi.allowlist_include_members yes true
RESTAPI_REQUEST_QUEUE_SIZE restapi.request_queue_size 9 9
RESTAPI_USERNAME restapi.authentication.username u "u"
RESTAPI_PASSWORD restapi.authentication.password p "p"
CTL_CACERT ctl.cacert /a "/a"
CTL_CERTFILE ctl.certfile /c "/c"
CTL_KEYFILE ctl.keyfile /k "/k"
CTL_KEYFILE_PASSWORD ctl.keyfile_password p "p"
CTL_INSECURE ctl.insecure off false
CTL_USERNAME ctl.authentication.username u "u"
CTL_PASSWORD ctl.authentication.password p "p"
POSTGRESQL_LISTEN postgresql.listen a:1 "a:1"
POSTGRESQL_CONNECT_ADDRESS postgresql.connect_address a:1 "a:1"
POSTGRESQL_PROXY_ADDRESS postgresql.proxy_address a:1 "a:1"
POSTGRESQL_CONFIG_DIR postgresql.config_dir /c "/c"
POSTGRESQL_DATA_DIR postgresql.data_dir /d "/d"
POSTGRESQL_PGPASS postgresql.pgpass /p "/p"
POSTGRESQL_BIN_DIR postgresql.bin_dir /b "/b"
POSTGRESQL_BIN_PG_CTL postgresql.bin_name.pg_ctl x "x"
POSTGRESQL_BIN_INITDB postgresql.bin_name.initdb x "x"
POSTGRESQL_BIN_PG_CONTROLDATA postgresql.bin_name.pg_controldata x "x"
POSTGRESQL_BIN_PG_BASEBACKUP postgresql.bin_name.pg_basebackup x "x"
POSTGRESQL_BIN_POSTGRES postgresql.bin_name.postgres x "x"
POSTGRESQL_BIN_PG_ISREADY postgresql.bin_name.pg_isready x "x"
POSTGRESQL_BIN_IS_READY postgresql.bin_name.pg_isready x "x"
POSTGRESQL_BIN_PG_REWIND postgresql.bin_name.pg_rewind x "x"
ETCD_USERNAME etcd.username u "u"
ETCD_PASSWORD etcd.password p "p"
ETCD3_USERNAME etcd3.username u "u"
ETCD3_PASSWORD etcd3.password p "p"
RAFT_DATA_DIR raft.data_dir /d "/d"
RAFT_SELF_ADDR raft.self_addr a:1 "a:1"
RAFT_PASSWORD raft.password p "p"
RAFT_BIND_ADDR raft.bind_addr a:1 "a:1"
RAFT_PARTNER_ADDRS raft.partner_addrs a:1,b:1 ["a:1","b:1"]
ETCD3_HOST etcd3.host a:1 "a:1"
ETCD3_HOSTS etcd3.hosts 'a:1','b:2' ["a:1","b:2"]
ETCD3_HOSTS etcd3.hosts [a:1,_b:2] ["a:1","b:2"]
ETCD3_URL etcd3.url http://a:1 "http://a:1"
ETCD3_PROXY etcd3.proxy http://a:1 "http://a:1"
ETCD3_SRV etcd3.srv a.org "a.org"
ETCD3_SRV_SUFFIX etcd3.srv_suffix x "x"
ETCD3_PROTOCOL etcd3.protocol https "https"
ETCD3_PORT etcd3.port 2380 2380
ETCD3_USE_PROXIES etcd3.use_proxies true true
ETCD3_CACERT etcd3.cacert /a "/a"
ETCD3_CERT etcd3.cert /c "/c"
ETCD3_KEY etcd3.key /k "/k"
ETCD_HOSTS etcd.hosts a:1,b:2 ["a:1","b:2"]
CONSUL_HOST consul.host a:1 "a:1"
CONSUL_TOKEN consul.token t "t"
CONSUL_DC consul.dc d "d"
CONSUL_CONSISTENCY consul.consistency stale "stale"
CONSUL_REGISTER_SERVICE consul.register_service on true
CONSUL_SERVICE_TAGS consul.service_tags a,b ["a","b"]
CONSUL_SERVICE_CHECK_INTERVAL consul.service_check_interval 5s "5s"
CONSUL_SERVICE_CHECK_TLS_SERVER_NAME consul.service_check_tls_server_name x "x"
CONSUL_CHECKS consul.checks [] []
CONSUL_VERIFY consul.verify no false
ZOOKEEPER_HOSTS zookeeper.hosts a:1 ["a:1"]
ZOOKEEPER_USE_SSL zookeeper.use_ssl on "on"
ZOOKEEPER_KEY_PASSWORD zookeeper.key_password p "p"
ZOOKEEPER_SET_ACLS zookeeper.set_acls a:_b {"a":"b"}
ZOOKEEPER_AUTH_DATA zookeeper.auth_data a:_b {"a":"b"}
EXHIBITOR_HOSTS exhibitor.hosts a ["a"]
EXHIBITOR_PORT exhibitor.port 8181 8181
KUBERNETES_NAMESPACE kubernetes.namespace n "n"
KUBERNETES_CONTEXT kubernetes.context c "c"
KUBERNETES_LABELS kubernetes.labels app:_x {"app":"x"}
KUBERNETES_BOOTSTRAP_LABELS kubernetes.bootstrap_labels app:_x {"app":"x"}
KUBERNETES_SCOPE_LABEL kubernetes.scope_label x "x"
KUBERNETES_ROLE_LABEL kubernetes.role_label x "x"
KUBERNETES_LEADER_LABEL_VALUE kubernetes.leader_label_value x "x"
KUBERNETES_FOLLOWER_LABEL_VALUE kubernetes.follower_label_value x "x"
KUBERNETES_STANDBY_LEADER_LABEL_VALUE kubernetes.standby_leader_label_value x "x"
KUBERNETES_TMP_ROLE_LABEL kubernetes.tmp_role_label x "x"
KUBERNETES_POD_IP kubernetes.pod_ip 10.0.0.1 "10.0.0.1"
KUBERNETES_PORTS kubernetes.ports [{port:_5432}] [{"port":5432}]
KUBERNETES_USE_ENDPOINTS kubernetes.use_endpoints on true
KUBERNETES_BYPASS_API_SERVICE kubernetes.bypass_api_service on true
KUBERNETES_RETRIABLE_HTTP_CODES kubernetes.retriable_http_codes 500,503 [500,503]
CITUS_GROUP citus.group 1 1
CITUS_DATABASE citus.database d "d"
`

// Each variable alone sets its key, with its type, and nothing is said about it.
func TestEachVariable(t *testing.T) {
	seen := map[string]bool{}
	one := func(line string) {
		words := strings.Fields(line)
		name, key, value, want := words[0], words[1], strings.ReplaceAll(words[2], "_", " "), words[3]
		if !strings.ContainsAny(words[2], ":{") || strings.HasPrefix(name, "ZOOKEEPER_USE") {
			value = words[2]
		}
		seen[name] = true
		var c collector
		tree := c.environment([]string{"PATRONI_" + name + "=" + value})
		found := tree.at(strings.Split(key, ".")...)
		if found == nil || string(found.Compact()) != want || len(tree.Paths()) == 0 {
			t.Errorf("PATRONI_%s=%s: %s is %s, want %s", name, value, key, tree.Compact(), want)
		}
		if len(c.warnings)+len(c.errors) > 0 {
			t.Errorf("PATRONI_%s=%s: %v %v", name, value, c.warnings, c.errors)
		}
	}
	for line := range strings.Lines(strings.TrimSpace(envTable)) {
		one(line)
	}
	for _, user := range []string{"superuser", "replication", "rewind"} {
		for _, key := range credentialKeys {
			one(strings.ToUpper(user+"_"+key) + " postgresql.authentication." + user + "." + key + " x \"x\"")
		}
	}
	for name := range envNames {
		if !seen[name] {
			t.Errorf("PATRONI_%s is read, and no line of the table is about it", name)
		}
	}
}

// What is wrong with a variable is said, and then the file's value stays.
func TestVariablesOverFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "node.yml")
	if err := os.WriteFile(path, []byte("scope: shop\nname: db1\nlog: {level: ERROR, file_num: 3}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ variable, key, want, warned string }{
		{"PATRONI_LOG_LEVEL=INFO", "log.level", `"INFO"`, ""},
		{"PATRONI_LOG_LEVEL=", "log.level", `"ERROR"`, ""},
		{"PATRONI_LOGLEVEL=INFO", "log.level", `"INFO"`, ""},
		{"PATRONI_LOG_FILE_NUM=many", "log.file_num", "3", "PATRONI_LOG_FILE_NUM: log.file_num: many: ignored: it must be a whole number"},
		{"PATRONI_LOG_FILE_NUMM=5", "log.file_num", "3", "PATRONI_LOG_FILE_NUMM: unknown variable, it has no effect; did you mean PATRONI_LOG_FILE_NUM?"},
		{"PATRONI_CTL_INSECURE=maybe", "ctl", "null", "PATRONI_CTL_INSECURE: ctl.insecure: maybe: ignored: it must be a boolean (on or off)"},
		{"PATRONI_ETCD3_HOSTS={", "etcd3", "null", "PATRONI_ETCD3_HOSTS: etcd3.hosts: {: ignored: it must be a list (a, b, c)"},
		{"patroni_name=db2", "name", `"db1"`, ""},
		{"PATRONI_CONFIGURATION=name: db2", "name", `"db1"`, ""}, // a path wins
		{"PATRONI_FOO_HOST=x", "foo.host", `"x"`, ""},
		{"PATRONI_ETCD3_HOST=", "etcd3.host", `""`, ""},
	} {
		var col collector
		tree, err := col.readTree(path, []string{c.variable})
		if err != nil {
			t.Fatal(err)
		}
		if got := string(tree.at(strings.Split(c.key, ".")...).Compact()); got != c.want {
			t.Errorf("%s: %s is %s, want %s", c.variable, c.key, got, c.want)
		}
		if got := col.warnings.Error(); got != c.warned {
			t.Errorf("%s: told %q, want %q", c.variable, got, c.warned)
		}
	}
	both := []string{"PATRONI_LOGLEVEL=INFO", "PATRONI_LOG_LEVEL=DEBUG"}
	var col collector
	if tree, err := col.readTree(path, both); err != nil || tree.at("log", "level").Text != "DEBUG" {
		t.Errorf("the old name counts beside the new one: %v", err)
	}
	alone := []string{"PATRONI_CONFIGURATION={name: db3, scope: blog}", "PATRONI_NAME=db4"}
	if tree, err := col.readTree("", alone); err != nil || tree.Get("name").Text != "db3" {
		t.Errorf("PATRONI_CONFIGURATION does not count alone: %v", err)
	}
	if got := ChildEnviron([]string{"PATH=/bin", "PATRONI_SUPERUSER_PASSWORD=x", "KUBERNETES_PORT=1", "PATRONI_NONSENSE=1"}); strings.Join(got, " ") != "PATH=/bin" {
		t.Errorf("children get %q", got)
	}
}
