package view

import (
	"strings"

	"github.com/hathi-ha/hathi/pkg/ctl"
)

// tree orders the members as they replicate from each other, depth first and by name, and gives each one's
// indented name. Replicas that name each other in a circle hang under the leader.
func tree(c ctl.Cluster) (ordered []ctl.Member, names []string) {
	children := map[string][]ctl.Member{}
	root := ""
	for _, m := range c.Members {
		if m.Leads {
			root = m.Name
		}
	}
	replicas := map[string]ctl.Member{}
	for _, m := range c.Members {
		if !m.Leads {
			replicas[m.Name] = m
		}
	}
	for _, m := range c.Members {
		if m.Leads {
			ordered, names = append(ordered, m), append(names, m.Name)
			continue
		}
		children[parent(m, replicas, root)] = append(children[parent(m, replicas, root)], m)
	}
	var walk func(of string, depth int)
	walk = func(of string, depth int) {
		for _, m := range children[of] {
			ordered = append(ordered, m)
			names = append(names, strings.Repeat("  ", depth)+"+ "+m.Name)
			walk(m.Name, depth+1)
		}
	}
	walk(root, 0)
	return ordered, names
}

// parent is the replica that m replicates from, or the root, whose name is empty without a leader.
func parent(m ctl.Member, replicas map[string]ctl.Member, root string) string {
	from := m.Tags.ReplicateFrom()
	if _, known := replicas[from]; !known || from == m.Name {
		return root
	}
	seen := map[string]bool{}
	for up := from; !seen[up]; {
		seen[up] = true
		next, ok := replicas[up]
		if !ok {
			return from
		}
		if up = next.Tags.ReplicateFrom(); up == m.Name {
			return root // a circle that leads back here
		}
	}
	return from
}
