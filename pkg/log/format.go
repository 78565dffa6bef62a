package log

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

const (
	// defaultFormat puts the level at column 25, counted from 1. Source: Patroni 4.1, log.py.
	defaultFormat = "%(asctime)s %(levelname)s: %(message)s"
	timeLayout    = "2006-01-02 15:04:05,000"
)

// part is a piece of a format: text, then a field and how it is printed. An empty field prints nothing.
type part struct{ text, field, verb string }

// placeholder is %% or %(name) with flags, width and a conversion. Source: Python 3.11, printf-style formatting.
var placeholder = regexp.MustCompile(`%%|%\((\w+)\)([-0 +#]*\d*)(?:\.(\d+))?([sdifrx])`)

// parseFormat reads a format in the way of Python's logging. A field that nobody knows stays as it is written, so that it
// is seen.
func parseFormat(format string) []part {
	var parts []part
	pending, from := "", 0
	for _, m := range placeholder.FindAllStringSubmatchIndex(format, -1) {
		pending += format[from:m[0]]
		from = m[1]
		if m[2] < 0 {
			pending += "%"
			continue
		}
		name := format[m[2]:m[3]]
		if _, known := (&rules{}).field(name, slog.Record{}); !known {
			pending += format[m[0]:m[1]]
			continue
		}
		verb := "%" + format[m[4]:m[5]] + "v"
		if format[m[8]:m[9]] == "f" && name == "created" {
			precision := "6"
			if m[6] >= 0 {
				precision = format[m[6]:m[7]]
			}
			verb = "%" + format[m[4]:m[5]] + "." + precision + "f"
		}
		parts = append(parts, part{pending, name, verb})
		pending = ""
	}
	if pending += format[from:]; pending != "" {
		parts = append(parts, part{text: pending})
	}
	return parts
}

// processStart is what relativeCreated counts from.
var processStart = time.Now()

// field gives a field by its name in Python's logging. Source: Python 3.11, LogRecord attributes.
func (c *rules) field(name string, r slog.Record) (any, bool) {
	switch name {
	case "asctime":
		if c.date != nil {
			return c.date(r.Time), true
		}
		return r.Time.Format(timeLayout), true
	case "created":
		return float64(r.Time.UnixMicro()) / 1e6, true
	case "msecs":
		return r.Time.Nanosecond() / 1e6, true
	case "relativeCreated":
		return r.Time.Sub(processStart).Milliseconds(), true
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
	case "thread":
		return 0, true
	case "threadName":
		return "MainThread", true
	}
	return origin(name, r.PC)
}

// origin gives the fields about the place in the code that a line comes from.
func origin(name string, pc uintptr) (any, bool) {
	frame, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	file := filepath.Base(frame.File)
	switch name {
	case "pathname":
		return frame.File, true
	case "filename":
		return file, true
	case "module":
		return strings.TrimSuffix(file, ".go"), true
	case "funcName":
		return frame.Function[strings.LastIndexByte(frame.Function, '/')+1:], true
	case "lineno":
		return frame.Line, true
	}
	return nil, false
}

// dateFormat gives what writes times in the way of strftime; nil for the usual way.
func dateFormat(format string) func(time.Time) string {
	if format == "" {
		return nil
	}
	return func(t time.Time) string {
		var b strings.Builder
		for i := 0; i < len(format); i++ {
			if format[i] != '%' || i+1 == len(format) {
				b.WriteByte(format[i])
				continue
			}
			i++
			b.WriteString(conversion(format[i], t))
		}
		return b.String()
	}
}

// layouts are the conversions of strftime in Go's words. Source: Python 3.11, datetime, format codes.
var layouts = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002",
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'z': "-0700", 'Z': "MST", 'f': "000000", 'F': "2006-01-02",
	'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006", 'x': "01/02/06", 'X': "15:04:05",
}

// conversion gives one conversion of strftime; what nobody knows stays as it is written.
func conversion(letter byte, t time.Time) string {
	switch layout, known := layouts[letter]; {
	case letter == 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000)
	case letter == 's':
		return fmt.Sprint(t.Unix())
	case letter == '%':
		return "%"
	case known:
		return t.Format(layout)
	}
	return "%" + string(letter)
}
