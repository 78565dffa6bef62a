package config

// DynamicKeys are the keys of the cluster's configuration, as dotted paths, for completion. Source:
// configuration.md 4.
func DynamicKeys() []string {
	return []string{
		"check_timeline", "failsafe_mode", "ignore_slots", "loop_wait", "max_timelines_history", "maximum_lag_on_failover",
		"maximum_lag_on_syncnode", "member_slots_ttl", "pause", "postgresql.parameters", "postgresql.pg_hba",
		"postgresql.pg_ident", "postgresql.recovery_conf", "postgresql.remove_data_directory_on_diverged_timelines",
		"postgresql.remove_data_directory_on_rewind_failure", "postgresql.use_pg_rewind", "postgresql.use_slots",
		"primary_start_timeout", "primary_stop_timeout", "retry_timeout", "slots", "standby_cluster.archive_cleanup_command",
		"standby_cluster.create_replica_methods", "standby_cluster.host", "standby_cluster.port",
		"standby_cluster.primary_slot_name", "standby_cluster.recovery_min_apply_delay", "standby_cluster.restore_command",
		"synchronous_mode", "synchronous_mode_strict", "synchronous_node_count", "ttl",
	}
}

// SharedParameters are the parameters of PostgreSQL that only the cluster's configuration may set.
func SharedParameters() []string {
	var names []string
	for _, name := range sortedKeys(controlled) {
		if controlled[name].accept != nil {
			names = append(names, name)
		}
	}
	return names
}

// Paths gives the dotted paths of all values in a mapping, but those within lists, in the order of the document.
func (n *Node) Paths() []string {
	var list []string
	for _, e := range entriesOf(n) {
		inner := e.Value.Paths()
		if len(inner) == 0 {
			list = append(list, e.Key)
		}
		for _, p := range inner {
			list = append(list, e.Key+"."+p)
		}
	}
	return list
}
