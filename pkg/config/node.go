package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Kind is the type of a value in a document.
type Kind int

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Map
)

// Node is one value of a document, from YAML, JSON or the environment alike. The zero value is null.
// A Node that was handed out is not changed by this package.
type Node struct {
	Kind Kind
	// Text is true or false, a number as JSON writes it, or the string itself.
	Text    string
	Items   []*Node // of a List
	Entries []Entry // of a Map, in the order of the document, each key once

	file   string
	line   int // zero: file is the name of a variable
	quoted bool
}

// Entry is one key of a mapping.
type Entry struct {
	Key   string
	Value *Node
}

// Get gives the value of a key, nil if n is not a mapping that has it.
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	for _, e := range n.Entries {
		if e.Key == key {
			return e.Value
		}
	}
	return nil
}

// at follows a path of keys.
func (n *Node) at(path ...string) *Node {
	for _, key := range path {
		n = n.Get(key)
	}
	return n
}

// where tells the place of a value: file:line, or the name of a variable.
func (n *Node) where() string {
	if n == nil || n.line == 0 {
		if n == nil {
			return ""
		}
		return n.file
	}
	return n.file + ":" + strconv.Itoa(n.line)
}

// null reports whether there is no value.
func (n *Node) null() bool { return n == nil || n.Kind == Null }

// truthy is Python's idea of truth.
func (n *Node) truthy() bool {
	switch {
	case n.null():
		return false
	case n.Kind == Bool:
		return n.Text == "true"
	case n.Kind == Number:
		f, err := strconv.ParseFloat(n.Text, 64)
		return err != nil || f != 0
	case n.Kind == List:
		return len(n.Items) > 0
	case n.Kind == Map:
		return len(n.Entries) > 0
	}
	return n.Text != ""
}

// with gives a copy of a mapping in which key has this value; a nil value removes the key.
func (n *Node) with(key string, value *Node) *Node {
	c := *n
	c.Entries = nil
	found := false
	for _, e := range n.Entries {
		if e.Key == key {
			found = true
			if value == nil {
				continue
			}
			e.Value = value
		}
		c.Entries = append(c.Entries, e)
	}
	if !found && value != nil {
		c.Entries = append(c.Entries, Entry{key, value})
	}
	return &c
}

// Value gives plain Go values: nil, bool, json.Number, string, []any and map[string]any.
func (n *Node) Value() any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case Bool:
		return n.Text == "true"
	case Number:
		return json.Number(n.Text)
	case String:
		return n.Text
	case List:
		list := make([]any, len(n.Items))
		for i, e := range n.Items {
			list[i] = e.Value()
		}
		return list
	case Map:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			m[e.Key] = e.Value.Value()
		}
		return m
	}
	return nil
}

// textForm is what two values are compared by when one is to replace the other: 5 and "5" are equal, true
// and "true" are not. Source: Patroni 4.1, utils.py, patch_config and deep_compare (Python's str).
func (n *Node) textForm() string {
	if n != nil && n.Kind == String {
		return n.Text
	}
	return n.repr()
}

// repr is what textForm shows of a value inside a list or mapping. Strings are quoted so that nothing else
// looks like them.
func (n *Node) repr() string {
	if n == nil {
		return "None"
	}
	var parts []string
	switch n.Kind {
	case Bool:
		return map[string]string{"true": "True"}[n.Text] + map[string]string{"false": "False"}[n.Text]
	case Number:
		return canonicalNumber(n.Text)
	case String:
		return "'" + strings.ReplaceAll(strings.ReplaceAll(n.Text, `\`, `\\`), `'`, `\'`) + "'"
	case List:
		for _, e := range n.Items {
			parts = append(parts, e.repr())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case Map:
		for _, e := range n.Entries {
			parts = append(parts, (&Node{Kind: String, Text: e.Key}).repr()+": "+e.Value.repr())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return "None"
}

// canonicalNumber gives equal texts for equal numbers of the same type, an integer or not.
func canonicalNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		return text
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	return floatText(f)
}

// floatText writes a number as Python and JSON do, always with a dot or an exponent.
func floatText(f float64) string {
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// ParseJSON reads a JSON document. Keys keep their order (of equal ones the last value counts, at the place
// of the first), numbers their text. NaN, Infinity and numbers beyond a float64 are refused.
func ParseJSON(raw []byte) (*Node, error) {
	if !json.Valid(raw) {
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return nil, fmt.Errorf("parse JSON: %w", err)
		}
		return nil, errors.New("parse JSON: the text is not valid")
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	return readJSON(d)
}

func readJSON(d *json.Decoder) (*Node, error) {
	token, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	switch t := token.(type) {
	case bool:
		return &Node{Kind: Bool, Text: strconv.FormatBool(t)}, nil
	case string:
		return &Node{Kind: String, Text: t}, nil
	case json.Number:
		if _, err := t.Float64(); err != nil {
			return nil, fmt.Errorf("parse JSON: number %s is out of range", t)
		}
		return &Node{Kind: Number, Text: t.String()}, nil
	case json.Delim:
		if t == '[' {
			return readJSONList(d)
		}
		return readJSONMap(d)
	}
	return &Node{}, nil
}

func readJSONList(d *json.Decoder) (*Node, error) {
	n := &Node{Kind: List}
	for d.More() {
		e, err := readJSON(d)
		if err != nil {
			return nil, err
		}
		n.Items = append(n.Items, e)
	}
	_, err := d.Token()
	return n, err
}

func readJSONMap(d *json.Decoder) (*Node, error) {
	n := &Node{Kind: Map}
	index := map[string]int{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("parse JSON: %w", err)
		}
		value, err := readJSON(d)
		if err != nil {
			return nil, err
		}
		n.put(index, key.(string), value) // package json gives only strings as keys
	}
	_, err := d.Token()
	return n, err
}

// put sets a key; index knows where the keys so far are.
func (n *Node) put(index map[string]int, key string, value *Node) {
	if i, ok := index[key]; ok {
		n.Entries[i].Value = value
		return
	}
	index[key] = len(n.Entries)
	n.Entries = append(n.Entries, Entry{key, value})
}
