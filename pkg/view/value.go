package view

import (
	"encoding/json"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// Pair is one key of an Object.
type Pair struct {
	Key   string
	Value any
}

// Object is a mapping that keeps the order of its keys where the format has one. Values are nil, bool,
// int, uint64, float64, json.Number, string, Object, map[string]any and []any of these.
type Object []Pair

// pairs gives the entries of a mapping: an Object in its own order, a map in code point order.
func pairs(v any) (Object, bool) {
	switch m := v.(type) {
	case Object:
		return m, true
	case map[string]any:
		o := make(Object, 0, len(m))
		for k, v := range m {
			o = append(o, Pair{k, v})
		}
		return sorted(o), true
	}
	return nil, false
}

// sorted gives the entries in code point order of the keys, which is byte order in UTF-8.
func sorted(o Object) Object {
	o = append(Object(nil), o...)
	sort.SliceStable(o, func(i, j int) bool { return o[i].Key < o[j].Key })
	return o
}

// number gives the text of a number as Python writes it, in JSON and YAML alike except for floats in
// YAML, which always have a dot.
func number(v any) (string, bool) {
	switch n := v.(type) {
	case int:
		return strconv.Itoa(n), true
	case int64:
		return strconv.FormatInt(n, 10), true
	case uint64:
		return strconv.FormatUint(n, 10), true
	case float64:
		return float(n), true
	case json.Number:
		if strings.ContainsAny(n.String(), ".eE") {
			if f, err := n.Float64(); err == nil {
				return float(f), true
			}
		}
		return n.String(), true
	}
	return "", false
}

// float is the shortest text that reads back as the same number, with a dot or an exponent.
func float(f float64) string {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return map[bool]string{true: ".nan", false: ".inf"}[math.IsNaN(f)]
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		if !strings.Contains(s, ".") {
			s = strings.Replace(s, "e", ".0e", 1)
		}
		return s
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// JSON writes a value on one line as Python's json.dumps does: blanks after the separators, everything
// beyond ASCII escaped, keys in their own order. The line ends in a newline.
func JSON(v any) []byte {
	var b strings.Builder
	writeJSON(&b, v)
	b.WriteByte('\n')
	return []byte(b.String())
}

func writeJSON(b *strings.Builder, v any) {
	if o, ok := pairs(v); ok {
		b.WriteByte('{')
		for i, p := range o {
			separate(b, i)
			writeString(b, p.Key)
			b.WriteString(": ")
			writeJSON(b, p.Value)
		}
		b.WriteByte('}')
		return
	}
	if s, ok := number(v); ok {
		b.WriteString(s)
		return
	}
	switch x := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(x))
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			separate(b, i)
			writeJSON(b, e)
		}
		b.WriteByte(']')
	default:
		writeString(b, fmt.Sprint(x))
	}
}

func separate(b *strings.Builder, i int) {
	if i > 0 {
		b.WriteString(", ")
	}
}

func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		default:
			b.WriteString(escape(r))
		}
	}
	b.WriteByte('"')
}

func escape(r rune) string {
	if i := strings.IndexRune("\n\t\r\b\f", r); i >= 0 {
		return []string{`\n`, `\t`, `\r`, `\b`, `\f`}[i]
	}
	if r > 0xffff {
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
