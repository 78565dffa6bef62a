package doctor

import (
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
)

// truth reads a boolean at a path.
func (f file) truth(path string) bool {
	n := f.at(path)
	if n == nil {
		return false
	}
	on, ok := cluster.ParseBool(n.Text)
	return ok && on
}

func openAPI(f file) []Finding {
	listen := f.text("restapi.listen")
	if listen == "" || local(hostOf(listen)) || f.at("restapi.authentication") != nil || f.at("restapi.allowlist") != nil ||
		f.truth("restapi.allowlist_include_members") || f.text("restapi.verify_client") == "required" || f.text("restapi.verify_client") == "optional" {
		return nil
	}
	return f.find(Risk, "restapi.listen", listen+" lets everybody in who reaches it",
		"who may change the configuration can have PostgreSQL run any command (archive_command), and switch the cluster over",
		"set restapi.authentication, restapi.allowlist with restapi.allowlist_include_members, or restapi.verify_client")
}

func sharedPassword(f file) []Finding {
	const key = "postgresql.authentication.replication"
	own, super := f.text(key+".username"), f.text("postgresql.authentication.superuser.username")
	if own == "" || own != super {
		return nil
	}
	return f.find(Risk, key+".username", own+" is the superuser, too", "who gets hold of the replication password can do everything", "give replication a role of its own")
}

// endpoints are the etcd endpoints that the file names; nil if they are looked up.
func (f file) endpoints() []string {
	if f.Config == nil || f.Config.Etcd.SRV != "" || f.Config.Etcd.UseProxies {
		return nil
	}
	return f.Config.Etcd.Hosts
}

func singleEtcd(f file) []Finding {
	list := f.endpoints()
	if len(list) != 1 {
		return nil
	}
	return f.find(Risk, f.Config.Etcd.Section, "names a single etcd, "+list[0],
		"when it is down at the start of a node, or is the only one, nobody can be leader and writes stop",
		"run three etcd members on three machines and name them all under "+f.Config.Etcd.Section+".hosts; failsafe_mode: true helps meanwhile")
}

func openEtcd(f file) []Finding {
	list := f.endpoints()
	if len(list) == 0 || f.Config.Etcd.Protocol == "https" && (f.Config.Etcd.Cert != "" || f.Config.Etcd.Username != "") {
		return nil
	}
	for _, e := range list {
		if !local(hostOf(e)) && f.Config.Etcd.Username == "" && f.Config.Etcd.Cert == "" {
			return f.find(Hint, f.Config.Etcd.Section, "speaks to etcd without credentials",
				"who can write to etcd is the master of the cluster: a member runs what /config says",
				"use client certificates (protocol: https, cacert, cert, key), or username and password over https")
		}
	}
	return nil
}

func strictWithoutMode(f file) []Finding {
	const key = "bootstrap.dcs.synchronous_mode_strict"
	if !f.truth(key) || f.at("bootstrap.dcs.synchronous_mode") != nil {
		return nil
	}
	return f.find(Mistake, key, "has no effect without synchronous_mode", "commits do not wait for any standby, so a failover can lose them",
		"add synchronous_mode: true or quorum")
}

// parameter finds a parameter of PostgreSQL, in the cluster's part of the file or the node's.
func (f file) parameter(name string) *config.Node {
	for _, section := range []string{"bootstrap.dcs.postgresql.parameters", "postgresql.parameters"} {
		if n := f.at(section + "." + name); n != nil {
			return n
		}
	}
	return nil
}

func unlimitedSlots(f file) []Finding {
	n := f.at("bootstrap.dcs.postgresql.use_slots")
	off := false
	if n != nil {
		on, ok := cluster.ParseBool(n.Text)
		off = ok && !on
	}
	if f.at("bootstrap.dcs") == nil || off || f.parameter("max_slot_wal_keep_size") != nil {
		return nil
	}
	return f.find(Hint, "bootstrap.dcs.postgresql.parameters", "max_slot_wal_keep_size is not set",
		"a replica that is gone keeps its slot for member_slots_ttl, and a permanent slot for ever; WAL kept for it can fill the disk of the primary, which then stops",
		"set max_slot_wal_keep_size to what the disk can spare, such as 50GB")
}

// noChecksums: initdb is told nothing about checksums, and pg_rewind is on.
func noChecksums(f file) []Finding {
	rewind := f.truth("bootstrap.dcs.postgresql.use_pg_rewind") || f.truth("postgresql.use_pg_rewind")
	if f.Config == nil || !f.Config.Bootstrap.Present || f.Config.Bootstrap.Method.Name != "initdb" || !rewind {
		return nil
	}
	for _, arg := range f.Config.Bootstrap.Initdb {
		if strings.Contains(arg, "data-checksums") {
			return nil
		}
	}
	return f.find(Hint, "bootstrap.initdb", "does not ask for data checksums",
		"before PostgreSQL 18 a cluster has none by default: damaged blocks go unnoticed, and pg_rewind needs wal_log_hints instead",
		"add data-checksums to bootstrap.initdb before the cluster is founded, or run pg_checksums on the stopped cluster")
}
