package config

import (
	"slices"
	"strings"
)

// initdbRefused are options that the agent itself gives, or that make no sense.
var initdbRefused = []string{"pgdata", "nosync", "pwfile", "sync-only", "version"}

func decodeBootstrap(s *section, cfg *Config) Bootstrap {
	b := Bootstrap{Present: s.node != nil, DCS: []byte("{}"), Method: Method{Name: "initdb"}}
	if !b.Present {
		return b
	}
	b.PgHBA, b.PostBootstrap = s.strings("pg_hba"), s.textOr("post_bootstrap", s.text("post_init"))
	initdb := s.get("initdb")
	if name := s.text("method"); name != "" && name != "initdb" {
		if m := s.method(name); m.Command != "" {
			b.Method = m
		} else {
			s.c.fail(s.node.Get("method"), s.key("method"), "there is no section "+s.key(name)+" with a command")
		}
	}
	dcs := s.sub("dcs")
	if dcs.node == nil {
		s.c.warn(s.node, s.key("dcs"), "is missing; the cluster will start with the defaults")
	} else {
		doc, misplaced := cleanDCS(s.c, dcs.node, initdb != nil)
		if initdb == nil {
			initdb = misplaced
		}
		b.DCS = doc.Compact()
		s.c.checkBootstrapDCS(doc)
	}
	if initdb != nil {
		b.Initdb = s.c.options(initdb, s.key("initdb"), initdbRefused, true)
	}
	if n := s.get("users"); n != nil {
		s.c.warn(n, s.key("users"), "has no effect; the roles of postgresql.authentication are created, others with post_bootstrap")
	}
	s.done()
	return b
}

// cleanDCS takes out of bootstrap.dcs what does not belong there; everything in it could be read by anybody
// through the REST API. It gives the misplaced options of initdb, which users mean to be used.
func cleanDCS(c *collector, dcs *Node, haveInitdb bool) (doc, initdb *Node) {
	doc = dcs
	if n := dcs.Get("initdb"); !n.null() {
		text := "belongs under bootstrap, not bootstrap.dcs; it is used from here, and not stored in etcd"
		if haveInitdb {
			text = "ignored: it belongs under bootstrap, where there is one already"
		} else {
			initdb = n
		}
		c.warn(n, "bootstrap.dcs.initdb", text)
	}
	if n := dcs.Get("users"); !n.null() {
		c.warn(n, "bootstrap.dcs.users", "ignored, and not stored in etcd: everybody could read the passwords there; the roles of postgresql.authentication are created")
	}
	for _, name := range []string{"restapi", "ctl", "etcd", "etcd3", "log", "tags", "watchdog", "bootstrap", "post_bootstrap", "post_init"} {
		if n := dcs.Get(name); n != nil {
			c.warn(n, "bootstrap.dcs."+name, "ignored, and not stored in etcd: it belongs into the local configuration")
			doc = doc.with(name, nil)
		}
	}
	doc = doc.with("initdb", nil).with("users", nil)
	pg := doc.Get("postgresql")
	if pg.null() || pg.Kind != Map {
		return doc, initdb
	}
	for _, name := range localOnly {
		if n := pg.Get(name); n != nil {
			c.warn(n, "bootstrap.dcs.postgresql."+name, "ignored, and not stored in etcd: it belongs to the local postgresql section")
			pg = pg.with(name, nil)
		}
	}
	return doc.with("postgresql", pg), initdb
}

// checkBootstrapDCS tells what the members would make of the document, at the lines where it was written.
func (c *collector) checkBootstrapDCS(doc *Node) {
	var check collector
	check.dynamic(doc)
	for _, p := range check.errors {
		p.Key = "bootstrap.dcs." + p.Key
		c.errors = append(c.errors, p)
	}
	for _, p := range check.warnings {
		p.Key = "bootstrap.dcs." + p.Key
		c.warnings = append(c.warnings, p)
	}
}

// options turns a list (words, or one-entry mappings) or a mapping into --key and --key=value. Refused ones
// are a mistake for initdb (strict), else left out. Source: postgresql.md 5.2.
func (c *collector) options(n *Node, path string, refused []string, strict bool) []string {
	entries := n.Entries
	if n.Kind == List {
		for _, e := range n.Items {
			switch {
			case e.Kind == Map && len(e.Entries) == 1:
				entries = append(entries, e.Entries[0])
			case e.Kind == String && e.Text != "":
				entries = append(entries, Entry{e.Text, nil})
			default:
				c.fail(e, path, "each item must be an option, or one option: value")
			}
		}
	} else if n.Kind != Map {
		c.fail(n, path, "must be a list of options")
	}
	var args []string
	for _, e := range entries {
		at := e.Value
		if at == nil {
			at = n
		}
		name, _, _ := strings.Cut(e.Key, "=")
		switch {
		case slices.Contains(refused, name):
			if strict {
				c.fail(at, path+"."+e.Key, "is not allowed, hathi sets it")
			} else {
				c.warn(at, path+"."+e.Key, "ignored: hathi sets it")
			}
		case e.Value == nil:
			args = append(args, "--"+e.Key)
		case e.Value.Kind == Bool && e.Value.Text == "true":
			args = append(args, "--"+e.Key)
		case e.Value.Kind == List || e.Value.Kind == Map:
			c.fail(at, path+"."+e.Key, "must be one value")
		case e.Value.truthy():
			args = append(args, "--"+e.Key+"="+unquoteWord(e.Value.Text))
		}
	}
	return args
}

// unquoteWord takes the quotes off a value that is one fully quoted word of a shell.
func unquoteWord(s string) string {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] && !strings.ContainsRune(s[1:len(s)-1], rune(s[0])) {
		return s[1 : len(s)-1]
	}
	return s
}
