package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// lineHandler writes log lines as patronictl does: date, level, text. Attributes are not shown: what the
// commands log is whole sentences.
type lineHandler struct {
	w     io.Writer
	level slog.Level
}

// newLogger reads the threshold from the environment; the last variable that is set wins.
func newLogger(w io.Writer, getenv func(string) string) *slog.Logger {
	level, unknown := slog.LevelWarn, ""
	for _, name := range []string{"LOGLEVEL", "PATRONI_LOGLEVEL", "PATRONI_LOG_LEVEL"} {
		switch v := getenv(name); strings.ToUpper(v) {
		case "":
		case "DEBUG":
			level = slog.LevelDebug
		case "INFO":
			level = slog.LevelInfo
		case "ERROR":
			level = slog.LevelError
		case "CRITICAL", "FATAL":
			level = slog.LevelError + 4
		case "WARNING", "WARN":
			level = slog.LevelWarn
		default:
			level, unknown = slog.LevelWarn, name+"="+v
		}
	}
	log := slog.New(lineHandler{w, level})
	if unknown != "" {
		log.Warn(unknown + " is no level: one of DEBUG, INFO, WARNING, ERROR, CRITICAL is")
	}
	return log
}

func (h lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h lineHandler) Handle(_ context.Context, r slog.Record) error {
	level := r.Level.String()
	if r.Level == slog.LevelWarn {
		level = "WARNING"
	}
	stamp := strings.Replace(r.Time.Format("2006-01-02 15:04:05.000"), ".", ",", 1)
	_, err := fmt.Fprintf(h.w, "%s - %s - %s\n", stamp, level, r.Message)
	return err
}

func (h lineHandler) WithAttrs([]slog.Attr) slog.Handler { return h }
func (h lineHandler) WithGroup(string) slog.Handler      { return h }
