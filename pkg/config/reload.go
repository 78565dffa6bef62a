package config

import "strings"

// startOnly are the keys that are read once, when the agent starts. Source: configuration.md 6.
var startOnly = []string{
	"name", "scope", "namespace", "etcd3.protocol", "etcd3.cacert", "etcd3.cert", "etcd3.key", "etcd.protocol", "etcd.cacert", "etcd.cert", "etcd.key",
	"postgresql.data_dir", "postgresql.config_dir", "postgresql.bin_dir", "postgresql.pgpass", "postgresql.database",
	"postgresql.config_base_name", "restapi.request_queue_size",
}

// Reloaded gives the configuration that is in force after a reload: what the files say now, but for the keys that are
// read at the start of the agent only. changed tells whether anything differs, needRestart which of those keys do.
func Reloaded(before, files *Config) (now *Config, changed bool, needRestart Problems) {
	for _, key := range startOnly {
		path := strings.Split(key, ".")
		a, b := before.tree.at(path...), files.tree.at(path...)
		if SameData(a, b) {
			continue
		}
		if b.null() {
			b = &Node{file: files.tree.where()}
		}
		needRestart = append(needRestart, problemAt(b, key, "was changed, and is read at the start of the agent only; restart the agent for it"))
	}
	next := *files
	next.Name, next.Scope, next.Namespace = before.Name, before.Scope, before.Namespace
	p, old := &next.Postgres, before.Postgres
	p.DataDir, p.ConfigDir, p.BinDir, p.PassFile, p.Database, p.ConfigBaseName = old.DataDir, old.ConfigDir, old.BinDir, old.PassFile, old.Database, old.ConfigBaseName
	next.RestAPI.RequestQueueSize = before.RestAPI.RequestQueueSize
	return &next, !SameData(before.tree, files.tree), needRestart
}
