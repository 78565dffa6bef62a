package config

import (
	"slices"
	"strconv"
	"strings"
)

// RunningServer is a server as it was found, for a configuration of its own.
type RunningServer struct {
	ClusterName      string // empty: it has none
	DataDir, BinDir  string
	Listen           string // listen_addresses
	Port             int    // that it listens on
	ConnectPort      int    // that we have reached it by; zero: the same
	Superuser        Credentials
	PasswordUnknown  bool // it let us in without one that we know
	Parameters       []Parameter
	PgHBA, PgIdent   []string // nil where the file is not at its default place
	Checksums, Hints bool     // pg_rewind needs one of them
}

// localParameters are those that belong to this node's file: what they name may lie elsewhere on the next.
// Source: configuration.md 9.3.
var localParameters = []string{
	"archive_command", "restore_command", "archive_cleanup_command", "recovery_end_command", "ssl_passphrase_command",
	"hba_file", "ident_file", "config_file",
}

// leftOut are parameters that hathi sets by itself. Patroni copies the two of a replica, and with them one server's
// source to all.
var leftOut = []string{
	"listen_addresses", "port", "cluster_name", "data_directory", "primary_conninfo", "primary_slot_name", "synchronous_standby_names",
}

// FromServer makes a configuration for a server that runs already: what was found, laid over what a sample has.
func FromServer(host, address string, environ []string, s RunningServer) *Node {
	shared, local := &Node{Kind: Map}, &Node{Kind: Map}
	for _, p := range s.Parameters {
		switch name := strings.ToLower(p.Name); {
		case slices.Contains(leftOut, name):
		case slices.Contains(localParameters, name):
			local = local.with(name, word(p.Value))
		default:
			shared = shared.with(name, word(p.Value))
		}
	}
	connect := s.ConnectPort
	if connect == 0 {
		connect = s.Port
	}
	superuser := mapping("username", word(s.Superuser.Username)).with("password", word(s.Superuser.Password.Reveal()))
	if s.PasswordUnknown {
		superuser = superuser.with("password", word(fixme))
	}
	for _, o := range s.Superuser.Options {
		superuser = superuser.with(o.Name, word(o.Value))
	}
	listen := s.Listen + ":" + strconv.Itoa(s.Port) // several hosts have one port
	null := &Node{Kind: Null}                       // removes what the sample has
	tree, _ := patched(skeleton(), mapping("postgresql", mapping("parameters", null).with("authentication", null).with("pg_hba", null)).
		with("bootstrap", mapping("initdb", null).with("dcs", mapping("postgresql", mapping("parameters", null)))))
	pg := mapping("data_dir", word(s.DataDir)).
		with("bin_dir", word(s.BinDir)).
		with("listen", word(listen)).
		with("connect_address", word(Address{address, connect}.String())).
		with("authentication", mapping("superuser", superuser).
			with("replication", mapping("username", word(fixme)).with("password", word(fixme)))).
		with("pg_hba", lines(s.PgHBA)).with("pg_ident", lines(s.PgIdent)).with("parameters", local)
	tree, _ = patched(tree, mapping("postgresql", pg).with("bootstrap", mapping("dcs", mapping("postgresql",
		mapping("use_pg_rewind", boolNode(s.Checksums || s.Hints, "")).with("parameters", shared)))))
	if s.ClusterName != "" {
		tree = tree.with("scope", word(s.ClusterName))
	}
	return finished(tree, host, address, environ)
}

// lines makes a list; nil of nothing.
func lines(list []string) *Node {
	if len(list) == 0 {
		return nil
	}
	n := &Node{Kind: List}
	for _, line := range list {
		n.Items = append(n.Items, word(line))
	}
	return n
}
