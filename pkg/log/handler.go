package log

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// rules are what a line is made by. They are not changed once they are in use.
type rules struct {
	level  slog.Level
	json   bool
	line   []part  // of a plain line
	fields []Field // of a JSON line
	static map[string]string
	date   func(time.Time) string
}

// rules reads the options.
func (o Options) rules() (*rules, error) {
	level, err := ParseLevel(o.Level)
	if err != nil {
		return nil, err
	}
	format := o.Format
	if format == "" {
		format = defaultFormat
	}
	r := &rules{level: level, json: o.JSON, line: parseFormat(format), fields: o.Fields, static: o.Static, date: dateFormat(o.DateFormat)}
	if len(r.fields) == 0 && o.Format != "" {
		for _, p := range r.line {
			if p.field != "" {
				r.fields = append(r.fields, Field{p.field, p.field})
			}
		}
	}
	if len(r.fields) == 0 {
		r.fields = DefaultFields
	}
	return r, nil
}

// shared is what all copies of a handler have in common.
type shared struct {
	rules atomic.Pointer[rules]

	mu  sync.Mutex // one record is one write, so lines never mix
	out io.Writer
}

func (s *shared) write(line []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.out.Write(line)
	return err
}

// redirect sends further lines to another place. When it has returned nobody writes to the old one.
func (s *shared) redirect(out io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = out
}

// handler is a slog.Handler.
type handler struct {
	*shared
	attrs []attr // of With, already flat
	group string // prefix of names, with its dot
}

// attr is one attribute with its whole name and a resolved value.
type attr struct {
	name  string
	value slog.Value
}

// Enabled implements slog.Handler.
func (h handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.rules.Load().level }

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	h.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		h.attrs = flatten(h.attrs, h.group, a)
	}
	return h
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	if name != "" {
		h.group += name + "."
	}
	return h
}

// Handle implements slog.Handler.
func (h handler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.group, a)
		return true
	})
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	rules := h.rules.Load()
	if rules.json {
		return h.write(rules.object(r, attrs))
	}
	return h.write(rules.plain(r, attrs))
}

// flatten resolves a value, which also hides secrets, and turns groups into dotted names.
func flatten(list []attr, group string, a slog.Attr) []attr {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return list
	}
	if a.Value.Kind() != slog.KindGroup {
		return append(list, attr{group + a.Key, a.Value})
	}
	if a.Key != "" {
		group += a.Key + "."
	}
	for _, member := range a.Value.Group() {
		list = flatten(list, group, member)
	}
	return list
}

// plain writes a record as a line; attributes follow the message.
func (c *rules) plain(r slog.Record, attrs []attr) []byte {
	var b bytes.Buffer
	b.WriteString(r.Message)
	for _, a := range attrs {
		b.WriteString(" " + a.name + "=" + quoted(text(a.value)))
	}
	r.Message = b.String()
	b = bytes.Buffer{}
	for _, p := range c.line {
		b.WriteString(p.text)
		if p.field != "" {
			v, _ := c.field(p.field, r) // unknown ones were left out when the format was read
			fmt.Fprintf(&b, p.verb, v)
		}
	}
	b.WriteByte('\n')
	return b.Bytes()
}

func text(v slog.Value) string {
	if v.Kind() == slog.KindTime {
		return v.Time().Format("2006-01-02T15:04:05.000Z07:00")
	}
	return v.String()
}

// quoted adds quotes to what would not be read as one word.
func quoted(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || r == '"' || r == '=' || !unicode.IsPrint(r)
	}) {
		return strconv.Quote(s)
	}
	return s
}

// object writes a record as JSON: the chosen fields in their order, then the attributes, then the static ones.
func (c *rules) object(r slog.Record, attrs []attr) []byte {
	w := objectWriter{used: map[string]bool{}}
	for _, f := range c.fields {
		if v, ok := c.field(f.Field, r); ok {
			w.add(f.Name, v)
		}
	}
	for _, a := range attrs {
		w.add(a.name, jsonValue(a.value))
	}
	for _, k := range slices.Sorted(maps.Keys(c.static)) {
		w.add(k, c.static[k])
	}
	return append(w.bytes(), '\n')
}

func jsonValue(v slog.Value) any {
	switch v.Kind() {
	case slog.KindBool, slog.KindInt64, slog.KindUint64:
		return v.Any()
	}
	return text(v)
}

// objectWriter keeps the order of keys; of equal ones the first counts.
type objectWriter struct {
	buf  bytes.Buffer
	used map[string]bool
}

func (w *objectWriter) add(name string, value any) {
	if w.used[name] {
		return
	}
	encoded, err := json.Marshal(value)
	if err != nil { // a number that JSON does not have
		encoded, _ = json.Marshal(fmt.Sprint(value))
	}
	key, _ := json.Marshal(name) // a string can always be encoded
	if len(w.used) > 0 {
		w.buf.WriteString(", ")
	}
	w.used[name] = true
	w.buf.Write(key)
	w.buf.WriteString(": ")
	w.buf.Write(encoded)
}

func (w *objectWriter) bytes() []byte { return []byte("{" + w.buf.String() + "}") }
