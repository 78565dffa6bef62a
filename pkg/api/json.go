package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// field and object are a JSON object whose names stay in order.
type field struct {
	name  string
	value any
}

type object []field

func (o *object) add(name string, value any) { *o = append(*o, field{name, value}) }

func (o object) get(name string) (any, bool) {
	for _, f := range o {
		if f.name == name {
			return f.value, true
		}
	}
	return nil, false
}

// encode gives a value the way Python's json.dumps writes it: a blank after comma and colon, ASCII only.
// Clients compare and hash these texts.
func encode(v any) []byte {
	var b bytes.Buffer
	write(&b, v)
	return b.Bytes()
}

func write(b *bytes.Buffer, v any) {
	switch x := v.(type) {
	case object:
		b.WriteByte('{')
		for i, f := range x {
			separate(b, i)
			quote(b, f.name)
			b.WriteString(": ")
			write(b, f.value)
		}
		b.WriteByte('}')
	case []any:
		b.WriteByte('[')
		for i, e := range x {
			separate(b, i)
			write(b, e)
		}
		b.WriteByte(']')
	case string:
		quote(b, x)
	case json.RawMessage:
		respace(b, x)
	default:
		raw, err := json.Marshal(x)
		if err != nil {
			// Only values that were read from JSON or YAML get here; a channel or a NaN can't be among them.
			raw = []byte("null")
		}
		respace(b, raw)
	}
}

func separate(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteString(", ")
	}
}

// respace writes valid JSON anew with the blanks and escapes of json.dumps; order and numbers stay as they
// are.
func respace(b *bytes.Buffer, raw []byte) {
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; c {
		case ' ', '\t', '\r', '\n':
		case ',', ':':
			b.WriteByte(c)
			b.WriteByte(' ')
		case '"':
			end := stringEnd(raw, i)
			var s string
			if json.Unmarshal(raw[i:end], &s) == nil {
				quote(b, s)
			} else {
				b.Write(raw[i:end])
			}
			i = end - 1
		default:
			b.WriteByte(c)
		}
	}
}

// stringEnd gives the index after the string literal that begins at start.
func stringEnd(raw []byte, start int) int {
	for i := start + 1; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(raw)
}

var shortEscapes = strings.NewReplacer(`"`, `\"`, `\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "\b", `\b`, "\f", `\f`)

func quote(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for _, r := range shortEscapes.Replace(s) {
		switch {
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}

// decodeObject reads a JSON object and keeps the order of its names; each value stays as it was written. Of
// a name that is there twice the last value counts.
func decodeObject(raw []byte) (object, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil {
		return nil, fmt.Errorf("body is not valid JSON: %w", err)
	} else if t != json.Delim('{') {
		return nil, errors.New("body is not a JSON object")
	}
	o := object{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("body is not valid JSON: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("body is not valid JSON: %w", err)
		}
		o.set(name.(string), value)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("body is not valid JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("body has something after the JSON object")
	}
	return o, nil
}

func (o *object) set(name string, value any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	o.add(name, value)
}

// decoded gives the value of a name of a decoded object: nil, bool, string, json.Number, []any or
// map[string]any.
func (o object) decoded(name string) any {
	raw, _ := o.get(name)
	message, ok := raw.(json.RawMessage)
	if !ok {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(message))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return nil
	}
	return v
}

// text gives the string under a name; a name that is missing, null or false is the empty string. The
// second result is false if something else is there.
func (o object) text(name string) (string, bool) {
	switch v := o.decoded(name).(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case bool:
		return "", !v
	}
	return "", false
}
