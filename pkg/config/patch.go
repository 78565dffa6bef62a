package config

import "fmt"

// patched lays over onto base: mappings are merged, null removes a key, anything else replaces unless the
// text forms are equal. What a new key brings is added as it is, with the nulls inside it. Neither argument is
// changed. Source: Patroni 4.1, utils.py, patch_config.
func patched(base, over *Node) (result *Node, changed bool) {
	result = base
	for _, e := range over.Entries {
		old := result.Get(e.Key)
		var now *Node
		switch {
		case e.Value.null():
			if old == nil {
				continue
			}
		case old == nil:
			now = e.Value
		case old.Kind == Map && e.Value.Kind == Map:
			merged, different := patched(old, e.Value)
			if !different {
				continue
			}
			now = merged
		case e.Value.Kind != Map && old.textForm() == e.Value.textForm():
			continue
		default:
			now = e.Value
		}
		result, changed = result.with(e.Key, now), true
	}
	return result, changed
}

// MergePatch merges the body of a PATCH into the stored document. The order of the stored keys is kept, new
// ones follow. merged is compact JSON, equal to stored if nothing changed. It is an error if one of the two is
// not a JSON object. Source: rest-api.md 9.2.
func MergePatch(stored, patch []byte) (merged []byte, changed bool, err error) {
	base, err := ParseObject(stored)
	if err != nil {
		return nil, false, fmt.Errorf("read the stored configuration: %w", err)
	}
	over, err := ParseObject(patch)
	if err != nil {
		return nil, false, fmt.Errorf("read the change: %w", err)
	}
	result, changed := patched(base, over)
	if !changed {
		return stored, false, nil
	}
	return result.Compact(), true, nil
}

// ParseObject is ParseJSON for documents that must be a JSON object.
func ParseObject(raw []byte) (*Node, error) {
	n, err := ParseJSON(raw)
	if err != nil {
		return nil, err
	}
	if n.Kind != Map {
		return nil, fmt.Errorf("the document is not a JSON object")
	}
	return n, nil
}

// SameDocument reports whether two JSON documents are equal as a PUT compares them: by text form, without
// regard to blanks. Documents that can't be read are equal to none.
func SameDocument(a, b []byte) bool {
	x, err := ParseObject(a)
	if err != nil {
		return false
	}
	y, err := ParseObject(b)
	if err != nil || len(x.Entries) != len(y.Entries) {
		return false
	}
	return sameNode(x, y)
}

func sameNode(x, y *Node) bool {
	if x.null() || y.null() || x.Kind != Map || y.Kind != Map {
		return x.null() && y.null() || !x.null() && !y.null() && x.textForm() == y.textForm()
	}
	if len(x.Entries) != len(y.Entries) {
		return false
	}
	for _, e := range x.Entries {
		if other := y.Get(e.Key); other == nil || !sameNode(e.Value, other) {
			return false
		}
	}
	return true
}
