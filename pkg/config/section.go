package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// section reads the keys of one mapping into types, and knows in the end which keys nobody asked for.
type section struct {
	c     *collector
	node  *Node // a Map, or nil if absent
	path  string
	known []string
}

// enter gives the section of a node; anything but a mapping is a mistake and counts as absent.
func (c *collector) enter(n *Node, path string) *section {
	if !n.null() && n.Kind != Map {
		c.fail(n, path, "must be a mapping (key: value)")
	}
	if n.null() || n.Kind != Map {
		n = nil
	}
	return &section{c: c, node: n, path: path}
}

func (s *section) key(name string) string {
	if s.path == "" {
		return name
	}
	return s.path + "." + name
}

// get gives a value, nil if it is absent or null, and notes that the key is known.
func (s *section) get(name string) *Node {
	s.known = append(s.known, name)
	if n := s.node.Get(name); !n.null() {
		return n
	}
	return nil
}

func (s *section) sub(name string) *section { return s.c.enter(s.get(name), s.key(name)) }

// ignore notes keys that are accepted and have no effect here.
func (s *section) ignore(names ...string) { s.known = append(s.known, names...) }

// text reads a string; numbers and booleans are taken as they were written.
func (s *section) text(name string) string {
	n := s.get(name)
	if n == nil {
		return ""
	}
	if n.Kind == List || n.Kind == Map {
		s.c.fail(n, s.key(name), "must be a text")
		return ""
	}
	return n.Text
}

func (s *section) textOr(name, fallback string) string {
	if t := s.text(name); t != "" {
		return t
	}
	return fallback
}

func (s *section) secret(name string) Secret { return NewSecret(s.text(name)) }

// choice reads one of several words, in any case.
func (s *section) choice(name, fallback string, words ...string) string {
	t := s.text(name)
	if t == "" {
		return fallback
	}
	for _, w := range words {
		if strings.EqualFold(t, w) {
			return w
		}
	}
	s.c.fail(s.node.Get(name), s.key(name), "must be one of "+strings.Join(words, ", "))
	return fallback
}

func (s *section) boolean(name string, fallback bool) bool {
	n := s.get(name)
	if n == nil {
		return fallback
	}
	if v, ok := boolWord(n); ok {
		return v
	}
	s.c.fail(n, s.key(name), "must be a boolean (on or off)")
	return fallback
}

// boolWord reads a boolean or one of its words.
func boolWord(n *Node) (value, ok bool) {
	if n.null() || n.Kind == List || n.Kind == Map {
		return false, false
	}
	return cluster.ParseBool(n.Text)
}

// integer reads a whole number not below least.
func (s *section) integer(name string, fallback, least int64) int64 {
	n := s.get(name)
	if n == nil {
		return fallback
	}
	v, ok := wholeNumber(n)
	switch {
	case !ok:
		s.c.fail(n, s.key(name), "must be a whole number")
	case v < least:
		s.c.fail(n, s.key(name), fmt.Sprintf("must be %d or more", least))
	default:
		return v
	}
	return fallback
}

// wholeNumber reads an integer, also one in quotes, in hex or octal, or with a fraction, which is rounded.
// true and false count as 1 and 0. Source: Patroni 4.1, utils.py, parse_int.
func wholeNumber(n *Node) (int64, bool) {
	switch {
	case n.null() || n.Kind == List || n.Kind == Map:
		return 0, false
	case n.Kind == Bool:
		return map[string]int64{"true": 1}[n.Text], true
	}
	return ParseGUC(n.Text, "")
}

// strings reads a list of texts; a single text counts as a list of one.
func (s *section) strings(name string) []string {
	n := s.get(name)
	if n == nil {
		return nil
	}
	if n.Kind == String {
		return []string{n.Text}
	}
	if n.Kind != List {
		s.c.fail(n, s.key(name), "must be a list")
		return nil
	}
	var list []string
	for i, e := range n.Items {
		if e.null() || e.Kind == List || e.Kind == Map {
			s.c.fail(e, s.key(name)+"."+strconv.Itoa(i), "must be a text")
			continue
		}
		list = append(list, e.Text)
	}
	return list
}

// texts reads a mapping of texts.
func (s *section) texts(name string) map[string]string {
	sub := s.sub(name)
	if sub.node == nil {
		return nil
	}
	m := map[string]string{}
	for _, e := range sub.node.Entries {
		if v := sub.text(e.Key); v != "" {
			m[e.Key] = v
		}
	}
	return m
}

// done warns about the keys that nobody asked for.
func (s *section) done() {
	if s.node == nil {
		return
	}
	for _, e := range s.node.Entries {
		if slices.Contains(s.known, e.Key) {
			continue
		}
		text := "unknown key, it has no effect"
		if near := nearest(e.Key, s.known); near != "" {
			text += "; did you mean " + s.key(near) + "?"
		}
		s.c.warn(e.Value, s.key(e.Key), text)
	}
}

// require tells that a key is missing, and shows where it would belong.
func (s *section) require(root *Node, names ...string) {
	for _, name := range names {
		if n := s.node.Get(name); !n.null() && (n.Kind != String || n.Text != "") {
			continue
		}
		at := s.node
		if at == nil {
			at = root
		}
		s.c.errors = append(s.c.errors, Problem{Where: at.where(), Key: s.key(name), Text: "required, but missing; add it"})
	}
}
