package doctor

import (
	"fmt"
	"strings"

	"github.com/hathi-ha/hathi/pkg/config"
)

// together compares the files of a cluster with each other.
func together(files []file) []Finding {
	var found []Finding
	for i, f := range files {
		for _, before := range files[:i] {
			found = append(found, pair(before, f)...)
		}
	}
	return append(found, nobodyLeads(files)...)
}

// pair compares a file with one before it; findings are about the second.
func pair(a, b file) []Finding {
	var found []Finding
	differ := func(key, why, fix string) {
		if !config.SameData(a.at(key), b.at(key)) {
			found = append(found, b.find(Mistake, key, "is not the same as in "+a.Path, why, fix)...)
		}
	}
	differ("scope", "the two nodes found two clusters", "give all nodes of a cluster the same scope")
	differ("namespace", "the two nodes look for the cluster at different places in etcd", "give all nodes the same namespace")
	if a.text("scope") != b.text("scope") {
		return found
	}
	if name := b.text("name"); name != "" && name == a.text("name") {
		found = append(found, b.find(Mistake, "name", name+" is the name of "+a.Path+", too",
			"the second node refuses to start, or the two take turns", "give each node a name of its own")...)
	}
	found = append(found, sameAddress(a, b)...)
	for _, role := range []string{"superuser", "replication", "rewind"} {
		key := "postgresql.authentication." + role
		differ(key, "roles are copied with the data: after a failover this node can't log in any more", "give all nodes the same names and passwords")
	}
	if x, y := a.at("bootstrap.dcs"), b.at("bootstrap.dcs"); x != nil && y != nil && !config.SameData(x, y) {
		found = append(found, b.find(Risk, "bootstrap.dcs", "is not the same as in "+a.Path,
			"the node that comes first founds the cluster, so chance decides which one counts", "write the same into all files; later changes are made with hathi edit-config")...)
	}
	return found
}

// sameAddress: two members under one address, which copying a file does.
func sameAddress(a, b file) []Finding {
	var found []Finding
	for _, key := range addresses {
		mine, theirs := b.text(key), a.text(key)
		if mine == "" || mine != theirs {
			continue
		}
		guilty, other := b, a
		if host := hostOf(mine); host == b.text("name") || strings.HasPrefix(host, b.text("name")+".") {
			guilty, other = a, b
		}
		found = append(found, guilty.find(Mistake, key, fmt.Sprintf("%s is the address of %s (%s), too", mine, other.text("name"), other.Path),
			"others take the two members for one: replicas follow the wrong server, and a switchover asks the wrong one", "write this node's own address")...)
	}
	return found
}

func nobodyLeads(files []file) []Finding {
	if len(files) < 2 {
		return nil
	}
	var last []Finding
	for _, f := range files {
		priority := f.text("tags.failover_priority")
		if !f.truth("tags.nofailover") && (priority == "" || priority[0] != '-' && priority != "0") {
			return nil
		}
		last = f.find(Mistake, "tags", "all of these nodes are excluded from failover", "nobody takes over when the leader dies",
			"let at least two nodes do without nofailover and with a failover_priority above 0")
	}
	return last
}
