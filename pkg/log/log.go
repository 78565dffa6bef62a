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
	"reflect"
	"strings"
	"sync"
)

// LevelCritical is above slog's levels: the agent can't go on.
const LevelCritical = slog.LevelError + 4

// Options say how to log. The zero value writes plain lines of level INFO and above to standard error.
type Options struct {
	Level string // DEBUG, INFO, WARNING, ERROR or CRITICAL; empty: INFO
	JSON  bool   // one JSON object on each line
	// Format is a line in the way of Python's logging, such as "%(asctime)s %(levelname)s: %(message)s"; empty: that.
	// With JSON its fields count, in their order.
	Format string
	// DateFormat writes asctime in the way of strftime; empty: 2027-03-01 08:00:12,104.
	DateFormat string
	Fields     []Field // of a JSON line; empty: those of Format
	// Static are added to each JSON object.
	Static map[string]string

	Dir      string // directory of patroni.log; empty: standard error
	Mode     os.FileMode
	FileSize int64 // bytes before rotation; zero: 25,000,000
	FileNum  int   // rotated files kept; zero: none, the file is cut
	// Queue is how many lines may wait for a reader of standard error before further ones are lost; zero: 1000.
	Queue int

	// Output is written to if Dir is empty; nil: standard error. Tests set it.
	Output io.Writer
}

// place is the part of the options that says where lines go.
func (o Options) place() Options {
	return Options{Dir: o.Dir, Mode: o.Mode, FileSize: o.FileSize, FileNum: o.FileNum, Queue: o.Queue, Output: o.Output}
}

// Field is a field of a JSON line and the name it gets: asctime, levelname, message, name or process.
type Field struct{ Field, Name string }

// DefaultFields are those of a JSON line if none are given. Source: Patroni 4.1, log.py.
var DefaultFields = []Field{{"asctime", "asctime"}, {"levelname", "levelname"}, {"message", "message"}}

// Log is a logger whose options may change while it is used.
type Log struct {
	*slog.Logger
	shared *shared

	mu       sync.Mutex
	o        Options
	closeOut func() error
}

// New makes a logger. It fails if the level is unknown or the file can't be opened.
func New(o Options) (*Log, error) {
	r, err := o.rules()
	if err != nil {
		return nil, err
	}
	out, closeOut, err := o.open()
	if err != nil {
		return nil, err
	}
	s := &shared{out: out}
	s.rules.Store(r)
	return &Log{Logger: slog.New(handler{shared: s}), shared: s, o: o, closeOut: closeOut}, nil
}

// Reconfigure lets all that was made from this logger follow new options from the next line on. With an error all stays
// as it was.
func (l *Log) Reconfigure(o Options) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, err := o.rules()
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(o.place(), l.o.place()) {
		out, closeOut, err := o.open()
		if err != nil {
			return err
		}
		l.shared.redirect(out)
		// What is in the old place has been written, or nobody has read it for a long time.
		_ = l.closeOut()
		l.closeOut = closeOut
	}
	l.shared.rules.Store(r)
	l.o = o
	return nil
}

// Close closes the file, or waits a moment until the last lines were read from standard error; logging never waits for
// that.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closeOut()
}

// open opens the place that lines go to.
func (o Options) open() (out io.Writer, closeOut func() error, err error) {
	switch {
	case o.Dir != "":
		f, err := openRotating(filepath.Join(o.Dir, "patroni.log"), o.Mode, o.FileSize, o.FileNum)
		if err != nil {
			return nil, nil, err
		}
		return f, f.Close, nil
	case o.Output != nil:
		return o.Output, func() error { return nil }, nil
	}
	d := newDetached(os.Stderr, o.Queue)
	return d, d.Close, nil
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
