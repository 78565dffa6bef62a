package view_test

import (
	"strings"
	"testing"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/view"
)

func TestYAMLStrings(t *testing.T) {
	for _, text := range []string{"-x", "a:b", "a#b", "it's", "10MB", "1e5", "0o10", "y", "oN", "1.0e5", "tRue", "äöü"} {
		if got := string(view.YAML(text)); got != text+"\n" {
			t.Errorf("%q must stay plain, got %q", text, got)
		}
	}
	for _, text := range []string{
		"on", "100", "0x1F", "010", "1:30", "2026-01-01", "%f %p", "a: b", "", "=", "<<", "*", "~", "null", "1.", ".5", "a:", "a #b",
		" a", "a ", "- a", "---", "1_000", ".inf", "2026-01-01T10:00:00Z", "@x", "`x", "[a]", "{a}", ",a", "?",
	} {
		if got := string(view.YAML(text)); got != "'"+text+"'\n" {
			t.Errorf("%q must be in single quotes, got %q", text, got)
		}
	}
	for text, want := range map[string]string{"a\tb": `"a\tb"`, "\x01": `"\x01"`, "a \nb": `"a \nb"`} {
		if got := string(view.YAML(text)); got != want+"\n" {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestYAMLFlow(t *testing.T) {
	got := view.FlowYAML(map[string]any{
		"replicatefrom": "node-1", "clonefrom": true, "s": "a: b", "u": "http://x/y", "c": "p,q", "l": []any{1, "x"},
	})
	if want := "{c: 'p,q', clonefrom: true, l: [1, x], replicatefrom: node-1, s: 'a: b', u: 'http://x/y'}"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestYAMLLongAndSeveralLines(t *testing.T) {
	long := strings.Repeat("word ", 50) + "end"
	got := string(view.YAML(map[string]any{"k": long}))
	first, second, ok := strings.Cut(got, "\n  ")
	if !ok || len(first) <= 200 || len(first) > 210 || !strings.HasSuffix(second, "end\n") {
		t.Errorf("long text is folded after column 200 and continues indented, got %q", got)
	}
	got = string(view.YAML([]any{map[string]any{"Cluster": "demo", "Reason": "max_connections: 100->200\nmax_worker_processes: 8->16"}}))
	if want := "- Cluster: demo\n  Reason: 'max_connections: 100->200\n\n    max_worker_processes: 8->16'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestDocument(t *testing.T) {
	for name, c := range map[string]struct {
		doc  cluster.Document
		want string
	}{
		"absent":   {},
		"not JSON": {cluster.Document{Present: true, Raw: []byte("{x")}, "{}\n\n"},
		"keys in code point order, sequences not indented": {
			cluster.Document{Present: true, Raw: []byte(`{"a2":1,"a10":2.0,"B":null,"9":[1,[2,3],{"x":1,"y":[]}],"10":{},"z":{"on":"on","k":1e20,"s":1e-7}}`)},
			"'10': {}\n'9':\n- 1\n- - 2\n  - 3\n- x: 1\n  y: []\nB: null\na10: 2.0\na2: 1\nz:\n  k: 1.0e+20\n  'on': 'on'\n  s: 1.0e-07\n\n",
		},
	} {
		if got := string(view.Document(c.doc, view.FormatYAML)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
		}
	}
}

func TestJSON(t *testing.T) {
	got := string(view.JSON(view.Object{{"b", "é\"<\n𝄞"}, {"a", []any{nil, true, 1.5, map[string]any{"y": 1, "x": 2}}}}))
	if want := `{"b": "\u00e9\"<\n\ud834\udd1e", "a": [null, true, 1.5, {"x": 2, "y": 1}]}` + "\n"; got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestTableWidths(t *testing.T) {
	table := view.Table{Title: "a title far longer than the table", Columns: []view.Column{{Title: "節点"}, {Title: "N", Right: true}}, Rows: [][]string{{"x", "10"}}}
	got, err := table.Render()
	if err != nil {
		t.Fatal(err)
	}
	if want := "+ a title fa+\n| 節点 |  N |\n+------+----+\n| x    | 10 |\n+------+----+\n"; string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
