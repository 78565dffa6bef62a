package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits of a YAML document. Aliases are expanded; without a limit ten lines could become gigabytes.
const (
	maxNodes = 200_000
	maxDepth = 200
)

// ParseYAML reads one YAML 1.1 document, the way Patroni's reader does: on, off, yes, no are booleans, 0644 is
// octal, 1:30 is 90, 1_000 is 1000, of equal keys the last wins, merge keys and anchors work. Dates, .inf and
// .nan stay text. An empty document is null. name is the file for messages. The error is a Problem.
// Source: cli.md 16.1; PyYAML 6, resolver.py and constructor.py.
func ParseYAML(name string, text []byte) (*Node, error) {
	var doc yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := decodeYAML(d, &doc); err != nil {
		if errors.Is(err, io.EOF) {
			return &Node{file: name, line: 1}, nil
		}
		return nil, syntaxProblem(name, err)
	}
	var second yaml.Node
	if err := decodeYAML(d, &second); err == nil {
		return nil, Problems{{Where: name + ":" + strconv.Itoa(second.Line), Text: "a second document begins here; one file holds one"}}
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxProblem(name, err)
	}
	r := yamlReader{file: name, budget: maxNodes}
	n := r.read(&doc, 0)
	if r.err != nil {
		return nil, Problems{*r.err}
	}
	return n, nil
}

// decodeYAML also turns a panic of the parser, of which it has had some, into an error.
func decodeYAML(d *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the parser failed: %v", p)
		}
	}()
	return d.Decode(into)
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

func syntaxProblem(name string, err error) error {
	p := Problem{Where: name, Text: err.Error()}
	if m := yamlLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0]); m != nil {
		if m[1] != "" {
			p.Where += ":" + m[1]
		}
		p.Text = "not valid YAML: " + m[2]
	}
	return Problems{p}
}

// yamlReader turns the parser's nodes into ours; after the first mistake it only returns nulls.
type yamlReader struct {
	file   string
	budget int
	err    *Problem
}

func (r *yamlReader) fail(at *yaml.Node, text string) *Node {
	if r.err == nil {
		r.err = &Problem{Where: r.file + ":" + strconv.Itoa(at.Line), Text: text}
	}
	return &Node{}
}

func (r *yamlReader) read(y *yaml.Node, depth int) *Node {
	r.budget--
	if r.err != nil {
		return &Node{}
	}
	if r.budget < 0 || depth > maxDepth {
		return r.fail(y, "the document is too large or nested too deep")
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return &Node{file: r.file, line: 1}
		}
		return r.read(y.Content[0], depth)
	case yaml.AliasNode:
		return r.read(y.Alias, depth+1)
	case yaml.SequenceNode:
		n := &Node{Kind: List, file: r.file, line: y.Line}
		for _, c := range y.Content {
			n.Items = append(n.Items, r.read(c, depth+1))
		}
		return n
	case yaml.MappingNode:
		return r.mapping(y, depth)
	case yaml.ScalarNode:
		return r.scalar(y)
	}
	return &Node{file: r.file, line: y.Line}
}

func (r *yamlReader) mapping(y *yaml.Node, depth int) *Node {
	n := &Node{Kind: Map, file: r.file, line: y.Line}
	index := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 { // what is merged in comes first: own keys win
		if key := y.Content[i]; isMergeKey(key) {
			r.mergeInto(n, index, y.Content[i+1], depth)
		}
	}
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if isMergeKey(key) {
			continue
		}
		name := r.read(key, depth+1)
		if name.Kind == List || name.Kind == Map {
			return r.fail(key, "a key must be a text, not a list or mapping")
		}
		value := r.read(y.Content[i+1], depth+1)
		value.line = key.Line // of a block below its key, the line of the key says more
		n.put(index, keyText(name), value)
	}
	return n
}

// keyText is a key as JSON has it. A boolean is written true or false, as Python's json does.
func keyText(n *Node) string {
	if n.Kind == Null {
		return "null"
	}
	return n.Text
}

func isMergeKey(y *yaml.Node) bool {
	return y.Kind == yaml.ScalarNode && y.Style == 0 && y.Value == "<<"
}

func (r *yamlReader) mergeInto(n *Node, index map[string]int, y *yaml.Node, depth int) {
	from := r.read(y, depth+1)
	sources := []*Node{from}
	if from.Kind == List {
		sources = from.Items
	}
	for _, s := range sources {
		if s.Kind != Map {
			r.fail(y, "a merge key (<<) takes a mapping or a list of mappings")
			return
		}
		for _, e := range s.Entries {
			if _, known := index[e.Key]; !known { // of several sources the first wins
				n.put(index, e.Key, e.Value)
			}
		}
	}
}

func (r *yamlReader) scalar(y *yaml.Node) *Node {
	n := &Node{Kind: String, Text: y.Value, file: r.file, line: y.Line}
	quoted := y.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	n.quoted = quoted
	if y.Style&yaml.TaggedStyle == 0 {
		if !quoted {
			n.Kind, n.Text = resolveScalar(y.Value)
		}
		return n
	}
	switch tag := y.ShortTag(); tag {
	case "!!str", "!", "!!timestamp":
	case "!!null", "!!bool", "!!int", "!!float":
		n.Kind, n.Text = resolveScalar(y.Value)
	default:
		return r.fail(y, "unknown tag "+tag)
	}
	return n
}
