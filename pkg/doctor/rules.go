package doctor

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/config"
)

// rules look at one file each.
var rules = []rule{
	misplacedInitdb, misplacedUsers, removedUsers, timings, openAccess, loopback, foreignAddress, unreachable,
	openAPI, sharedPassword, readablePasswords, singleEtcd, openEtcd, strictWithoutMode, unlimitedSlots, noChecksums,
}

func misplacedInitdb(f file) []Finding {
	const key = "bootstrap.dcs.initdb"
	if f.at(key) == nil {
		return nil
	}
	return f.find(Mistake, key, "stands under bootstrap.dcs",
		"Patroni never passes it to initdb there: the database is made without what it asks for, such as data checksums; "+
			"hathi uses it from here, and keeps it out of etcd",
		"move it two columns to the left, to bootstrap.initdb")
}

func misplacedUsers(f file) []Finding {
	const key = "bootstrap.dcs.users"
	if f.at(key) == nil {
		return nil
	}
	return f.find(Mistake, key, "stands under bootstrap.dcs",
		"Patroni stores it in etcd with the passwords, where GET /config shows it to everybody, and creates no role from it; "+
			"hathi ignores it, and keeps it out of etcd",
		"remove it: the roles of postgresql.authentication are created by themselves, others with bootstrap.post_bootstrap. "+
			"If Patroni has run with it, remove users from /config and change the passwords")
}

func removedUsers(f file) []Finding {
	const key = "bootstrap.users"
	if f.at(key) == nil {
		return nil
	}
	return f.find(Mistake, key, "does not exist any more", "Patroni has removed it with version 4.0: no role is created from it",
		"create roles with bootstrap.post_bootstrap")
}

// timings: the sum must fit into the lease, else members change the values each for itself.
func timings(f file) []Finding {
	dcs := f.at("bootstrap.dcs")
	if dcs == nil {
		return nil
	}
	set := cluster.DefaultSettings()
	seconds := func(name string, fallback float64) (float64, bool) {
		n := dcs.At(name)
		if n == nil {
			return fallback, true
		}
		return config.ParseGUCReal(n.Text, "s")
	}
	ttl, ok1 := seconds("ttl", set.TTL.Seconds())
	loop, ok2 := seconds("loop_wait", set.LoopWait.Seconds())
	retry, ok3 := seconds("retry_timeout", set.RetryTimeout.Seconds())
	if !ok1 || !ok2 || !ok3 || ttl >= loop+2*retry {
		return nil
	}
	return f.find(Mistake, "bootstrap.dcs.ttl", fmt.Sprintf("ttl %g < loop_wait %g + 2 * retry_timeout %g = %g", ttl, loop, retry, loop+2*retry),
		"a leader that waits for etcd must have given up before its lease ends; so every member silently uses a shorter loop_wait or retry_timeout",
		fmt.Sprintf("set ttl to at least %g, or lower the two others", loop+2*retry))
}

// openAccess: who may connect from everywhere, and how they prove who they are.
func openAccess(f file) []Finding {
	var found []Finding
	for _, key := range []string{"postgresql.pg_hba", "bootstrap.pg_hba", "bootstrap.dcs.postgresql.pg_hba"} {
		list := f.at(key)
		if list == nil {
			continue
		}
		for i, item := range list.Items {
			level, why, fix := judgeHBA(strings.Fields(item.Text))
			if level != "" {
				found = append(found, Finding{
					Level: level, Where: item.Where(), Key: key + "." + strconv.Itoa(i), What: item.Text, Why: why, Fix: fix,
				})
			}
		}
	}
	return found
}

// judgeHBA judges one line of pg_hba.conf.
func judgeHBA(words []string) (level Level, why, fix string) {
	if len(words) < 4 || strings.HasPrefix(words[0], "#") {
		return "", "", ""
	}
	method := words[len(words)-1]
	for strings.Contains(method, "=") && len(words) > 4 { // options come after the method
		words = words[:len(words)-1]
		method = words[len(words)-1]
	}
	world := words[0] != "local" && (words[3] == "0.0.0.0/0" || words[3] == "::/0" || words[3] == "all" || words[3] == "::0/0")
	const narrow = "name the networks of the applications and of the other members"
	switch {
	case world && method == "trust":
		return Mistake, "everybody who reaches the port is let in without a password, as superuser too", narrow + ", with scram-sha-256"
	case world && method == "password":
		return Mistake, "passwords cross the network in clear text, from everywhere", narrow + ", with scram-sha-256"
	case world && method == "md5":
		return Risk, "open to every address, and an MD5 hash is as good as the password and quickly guessed; PostgreSQL 18 calls it deprecated",
			narrow + ", with scram-sha-256 (set the passwords again after password_encryption is scram-sha-256)"
	case world && words[0] == "host" && !strings.HasPrefix(method, "reject"):
		return Hint, "open to every address, and without TLS too", narrow + ", or use hostssl"
	}
	return "", "", ""
}

// addresses are the keys that tell other members where this one is.
var addresses = []string{"postgresql.connect_address", "restapi.connect_address"}

func hostOf(text string) string {
	host, _, err := net.SplitHostPort(strings.Split(text, ",")[0])
	if err != nil {
		return strings.Trim(text, "[]")
	}
	return host
}

func everywhere(host string) bool {
	return host == "" || host == "*" || host == "0.0.0.0" || host == "::"
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func loopback(f file) []Finding {
	var found []Finding
	for _, key := range addresses {
		text := f.text(key)
		switch host := hostOf(text); {
		case text == "":
		case everywhere(host):
			found = append(found, f.find(Mistake, key, text+" is no address to connect to",
				"other members get it from etcd and connect to themselves with it", "write the name or address by which they reach this node")...)
		case local(host):
			found = append(found, f.find(Hint, key, text+" leads to this machine only",
				"members on other machines connect to themselves with it", "write the name or address by which they reach this node, unless all nodes are on one machine")...)
		}
	}
	return found
}

// foreignAddress: in one file the two addresses should name the same machine; copied files often don't.
func foreignAddress(f file) []Finding {
	pg, api := f.text(addresses[0]), f.text(addresses[1]) // without a text the host is empty, which is everywhere
	a, b := hostOf(pg), hostOf(api)
	if everywhere(a) || everywhere(b) || local(a) || local(b) || a == b || (net.ParseIP(a) == nil) != (net.ParseIP(b) == nil) {
		return nil
	}
	level, what := Risk, fmt.Sprintf("%s names another machine than restapi.connect_address %s", pg, api)
	if name := f.text("name"); b == name && a != name {
		level, what = Mistake, fmt.Sprintf("%s names another machine than this node, %s", pg, name)
	}
	return f.find(level, addresses[0], what, "replicas would copy from, and follow, the wrong server; of two such members neither can follow the other",
		"write the address of this node's own PostgreSQL")
}

func unreachable(f file) []Finding {
	var found []Finding
	for _, section := range []string{"postgresql", "restapi"} {
		listen, connect := f.text(section+".listen"), f.text(section+".connect_address")
		if listen == "" || connect == "" || local(hostOf(connect)) || !local(hostOf(listen)) || strings.Contains(listen, ",") {
			continue
		}
		found = append(found, f.find(Mistake, section+".listen", listen+" accepts connections of this machine only",
			"other members are told to connect to "+connect+", where nobody listens", "listen on that address too, or on 0.0.0.0")...)
	}
	return found
}

// readablePasswords looks at the permissions of the file.
func readablePasswords(f file) []Finding {
	info, err := os.Stat(f.Path)
	password := f.at("postgresql.authentication.superuser.password")
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o004 == 0 || password == nil || !strings.HasPrefix(password.Where(), f.Path+":") {
		return nil
	}
	return []Finding{{
		Level: Risk, Where: f.Path, What: "holds passwords and can be read by every user of the machine",
		Why: "the superuser's password is as good as the data", Fix: "chmod 640 and give it to the group of PostgreSQL's user, or put passwords into PATRONI_SUPERUSER_PASSWORD and the like",
	}}
}
