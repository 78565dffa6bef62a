package dcs

import "strings"

// Keys of a cluster, relative to its base path. Source: Patroni 4.1, dcs/__init__.py, AbstractDCS.
const (
	KeyInitialize   = "initialize"
	KeyConfig       = "config"
	KeyLeader       = "leader"
	KeyStatus       = "status"
	KeyLegacyOptime = "optime/leader"
	KeyFailover     = "failover"
	KeySync         = "sync"
	KeyHistory      = "history"
	KeyFailsafe     = "failsafe"
	// MembersPrefix precedes the name of a member.
	MembersPrefix = "members/"
)

// DefaultNamespace is the namespace of a configuration that names none.
const DefaultNamespace = "service"

// Namespace gives the path under which all clusters of a namespace lie, with a slash at its end: runs of
// slashes count as one, and an empty namespace is the default one.
func Namespace(namespace string) string {
	if namespace == "" {
		namespace = DefaultNamespace
	}
	return squeeze("/" + namespace + "/")
}

// Base gives the path under which the keys of one cluster lie, with a slash at its end.
func Base(namespace, scope string) string {
	return squeeze(Namespace(namespace) + scope + "/")
}

// MemberKey gives the relative key of a member.
func MemberKey(name string) string { return MembersPrefix + name }

// memberName gives the name in the relative key of a member; members/a/b is none.
func memberName(key string) (string, bool) {
	name, ok := strings.CutPrefix(key, MembersPrefix)
	return name, ok && name != "" && !strings.Contains(name, "/")
}

func squeeze(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}
