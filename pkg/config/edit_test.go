package config

import (
	"slices"
	"strings"
	"testing"
)

func yamlOf(t *testing.T, text string) *Node {
	t.Helper()
	n, err := ParseYAML("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSetPath(t *testing.T) {
	for _, c := range []struct{ doc, path, value, want string }{
		{`{ttl: 30}`, "ttl", "20", `{"ttl":20}`},
		{`{ttl: 30}`, "a.b.c", "x", `{"ttl":30,"a":{"b":{"c":"x"}}}`},
		{`{a: 5}`, "a.b", "x", `{"a":{"b":"x"}}`},
		{`{a: {b: {c: 1}}, z: 1}`, "a.b.c", "null", `{"z":1}`},
		{`{a: {b: {c: 1, d: 2}}}`, "a.b.c", "", `{"a":{"b":{"d":2}}}`},
		{`{z: 1}`, "a.b", "null", `{"z":1}`},
		{`{z: 1}`, "l", "[1, {a: ~}]", `{"z":1,"l":[1,{"a":null}]}`},
	} {
		got := yamlOf(t, c.doc).SetPath(strings.Split(c.path, "."), yamlOf(t, c.value))
		if string(got.Compact()) != c.want {
			t.Errorf("%s with %s=%s is %s, want %s", c.doc, c.path, c.value, got.Compact(), c.want)
		}
	}
}

func TestSameData(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"1", "1.0", true},
		{"1", "true", true},
		{"0", "off", true},
		{"1", "'1'", false},
		{"{a: 1, b: 2}", "{b: 2, a: 1}", true},
		{"{a: 1}", "{a: 1, b: ~}", false},
		{"[1, 2]", "[2, 1]", false},
		{"[1, 2]", "[1, 2.0]", true},
		{"~", "''", false},
		{"~", "null", true},
		{"{}", "[]", false},
		{"10000000000000001", "10000000000000000", false},
	} {
		if got := SameData(yamlOf(t, c.a), yamlOf(t, c.b)); got != c.same {
			t.Errorf("SameData(%s, %s) = %t", c.a, c.b, got)
		}
	}
}

func TestRebase(t *testing.T) {
	for _, c := range []struct{ before, after, onto, want, clashes string }{
		{`{a: 1, b: 2}`, `{a: 5, b: 2}`, `{a: 1, b: 3, c: 4}`, `{"a":5,"b":3,"c":4}`, ""},
		{`{a: 1, b: 2}`, `{b: 2}`, `{a: 1, b: 3}`, `{"b":3}`, ""},
		{`{a: 1}`, `{a: 2}`, `{a: 3}`, `{"a":2}`, "a"},
		{`{a: 1}`, `{a: 2}`, `{a: 2}`, `{"a":2}`, ""},
		{`{a: 1}`, `{}`, `{a: 3}`, `{}`, "a"},
		{`{a: 1}`, `{a: 2}`, `{}`, `{"a":2}`, "a"},
		{`{p: {x: 1, y: 1}}`, `{p: {x: 2, y: 1}}`, `{p: {x: 1, y: 9, z: 0}}`, `{"p":{"x":2,"y":9,"z":0}}`, ""},
		{`{p: {x: 1}}`, `{p: {x: 2}}`, `{p: {x: 3}}`, `{"p":{"x":2}}`, "p.x"},
		{`{}`, `{n: {k: 1}}`, `{m: 1}`, `{"m":1,"n":{"k":1}}`, ""},
	} {
		merged, clashes := Rebase(yamlOf(t, c.before), yamlOf(t, c.after), yamlOf(t, c.onto))
		if string(merged.Compact()) != c.want || strings.Join(clashes, " ") != c.clashes {
			t.Errorf("%s to %s on %s is %s, clashes %q; want %s, %q", c.before, c.after, c.onto, merged.Compact(), clashes, c.want, c.clashes)
		}
	}
}

// TestDynamicKeyList holds the list for completion against the reader: each is known to it, and each that it knows at
// the top level is in the list.
func TestDynamicKeyList(t *testing.T) {
	doc := &Node{Kind: Map}
	for _, key := range DynamicKeys() {
		doc = doc.SetPath(strings.Split(key, "."), &Node{Kind: Bool, Text: "true"})
	}
	_, warnings := CheckDocument(doc)
	for _, w := range warnings {
		if strings.Contains(w.Text, "unknown key") {
			t.Errorf("the list names a key that is none: %s", w)
		}
	}
	for _, key := range []string{"ttl", "synchronous_mode", "failsafe_mode", "slots", "pause"} { // a list that lost its keys would pass above
		if !slices.Contains(DynamicKeys(), key) {
			t.Errorf("the list lacks %s", key)
		}
	}
	if got := strings.Join(yamlOf(t, "{a: {b: 1, c: [x]}, d: ~}").Paths(), " "); got != "a.b a.c d" {
		t.Errorf("paths: %s", got)
	}
}
