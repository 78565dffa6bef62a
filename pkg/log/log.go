// Package log writes log lines as Patroni does, so that what people and tools grep for stays where it was:
//
//	2027-03-01 08:00:12,104 INFO: no action. I am (db1), the leader with the lock
//
// [New] makes a logger for standard error or for a directory of rotated files, with lines as above or as JSON.
package log

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// LevelCritical is above slog's levels: the agent can't go on.
const LevelCritical = slog.LevelError + 4

// Options say how to log. The zero value writes plain lines of level INFO and above to standard error.
type Options struct {
	Level  string // DEBUG, INFO, WARNING, ERROR or CRITICAL; empty: INFO
	JSON   bool   // one JSON object on each line
	Fields []Field
	// Static are added to each JSON object.
	Static map[string]string

	Dir      string // directory of patroni.log; empty: standard error
	Mode     os.FileMode
	FileSize int64 // bytes before rotation; zero: 25,000,000
	FileNum  int   // rotated files kept; zero: none, the file is cut

	// Output is written to if Dir is empty; nil: standard error. Tests set it.
	Output io.Writer
}

// Field is a field of a JSON line and the name it gets: asctime, levelname, message, name or process.
type Field struct{ Field, Name string }

// DefaultFields are those of a JSON line if none are given. Source: Patroni 4.1, log.py.
var DefaultFields = []Field{{"asctime", "asctime"}, {"levelname", "levelname"}, {"message", "message"}}

// New makes a logger. close closes the file, or waits a moment until the last lines were read from standard
// error; logging never waits for that. It fails if the level is unknown or the file can't be opened.
func New(o Options) (logger *slog.Logger, closeLog func() error, err error) {
	level, err := ParseLevel(o.Level)
	if err != nil {
		return nil, nil, err
	}
	out, closeLog := o.Output, func() error { return nil }
	if out == nil && o.Dir == "" {
		d := newDetached(os.Stderr)
		out, closeLog = d, d.Close
	}
	if o.Dir != "" {
		f, err := openRotating(filepath.Join(o.Dir, "patroni.log"), o.Mode, o.FileSize, o.FileNum)
		if err != nil {
			return nil, nil, err
		}
		out, closeLog = f, f.Close
	}
	return slog.New(newHandler(out, level, o)), closeLog, nil
}

// ParseLevel reads the name of a level in any case; an empty one is INFO.
func ParseLevel(name string) (slog.Level, error) {
	switch strings.ToUpper(name) {
	case "DEBUG":
		return slog.LevelDebug, nil
	case "INFO", "":
		return slog.LevelInfo, nil
	case "WARN", "WARNING":
		return slog.LevelWarn, nil
	case "ERROR":
		return slog.LevelError, nil
	case "FATAL", "CRITICAL":
		return LevelCritical, nil
	}
	return 0, fmt.Errorf("unknown log level %q; use DEBUG, INFO, WARNING, ERROR or CRITICAL", name)
}

// LevelName gives Patroni's name of a level.
func LevelName(l slog.Level) string {
	switch {
	case l >= LevelCritical:
		return "CRITICAL"
	case l >= slog.LevelError:
		return "ERROR"
	case l >= slog.LevelWarn:
		return "WARNING"
	case l >= slog.LevelInfo:
		return "INFO"
	}
	return "DEBUG"
}
