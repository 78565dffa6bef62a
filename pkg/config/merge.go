package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Effective is what a node runs with: defaults < cluster < files < environment.
type Effective struct {
	// Settings are those of the cluster, with the flags that a local file may override.
	Settings cluster.Settings
	// Postgres is the merged section; its Parameters are those that are not on the command line, sorted by
	// name, without recovery settings. Its Recovery has those that were given among the parameters.
	Postgres Postgres
	// Controlled are the parameters that all members must agree on, in the order of the postmaster's command
	// line. listen_addresses, port and cluster_name, which come before them, are not among them.
	Controlled []Parameter
}

// Merge puts the cluster's configuration below the local one. major is PostgreSQL's major version, zero if not
// yet known (then as for the newest). Source: configuration.md 1.4 and 4.4; postgresql.md 4.2 to 4.4, 4.8.
func Merge(local *Config, dyn Dynamic, major int) (Effective, Problems) {
	var c collector
	e := Effective{Settings: dyn.Settings}
	doc := dyn.doc
	shared := doc.Get("postgresql")
	if shared.null() || shared.Kind != Map {
		shared = &Node{Kind: Map}
	}
	for _, name := range localOnly {
		shared = shared.with(name, nil)
	}
	own := modernPostgres(local.tree.Get("postgresql"))
	merged := overlay(shared, own)
	s := c.enter(merged, "postgresql")
	e.Postgres = decodePostgres(s, false)
	if sc := e.Settings.StandbyCluster; sc != nil {
		e.Postgres.CreateReplicaMethods = s.methods(sc.CreateReplicaMethods)
	}
	for _, m := range e.Postgres.CreateReplicaMethods {
		e.Settings.CopyWithoutLeader = e.Settings.CopyWithoutLeader || m.NoLeader && m.Command != ""
	}

	values := map[string]string{}
	for _, p := range e.Postgres.Parameters {
		if _, ok := controlled[p.Name]; !ok {
			values[p.Name] = p.Value
		}
	}
	c.controlledParameters(doc, major, values)
	e.takeRecovery(values)
	for _, name := range commandLine {
		e.Controlled = append(e.Controlled, Parameter{name, values[name]})
		delete(values, name)
	}
	e.Postgres.Parameters = nil
	for _, name := range sortedKeys(values) {
		e.Postgres.Parameters = append(e.Postgres.Parameters, Parameter{name, values[name]})
	}
	e.Settings.UsePgRewind = e.Postgres.UsePgRewind
	e.Settings.RemoveDataDirOnRewindFailure = e.Postgres.RemoveOnRewindError
	e.Settings.RemoveDataDirOnDivergedTimeline = e.Postgres.RemoveOnDivergence
	return e, append(c.errors, c.warnings...)
}

// overlay lays the local section over the shared one: each local value replaces the shared one as a whole,
// but parameters are merged one by one, whatever the case of their names.
func overlay(shared, own *Node) *Node {
	result := shared
	for _, e := range entriesOf(own) {
		if e.Key == "use_slots" || e.Value.null() {
			continue
		}
		if e.Key == "parameters" && e.Value.Kind == Map {
			params := &Node{Kind: Map}
			for _, list := range [][]Entry{entriesOf(shared.Get("parameters")), e.Value.Entries} {
				for _, p := range list {
					params = params.with(strings.ToLower(p.Key), p.Value)
				}
			}
			e.Value = params
		}
		result = result.with(e.Key, e.Value)
	}
	return result
}

// recoveryNames are settings of recovery, which only the agent writes.
var recoveryNames = strings.Fields(`archive_cleanup_command primary_conninfo primary_slot_name promote_trigger_file
	recovery_end_command recovery_min_apply_delay recovery_target recovery_target_action recovery_target_inclusive
	recovery_target_lsn recovery_target_name recovery_target_time recovery_target_timeline recovery_target_xid
	restore_command standby_mode trigger_file pause_at_recovery_target`)

// takeRecovery moves recovery settings out of the parameters: if there are any, they replace recovery_conf.
func (e *Effective) takeRecovery(values map[string]string) {
	var moved []Parameter
	for _, name := range sortedKeys(values) {
		if slices.Contains(recoveryNames, name) {
			moved = append(moved, Parameter{name, values[name]})
			delete(values, name)
		}
	}
	if moved != nil {
		e.Postgres.Recovery = moved
	}
}

// commandLine is the order of the controlled parameters on the postmaster's command line.
var commandLine = []string{
	"wal_level", "hot_standby", "max_connections", "max_wal_senders", "max_prepared_transactions",
	"max_locks_per_transaction", "track_commit_timestamp", "max_replication_slots", "max_worker_processes", "wal_log_hints",
}

// controlledRule says what a parameter that all members must agree on may be. accept gives the value as it is
// written, and false if it is refused.
type controlledRule struct {
	fallback string
	accept   func(*Node) (string, bool)
}

// controlled are the parameters that only the cluster's configuration may set; those without a rule come from
// other keys. Source: Patroni 4.1, postgresql/config.py, CMDLINE_OPTIONS.
var controlled = map[string]controlledRule{
	"listen_addresses": {}, "port": {}, "cluster_name": {},
	"hot_standby":               {"on", onlyTrue},
	"wal_level":                 {"replica", walLevel},
	"max_connections":           {"100", within(25, maxBackends)},
	"max_wal_senders":           {"10", within(3, maxBackends)},
	"max_prepared_transactions": {"0", within(0, maxBackends)},
	"max_locks_per_transaction": {"64", atLeast(32, "")},
	"max_replication_slots":     {"10", within(4, maxBackends)},
	"max_worker_processes":      {"8", within(2, maxBackends)},
	"track_commit_timestamp":    {"off", booleanSetting},
	"wal_log_hints":             {"on", booleanSetting},
	"wal_keep_segments":         {"", atLeast(1, "")},
	"wal_keep_size":             {"", atLeast(16, "MB")},
}

func onlyTrue(n *Node) (string, bool) {
	v, ok := boolWord(n)
	return "on", ok && v
}

func booleanSetting(n *Node) (string, bool) {
	v, ok := boolWord(n)
	return map[bool]string{true: "on", false: "off"}[v], ok
}

func walLevel(n *Node) (string, bool) {
	switch word := strings.ToLower(scalarText(n)); word {
	case "hot_standby", "replica":
		return "replica", true
	case "logical":
		return word, true
	}
	return "", false
}

// maxBackends is the most that PostgreSQL takes for settings that count processes; with more it does not start.
// Source: PostgreSQL 17, src/include/postmaster/postmaster.h, MAX_BACKENDS.
const maxBackends = 1<<18 - 1

// within accepts integers in a range, normalised.
func within(least, most int64) func(*Node) (string, bool) {
	return func(n *Node) (string, bool) {
		text, ok := atLeast(least, "")(n)
		v, _ := ParseGUC(text, "")
		return text, ok && v <= most
	}
}

// atLeast accepts integers, normalised if they have no unit.
func atLeast(least int64, unit string) func(*Node) (string, bool) {
	return func(n *Node) (string, bool) {
		v, ok := ParseGUC(scalarText(n), unit)
		if n.Kind == Bool || !ok || v < least || v > 1<<31-1 {
			return "", false
		}
		if unit != "" {
			return n.Text, true
		}
		return intString(v), true
	}
}

// controlledParameters puts the controlled parameters of the document, or their defaults, into values, which
// may be nil.
func (c *collector) controlledParameters(doc *Node, major int, values map[string]string) {
	given := map[string]*Node{}
	params := doc.at("postgresql", "parameters")
	if !params.null() && params.Kind != Map {
		c.fail(params, "postgresql.parameters", "must be a mapping")
	}
	for _, e := range entriesOf(params) {
		if c.parameter(e, "postgresql.parameters."+e.Key) {
			given[strings.ToLower(e.Key)] = e.Value
		}
	}
	if values == nil {
		values = map[string]string{}
	}
	for _, name := range sortedKeys(controlled) {
		rule, n := controlled[name], given[name]
		if rule.accept == nil {
			if !n.null() {
				c.warn(n, "postgresql.parameters."+name, "ignored: each node has its own, from its local configuration")
			}
			continue
		}
		values[name] = rule.fallback
		if n.null() {
			continue
		}
		if v, ok := rule.accept(n); ok {
			values[name] = v
		} else {
			c.warn(n, "postgresql.parameters."+name, fmt.Sprintf("postgresql parameter %s=%s failed validation, defaulting to %s", name, n.textForm(), rule.fallback))
		}
	}
	walKeep(values, major)
}

// walKeep translates between the names of PostgreSQL 12 and later. Source: postgresql.md 4.4.
func walKeep(values map[string]string, major int) {
	segments, size := values["wal_keep_segments"], values["wal_keep_size"]
	delete(values, "wal_keep_segments")
	delete(values, "wal_keep_size")
	if major != 0 && major < 13 {
		values["wal_keep_segments"] = "8"
		if mb, ok := ParseGUC(size, "MB"); ok && size != "" {
			values["wal_keep_segments"] = intString((mb + 8) / 16)
		}
		if segments != "" {
			values["wal_keep_segments"] = segments
		}
		return
	}
	values["wal_keep_size"] = "128MB"
	if n, ok := ParseGUC(segments, ""); ok && segments != "" {
		values["wal_keep_size"] = intString(n*16) + "MB"
	}
	if size != "" {
		values["wal_keep_size"] = size
	}
}
