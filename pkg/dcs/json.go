package dcs

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The values are written as Python's json.dumps writes them with compact separators, for Patroni's readers
// and people's scripts see the text: fields in a fixed order, no blanks, and everything outside printable
// ASCII escaped (package json would escape <, > and & instead).

// object writes one JSON object field by field.
type object struct{ buf []byte }

func (o *object) key(name string) {
	if len(o.buf) == 0 {
		o.buf = append(o.buf, '{')
	} else {
		o.buf = append(o.buf, ',')
	}
	o.buf = append(appendString(o.buf, name), ':')
}

func (o *object) raw(name string, value []byte) {
	o.key(name)
	o.buf = append(o.buf, value...)
}

func (o *object) text(name, value string) {
	o.key(name)
	o.buf = appendString(o.buf, value)
}

// textIf leaves an empty text out.
func (o *object) textIf(name, value string) {
	if value != "" {
		o.text(name, value)
	}
}

func (o *object) number(name string, value uint64) {
	o.key(name)
	o.buf = strconv.AppendUint(o.buf, value, 10)
}

// numberIf leaves a zero out.
func (o *object) numberIf(name string, value uint64) {
	if value != 0 {
		o.number(name, value)
	}
}

// trueIf writes a flag only when it is set.
func (o *object) trueIf(name string, value bool) {
	if value {
		o.raw(name, []byte("true"))
	}
}

func (o *object) bytes() []byte {
	if len(o.buf) == 0 {
		return []byte("{}")
	}
	return append(o.buf, '}')
}

// appendAny writes a value as package json or yaml decodes one; maps are sorted by key.
func appendAny(buf []byte, v any) []byte {
	switch x := v.(type) {
	case nil:
		return append(buf, "null"...)
	case string:
		return appendString(buf, x)
	case []any:
		buf = append(buf, '[')
		for i, e := range x {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendAny(buf, e)
		}
		return append(buf, ']')
	case map[string]any:
		o := object{}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			o.raw(k, appendAny(nil, x[k]))
		}
		return append(buf, o.bytes()...)
	}
	text, err := json.Marshal(v)
	if err != nil {
		// Not a value of JSON (a channel, NaN); its text at least tells people what it was.
		return appendString(buf, fmt.Sprint(v))
	}
	return append(buf, text...)
}

func appendStrings(buf []byte, values []string) []byte {
	buf = append(buf, '[')
	for i, v := range values {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = appendString(buf, v)
	}
	return append(buf, ']')
}

func appendString(buf []byte, s string) []byte {
	buf = append(buf, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			buf = append(buf, '\\', byte(r))
		case r >= ' ' && r <= '~':
			buf = append(buf, byte(r))
		case strings.ContainsRune("\n\r\t\b\f", r):
			buf = append(buf, '\\', map[rune]byte{'\n': 'n', '\r': 'r', '\t': 't', '\b': 'b', '\f': 'f'}[r])
		default:
			buf = appendEscaped(buf, r)
		}
	}
	return append(buf, '"')
}

// appendEscaped writes one or, outside the basic plane, two UTF-16 units.
func appendEscaped(buf []byte, r rune) []byte {
	if r < 0x10000 {
		return fmt.Appendf(buf, `\u%04x`, r)
	}
	r -= 0x10000
	return fmt.Appendf(buf, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
}

// fields are the members of a JSON object, each still to be read. Reading is tolerant: a field of another
// type than expected counts as absent, and nothing fails.
type fields map[string]json.RawMessage

// readFields gives false for anything but an object.
func readFields(value []byte) (fields, bool) {
	var f fields
	if err := json.Unmarshal(value, &f); err != nil {
		return nil, false
	}
	return f, f != nil
}

func (f fields) text(name string) string {
	var s string
	if json.Unmarshal(f[name], &s) != nil {
		return ""
	}
	return s
}

func (f fields) value(name string) any { return readAny(f[name]) }

// unsigned reads an integer, also one in a string; zero if there is none or it is negative.
func (f fields) unsigned(name string) uint64 { return readUnsigned(f[name]) }

// truthy is Python's idea of truth for a JSON value.
func (f fields) truthy(name string) bool {
	switch x := f.value(name).(type) {
	case nil:
		return false
	case bool:
		return x
	case string:
		return x != ""
	case int64:
		return x != 0
	case float64:
		return x != 0
	case []any:
		return len(x) > 0
	case map[string]any:
		return len(x) > 0
	}
	return true
}

func readUnsigned(raw json.RawMessage) uint64 {
	text := strings.TrimSpace(string(raw))
	if s, err := strconv.Unquote(text); err == nil {
		text = strings.TrimSpace(s)
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// readAny reads any JSON value; integers become int64 where they fit, so that they print as they were.
func readAny(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return plainNumbers(v)
}

func plainNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n
		}
		n, _ := x.Float64()
		return n
	case []any:
		for i := range x {
			x[i] = plainNumbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = plainNumbers(x[k])
		}
	}
	return v
}
