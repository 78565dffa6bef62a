package config

import "strings"

// Strict adds to the errors of a configuration what --validate-config demands beyond what a start does: the addresses
// that other members are told, and the superuser. Source: configuration.md 9.1.
func (in Inspection) Strict() Problems {
	list := append(Problems{}, in.Errors...)
	for _, path := range []string{"restapi.connect_address", "postgresql.connect_address", "postgresql.authentication.superuser.username"} {
		parts := strings.Split(path, ".")
		if n := in.Tree.At(parts...); n != nil && n.Text != "" {
			continue
		}
		at := in.Tree
		for i := range parts {
			if n := in.Tree.At(parts[:i]...); n != nil {
				at = n
			}
		}
		missing := Problem{Where: at.Where(), Key: path, Text: "required, but missing; add it"}
		if !known(list, path) {
			list = append(list, missing)
		}
	}
	return list.sorted()
}

func known(list Problems, key string) bool {
	for _, p := range list {
		if p.Key == key {
			return true
		}
	}
	return false
}

// Validation gives a problem as --validate-config prints it: path, value and message, then where that is.
func (p Problem) Validation() string {
	text := p.Text
	if strings.HasPrefix(text, "required, but missing") {
		text = "is not defined."
	}
	line := p.Key + " " + p.Value + " " + text
	if p.Key == "" {
		line = p.Text
	}
	if p.Where != "" {
		line += " (" + p.Where + ")"
	}
	return line
}
