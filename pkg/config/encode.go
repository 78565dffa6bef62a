package config

import "fmt"

// Compact writes the value as JSON without blanks, everything outside ASCII escaped: the form of etcd keys.
// Source: Patroni 4.1, json.dumps with separators=(',', ':').
func (n *Node) Compact() []byte { return n.append(nil, ",", ":") }

// Pretty writes the value as JSON on one line with blanks after the separators: the form of REST answers and
// of patroni.dynamic.json. Source: Python 3, json.dumps.
func (n *Node) Pretty() []byte { return n.append(nil, ", ", ": ") }

func (n *Node) append(buf []byte, comma, colon string) []byte {
	switch {
	case n.null():
		return append(buf, "null"...)
	case n.Kind == String:
		return appendQuoted(buf, n.Text)
	case n.Kind == List:
		buf = append(buf, '[')
		for i, e := range n.Items {
			if i > 0 {
				buf = append(buf, comma...)
			}
			buf = e.append(buf, comma, colon)
		}
		return append(buf, ']')
	case n.Kind == Map:
		buf = append(buf, '{')
		for i, e := range n.Entries {
			if i > 0 {
				buf = append(buf, comma...)
			}
			buf = append(appendQuoted(buf, e.Key), colon...)
			buf = e.Value.append(buf, comma, colon)
		}
		return append(buf, '}')
	}
	return append(buf, n.Text...)
}

// appendQuoted writes a string as Python does; package json would escape <, > and & and leave é alone.
func appendQuoted(buf []byte, s string) []byte {
	buf = append(buf, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			buf = append(buf, '\\', byte(r))
		case r >= ' ' && r <= '~':
			buf = append(buf, byte(r))
		case r == '\n':
			buf = append(buf, `\n`...)
		case r == '\r':
			buf = append(buf, `\r`...)
		case r == '\t':
			buf = append(buf, `\t`...)
		case r == '\b':
			buf = append(buf, `\b`...)
		case r == '\f':
			buf = append(buf, `\f`...)
		case r < 0x10000:
			buf = fmt.Appendf(buf, `\u%04x`, r)
		default: // two UTF-16 units
			r -= 0x10000
			buf = fmt.Appendf(buf, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		}
	}
	return append(buf, '"')
}
