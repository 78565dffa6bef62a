package ctl

import (
	"slices"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// RoleNames are the words that --role accepts.
var RoleNames = []string{"leader", "primary", "standby-leader", "replica", "standby", "any"}

// OfRole gives the members of a role, by name. The leader is who holds the leader key.
func OfRole(v *cluster.View, role string) []cluster.Member {
	var list []cluster.Member
	for _, m := range v.Members {
		leads := m.Name == v.Leader.Name
		var is bool
		switch role {
		case "leader":
			is = leads
		case "primary":
			is = leads && m.Role != cluster.RoleStandbyLeader
		case "standby-leader":
			is = leads && m.Role != cluster.RolePrimary
		case "replica", "standby":
			is = !leads
		default:
			is = true
		}
		if is {
			list = append(list, m)
		}
	}
	return list
}

// CheckMembers refuses a cluster without members of the role, unless some are named.
func CheckMembers(name string, members []cluster.Member, named []string) error {
	if len(members) == 0 && len(named) == 0 {
		return refuse("%s cluster doesn't have any members", name)
	}
	return nil
}

// Pick keeps of the members those that are named, all if none is. what names the role in the message if
// none remains.
func Pick(members []cluster.Member, named []string, what string) ([]cluster.Member, error) {
	if len(named) == 0 {
		return members, nil
	}
	var list []cluster.Member
	for _, m := range members {
		if slices.Contains(named, m.Name) {
			list = append(list, m)
		}
	}
	if len(list) == 0 {
		return nil, refuse("No %s among provided members", what)
	}
	return list, nil
}

// Names gives the names of members.
func Names(members []cluster.Member) []string {
	var names []string
	for _, m := range members {
		names = append(names, m.Name)
	}
	return names
}

// One gives the first member by name of a role, or the member that is named; the leader if neither is given, nil
// if there is no such member.
func One(v *cluster.View, role, named string) (*cluster.Member, error) {
	if role != "" && named != "" {
		return nil, refuse("--role and --member are mutually exclusive options")
	}
	if role == "" {
		role = "leader"
		if named != "" {
			role = "any"
		}
	}
	for _, m := range OfRole(v, role) {
		if named == "" || m.Name == named {
			return &m, nil
		}
	}
	return nil, nil
}
