package sim

import (
	"context"
	"log/slog"
	"strings"
)

// handler puts what an agent logs into the trace, and has the checks read it where they look for something.
type handler struct{ n *node }

// Enabled implements slog.Handler.
func (h *handler) Enabled(context.Context, slog.Level) bool {
	return h.n.w.tracing || h.n.w.has(restartsPlanned)
}

// WithAttrs implements slog.Handler. The agent uses none.
func (h *handler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup implements slog.Handler. The agent uses none.
func (h *handler) WithGroup(string) slog.Handler { return h }

// Handle implements slog.Handler.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		b.WriteString(" " + a.Key + "=" + a.Value.String())
		return true
	})
	h.n.w.tracef(h.n, "log", "%s", b.String())
	h.n.w.check.fate(h.n, r.Message)
	return nil
}
