package log

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// timeLayout puts the level at column 25, counted from 1. Source: Patroni 4.1, Python's logging.
const timeLayout = "2006-01-02 15:04:05,000"

// handler is a slog.Handler. Copies of it share out and its lock.
type handler struct {
	mu    *sync.Mutex
	out   io.Writer
	level slog.Level

	json   bool
	fields []Field
	static map[string]string

	attrs []attr // of With, already flat
	group string // prefix of names, with its dot
}

// attr is one attribute with its whole name and a resolved value.
type attr struct {
	name  string
	value slog.Value
}

func newHandler(out io.Writer, level slog.Level, o Options) *handler {
	fields := o.Fields
	if len(fields) == 0 {
		fields = DefaultFields
	}
	return &handler{mu: new(sync.Mutex), out: out, level: level, json: o.JSON, fields: fields, static: o.Static}
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		c.attrs = flatten(c.attrs, h.group, a)
	}
	return &c
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	c := *h
	if name != "" {
		c.group += name + "."
	}
	return &c
}

// Handle implements slog.Handler. One record is one write, so lines never mix.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.group, a)
		return true
	})
	if r.Time.IsZero() {
		r.Time = time.Now()
	}
	var line []byte
	if h.json {
		line = h.object(r, attrs)
	} else {
		line = plain(r, attrs)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := h.out.Write(line)
	return err
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

func plain(r slog.Record, attrs []attr) []byte {
	var b bytes.Buffer
	b.WriteString(r.Time.Format(timeLayout))
	b.WriteString(" " + LevelName(r.Level) + ": " + r.Message)
	for _, a := range attrs {
		b.WriteString(" " + a.name + "=" + quoted(text(a.value)))
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
func (h *handler) object(r slog.Record, attrs []attr) []byte {
	w := objectWriter{used: map[string]bool{}}
	for _, f := range h.fields {
		if v, ok := field(f.Field, r); ok {
			w.add(f.Name, v)
		}
	}
	for _, a := range attrs {
		w.add(a.name, jsonValue(a.value))
	}
	for _, k := range slices.Sorted(maps.Keys(h.static)) {
		w.add(k, h.static[k])
	}
	return append(w.bytes(), '\n')
}

// field gives a field by its name in Python's logging; those that mean nothing here are left out.
func field(name string, r slog.Record) (any, bool) {
	switch name {
	case "asctime":
		return r.Time.Format(timeLayout), true
	case "created":
		return float64(r.Time.UnixMicro()) / 1e6, true
	case "msecs":
		return r.Time.Nanosecond() / 1e6, true
	case "levelname":
		return LevelName(r.Level), true
	case "levelno":
		return map[string]int{"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}[LevelName(r.Level)], true
	case "message":
		return r.Message, true
	case "name", "processName":
		return "hathi", true
	case "process":
		return os.Getpid(), true
	}
	return nil, false
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
