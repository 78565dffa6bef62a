package config

import (
	"math/big"
	"slices"
)

// Patch lays over onto the mapping n as a PATCH does: see MergePatch. Neither is changed.
func (n *Node) Patch(over *Node) *Node {
	result, _ := patched(n, over)
	return result
}

// SetPath gives a copy of the mapping n in which a value stands at a path. Levels on the way that are missing, or
// no mappings, become mappings. A null removes the key, and with it each level that is empty then.
// Source: Patroni 4.1, patronictl, apply_config_changes.
func (n *Node) SetPath(path []string, value *Node) *Node {
	key := path[0]
	if len(path) == 1 {
		if value.null() {
			value = nil
		}
		return n.with(key, value)
	}
	inner := n.Get(key)
	if inner.null() || inner.Kind != Map {
		inner = &Node{Kind: Map}
	}
	inner = inner.SetPath(path[1:], value)
	if len(inner.Entries) == 0 {
		inner = nil
	}
	return n.with(key, inner)
}

// ParseSetting reads one value that a user has given for a key, which is named in the error if it is no YAML. The
// value has no place of its own in messages.
func ParseSetting(key, text string) (*Node, error) {
	n, err := ParseYAML(key, []byte(text))
	if err != nil {
		return nil, err
	}
	return n.relocated(""), nil
}

// SameData reports whether two values are equal as Python compares them: 1, 1.0 and true are, "1" is not, and the
// order of keys does not count.
func SameData(a, b *Node) bool {
	switch {
	case a.null() || b.null():
		return a.null() && b.null()
	case a.Kind == Map && b.Kind == Map:
		return len(a.Entries) == len(b.Entries) && !slices.ContainsFunc(a.Entries, func(e Entry) bool {
			other := b.Get(e.Key)
			return other == nil || !SameData(e.Value, other)
		})
	case a.Kind == List && b.Kind == List:
		return slices.EqualFunc(a.Items, b.Items, SameData)
	case a.Kind == String || b.Kind == String:
		return a.Kind == b.Kind && a.Text == b.Text
	}
	x, y := a.number(), b.number()
	return x != nil && y != nil && x.Cmp(y) == 0
}

// number is the value of a number or boolean, nil for anything else.
func (n *Node) number() *big.Rat {
	text := n.Text
	if n.Kind == Bool {
		text = map[string]string{"true": "1", "false": "0"}[text]
	}
	r, _ := new(big.Rat).SetString(text) // documents hold no number beyond a float64, so this stays small
	return r
}

// Rebase makes the changes from before to after on another document. Where that one was changed, too, and
// otherwise, ours wins and the path is among the clashes.
func Rebase(before, after, onto *Node) (merged *Node, clashes []string) {
	return rebase(before, after, onto, "")
}

func rebase(before, after, onto *Node, path string) (merged *Node, clashes []string) {
	merged = onto
	for _, key := range keysOf(before, after) {
		b, a, o := before.Get(key), after.Get(key), onto.Get(key)
		at := key
		if path != "" {
			at = path + "." + key
		}
		switch {
		case a != nil && b != nil && SameData(a, b) || a == nil && b == nil:
			continue
		case b != nil && a != nil && o != nil && b.Kind == Map && a.Kind == Map && o.Kind == Map:
			inner, more := rebase(b, a, o, at)
			merged, clashes = merged.with(key, inner), append(clashes, more...)
			continue
		case !equalOrAbsent(o, b) && !equalOrAbsent(o, a):
			clashes = append(clashes, at)
		}
		merged = merged.with(key, a)
	}
	return merged, clashes
}

func equalOrAbsent(a, b *Node) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return SameData(a, b)
}

// keysOf gives the keys of two mappings, those of the first before the others.
func keysOf(a, b *Node) []string {
	var keys []string
	for _, n := range []*Node{a, b} {
		for _, e := range entriesOf(n) {
			if !slices.Contains(keys, e.Key) {
				keys = append(keys, e.Key)
			}
		}
	}
	return keys
}

// CheckDocument tells what is wrong with a document for the /config key: values that no member could use as they
// are meant, and what members would correct or not know.
func CheckDocument(doc *Node) (errors, warnings Problems) {
	var c collector
	c.dynamic(doc)
	return c.errors, c.warnings
}
