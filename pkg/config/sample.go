package config

import (
	"cmp"
	"slices"
)

// fixme marks what only the user knows.
const fixme = "#FIXME"

// sampleOrder is the order of the sections in a sample. Source: configuration.md 9.2.
var sampleOrder = []string{
	"scope", "namespace", "name", "log", "restapi", "ctl", "etcd", "etcd3", "bootstrap", "postgresql", "watchdog", "tags",
}

// Sample makes a configuration to start from, for a host and one of its addresses, with what the PATRONI_* variables
// say laid over it. Unlike Patroni's it names a store, and has no tags that exclude each other.
func Sample(host, address string, environ []string) *Node {
	pg := word(Address{address, 5432}.String())
	tree, _ := patched(skeleton(), mapping("postgresql", mapping("listen", pg).with("connect_address", pg)))
	return finished(tree, host, address, environ)
}

// skeleton is what samples have in common.
func skeleton() *Node {
	text := `scope: '` + fixme + `'
name: x
log: {type: plain, level: INFO, traceback_level: ERROR, format: '%(asctime)s %(levelname)s: %(message)s', max_queue_size: 1000}
restapi: {listen: x, connect_address: x}
etcd3: {hosts: ['` + fixme + `:2379']}
bootstrap:
  dcs:
    ttl: 30
    loop_wait: 10
    retry_timeout: 10
    maximum_lag_on_failover: 1048576
    postgresql:
      use_pg_rewind: true
      use_slots: true
      parameters: {hot_standby: 'on', wal_level: replica, max_connections: 100, max_wal_senders: 10, max_prepared_transactions: 0,
        max_locks_per_transaction: 64, max_replication_slots: 10, max_worker_processes: 8, track_commit_timestamp: 'off',
        wal_log_hints: 'on', wal_keep_size: 128MB, max_slot_wal_keep_size: 50GB}
  initdb: [{encoding: UTF8}, data-checksums]
postgresql:
  listen: x
  connect_address: x
  data_dir: '` + fixme + `'
  authentication:
    superuser: {username: postgres, password: '` + fixme + `'}
    replication: {username: replicator, password: '` + fixme + `'}
    rewind: {username: rewind_user, password: '` + fixme + `'}
  parameters: {password_encryption: scram-sha-256}
  pg_hba: [local all all scram-sha-256, host all all all scram-sha-256, host replication replicator all scram-sha-256]
tags: {failover_priority: 1, sync_priority: 1, noloadbalance: false, clonefrom: true, nostream: false}
`
	tree, err := ParseYAML("sample", []byte(text))
	if err != nil {
		panic(err) // the text is above
	}
	return tree
}

func word(s string) *Node { return &Node{Kind: String, Text: s} }

// mapping makes a mapping of one key.
func mapping(key string, value *Node) *Node { return (&Node{Kind: Map}).with(key, value) }

// finished lays over a sample what is known of the host, and then the variables, and puts the sections in order.
func finished(tree *Node, host, address string, environ []string) *Node {
	rest := word(Address{address, 8008}.String())
	tree, _ = patched(tree, mapping("name", word(host)).with("restapi", mapping("listen", rest).with("connect_address", rest)))
	var c collector
	given := c.environment(environ)
	if given.Get("etcd") != nil || given.Get("etcd3") != nil {
		tree = tree.with("etcd3", nil)
	}
	tree, _ = patched(tree, given)
	slices.SortStableFunc(tree.Entries, func(a, b Entry) int {
		return cmp.Compare(slices.Index(sampleOrder, a.Key), slices.Index(sampleOrder, b.Key))
	})
	return tree
}

// SampleNote is the comment before a section of a sample; empty for none.
func SampleNote(section string) string {
	return map[string]string{
		"bootstrap": "# Used once, by the node that founds the cluster. Later changes of what is under dcs: hathi edit-config.\n" +
			"# loop_wait + 2 * retry_timeout must not be more than ttl.\n",
		"postgresql": "# This node's server. pg_hba: name your networks instead of all.\n",
	}[section]
}
