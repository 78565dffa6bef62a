package view

import (
	"fmt"
	"strconv"
	"strings"
)

// foldColumn is where long strings are folded at the next blank.
const foldColumn = 200

// YAML writes a value in block style as PyYAML does: keys in code point order, sequences not indented
// below their key, strings quoted when YAML 1.1 would read them as something else.
// Source: PyYAML 6, emitter.py and representer.py; Patroni 4.1, patronictl, format_config_for_editing.
func YAML(v any) []byte {
	var w yamlWriter
	w.block(v, 0)
	if w.col > 0 {
		w.put("\n")
	}
	return []byte(w.String())
}

// FlowYAML writes a value on one line: {clonefrom: true, replicatefrom: node-1}.
func FlowYAML(v any) string {
	var w yamlWriter
	w.flow(v)
	return w.String()
}

// yamlWriter knows the column it writes at, because folding depends on it.
type yamlWriter struct {
	strings.Builder
	col int
}

func (w *yamlWriter) put(s string) {
	w.WriteString(s)
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		w.col = len([]rune(s[i+1:]))
		return
	}
	w.col += len([]rune(s))
}

func (w *yamlWriter) newLine(indent int) {
	if w.col > 0 {
		w.put("\n")
	}
	w.put(strings.Repeat(" ", indent))
}

// block writes v at the present position; lines after the first are indented by indent.
func (w *yamlWriter) block(v any, indent int) {
	if o, ok := pairs(v); ok && len(o) > 0 {
		for i, p := range sorted(o) {
			if i > 0 {
				w.newLine(indent)
			}
			w.text(p.Key, indent, false)
			w.put(":")
			w.entry(p.Value, indent)
		}
		return
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		for i, e := range list {
			if i > 0 {
				w.newLine(indent)
			}
			w.put("- ")
			w.block(e, indent+2)
		}
		return
	}
	w.scalar(v, indent, false)
}

// entry writes the value of a key that stands at indent.
func (w *yamlWriter) entry(v any, indent int) {
	if o, ok := pairs(v); ok && len(o) > 0 {
		w.newLine(indent + 2)
		w.block(o, indent+2)
		return
	}
	if list, ok := v.([]any); ok && len(list) > 0 {
		w.newLine(indent)
		w.block(list, indent)
		return
	}
	w.put(" ")
	w.scalar(v, indent+2, false)
}

func (w *yamlWriter) flow(v any) {
	if o, ok := pairs(v); ok {
		w.put("{")
		for i, p := range sorted(o) {
			if i > 0 {
				w.put(", ")
			}
			w.text(p.Key, 0, true)
			w.put(": ")
			w.flow(p.Value)
		}
		w.put("}")
		return
	}
	if list, ok := v.([]any); ok {
		w.put("[")
		for i, e := range list {
			if i > 0 {
				w.put(", ")
			}
			w.flow(e)
		}
		w.put("]")
		return
	}
	w.scalar(v, 0, true)
}

// scalar writes a value without entries; indent is where a folded string goes on.
func (w *yamlWriter) scalar(v any, indent int, flow bool) {
	if o, ok := pairs(v); ok && len(o) == 0 {
		w.put("{}")
		return
	}
	if s, ok := number(v); ok {
		w.put(s)
		return
	}
	switch x := v.(type) {
	case nil:
		w.put("null")
	case bool:
		w.put(strconv.FormatBool(x))
	case []any:
		w.put("[]")
	default:
		w.text(fmt.Sprint(x), indent, flow)
	}
}

func (w *yamlWriter) text(s string, indent int, flow bool) {
	switch quoting(s, flow) {
	case plain:
		w.fold(s, indent, flow)
	case single:
		w.put("'")
		w.fold(strings.ReplaceAll(s, "'", "''"), indent, flow)
		w.put("'")
	case double:
		w.put(`"` + escapeDouble(s) + `"`)
	}
}

// fold writes a string, breaking the line at a lone blank once it is too long; a newline of the string
// becomes an empty line. On a single line (flow) nothing is folded.
func (w *yamlWriter) fold(s string, indent int, flow bool) {
	margin := strings.Repeat(" ", indent)
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			w.put("\n")
		}
		if i > 0 && line != "" {
			w.put("\n" + margin)
		}
		words := strings.Split(line, " ")
		for j, word := range words {
			lone := j > 1 && words[j-1] != "" || j == 1 && words[0] != ""
			switch {
			case j > 0 && lone && word != "" && w.col > foldColumn && !flow:
				w.put("\n" + margin)
			case j > 0:
				w.put(" ")
			}
			w.put(word)
		}
	}
}

var doubleEscapes = map[rune]string{
	'"': `\"`, '\\': `\\`, 0: `\0`, '\a': `\a`, '\b': `\b`, '\t': `\t`, '\n': `\n`, '\v': `\v`, '\f': `\f`,
	'\r': `\r`, 0x1b: `\e`, 0x85: `\N`, 0xa0: `\_`, 0x2028: `\L`, 0x2029: `\P`,
}

func escapeDouble(s string) string {
	var b strings.Builder
	for _, r := range s {
		esc, known := doubleEscapes[r]
		switch {
		case known:
			b.WriteString(esc)
		case printable(r):
			b.WriteRune(r)
		case r <= 0xff:
			fmt.Fprintf(&b, `\x%02X`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	return b.String()
}
