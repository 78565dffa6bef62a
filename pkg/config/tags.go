package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

var booleanTags = []string{"nofailover", "noloadbalance", "clonefrom", "nosync", "nostream"}

// decodeTags reads the tags with real JSON types, and gives the log lines about contradictions.
func decodeTags(s *section) (cluster.Tags, []string) {
	tags := cluster.Tags{}
	if s.node == nil {
		return tags, nil
	}
	for _, e := range s.node.Entries {
		switch {
		case slices.Contains(booleanTags, e.Key):
			s.booleanTag(tags, e)
		case e.Key == "failover_priority" || e.Key == "sync_priority":
			if n, ok := wholeNumber(e.Value); ok {
				tags[e.Key] = n
			} else if !e.Value.null() {
				s.c.fail(e.Value, s.key(e.Key), "must be a whole number")
			}
		case e.Key == "replicatefrom":
			if t := s.text(e.Key); t != "" {
				tags[e.Key] = t
			}
		default:
			tags[e.Key] = tagValue(e.Value)
			if near := nearest(e.Key, append([]string{"failover_priority", "sync_priority", "replicatefrom"}, booleanTags...)); near != "" {
				s.c.warn(e.Value, s.key(e.Key), "a tag of your own, without effect; did you mean "+near+"?")
			}
		}
	}
	return tags, append(conflict(tags, "nofailover", "failover_priority"), conflict(tags, "nosync", "sync_priority")...)
}

// booleanTag reads one of the five. A quoted word is true, as Patroni sees it, and worth a warning.
func (s *section) booleanTag(tags cluster.Tags, e Entry) {
	n := e.Value
	if n.null() {
		return
	}
	value := n.truthy()
	if word, ok := boolWord(n); ok && (e.Key == "nostream" || n.Kind == Bool) {
		value = word
	} else if n.Kind == String {
		s.c.warn(n, s.key(e.Key), fmt.Sprintf("is a text, not a boolean, and counts as %v; remove the quotes", value))
	}
	tags[e.Key] = value
}

// conflict tells that a boolean and a priority contradict each other. The acceptance suite greps the line.
func conflict(tags cluster.Tags, no, priority string) []string {
	b, okB := tags[no].(bool)
	p, okP := tags[priority].(int64)
	if !okB || !okP || b == (p <= 0) {
		return nil
	}
	word := map[bool]string{true: "True", false: "False"}[b]
	return []string{fmt.Sprintf("Conflicting configuration between %s: %s and %s: %d. Defaulting to %s: %s", no, word, priority, p, no, word)}
}

// tagValue gives a value with the types that cluster.Tags holds.
func tagValue(n *Node) any {
	if n.null() {
		return nil
	}
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Number:
		if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
			return i
		}
		f, _ := strconv.ParseFloat(n.Text, 64)
		return f
	case List:
		list := []any{}
		for _, e := range n.Items {
			list = append(list, tagValue(e))
		}
		return list
	case Map:
		m := map[string]any{}
		for _, e := range n.Entries {
			m[e.Key] = tagValue(e.Value)
		}
		return m
	}
	return strings.ToValidUTF8(n.Text, "\uFFFD")
}

// PublishedTags are the tags as the member key shows them: of the five booleans, those that are false are left
// out, but nofailover and nosync stay beside their priority. Source: Patroni 4.1, tags.py, _filter_tags.
func (c *Config) PublishedTags() cluster.Tags {
	tags := cluster.Tags{}
	for k, v := range c.Tags {
		if v == nil {
			continue
		}
		if v == false && slices.Contains(booleanTags, k) {
			_, fp := c.Tags["failover_priority"]
			_, sp := c.Tags["sync_priority"]
			if !(k == "nofailover" && fp || k == "nosync" && sp) {
				continue
			}
		}
		tags[k] = v
	}
	return tags
}
