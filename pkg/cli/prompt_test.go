package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

func TestPrompts(t *testing.T) {
	for name, c := range map[string]struct {
		input  string
		ask    func(ctx context.Context, p prompter) (any, error)
		want   any
		output string
	}{
		"default":          {"\n", func(ctx context.Context, p prompter) (any, error) { return p.Text(ctx, "Q", "d") }, "d", "Q [d]: "},
		"text is kept":     {" a b \n", func(ctx context.Context, p prompter) (any, error) { return p.Text(ctx, "Q", "") }, " a b ", "Q []: "},
		"last line":        {"x", func(ctx context.Context, p prompter) (any, error) { return p.Text(ctx, "Q", "") }, "x", "Q []: "},
		"asked again":      {"\n\nx\n", func(ctx context.Context, p prompter) (any, error) { return p.Required(ctx, "Q") }, "x", "Q: Q: Q: "},
		"whole number":     {"x\n7\n", func(ctx context.Context, p prompter) (any, error) { return p.Int(ctx, "Q") }, 7, "Q: Error: 'x' is not a valid integer.\nQ: "},
		"yes":              {" YES \n", func(ctx context.Context, p prompter) (any, error) { return p.Confirm(ctx, "Q?") }, true, "Q? [y/N]: "},
		"no is the answer": {"\n", func(ctx context.Context, p prompter) (any, error) { return p.Confirm(ctx, "Q?") }, false, "Q? [y/N]: "},
		"neither":          {"maybe\nn\n", func(ctx context.Context, p prompter) (any, error) { return p.Confirm(ctx, "Q?") }, false, "Q? [y/N]: Error: invalid input\nQ? [y/N]: "},
	} {
		var out bytes.Buffer
		got, err := c.ask(t.Context(), newLinePrompter(strings.NewReader(c.input), &out))
		if err != nil || got != c.want || out.String() != c.output {
			t.Errorf("%s: got %v, %v after %q, want %v after %q", name, got, err, out.String(), c.want, c.output)
		}
	}
}

func TestPromptEndsWithContext(t *testing.T) {
	in, never := io.Pipe()
	defer func() { _ = never.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newLinePrompter(in, io.Discard).Confirm(ctx, "Q?"); err != errAborted {
		t.Errorf("got %v, want %v", err, errAborted)
	}
}
