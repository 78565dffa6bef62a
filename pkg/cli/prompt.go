package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// prompter asks questions. Every method ends with errAborted at the end of input and when the context ends.
type prompter interface {
	// Text gives the answer, or def for an empty line; the default is shown even if it is empty.
	Text(ctx context.Context, question, def string) (string, error)
	// Required asks until the line is not empty.
	Required(ctx context.Context, question string) (string, error)
	// Int asks until the line is a whole number.
	Int(ctx context.Context, question string) (int, error)
	// Confirm is a yes/no question whose default is no.
	Confirm(ctx context.Context, question string) (bool, error)
}

// linePrompter asks on a plain stream, terminal or not: upstream's users answer through pipes.
type linePrompter struct {
	in  *bufio.Reader
	out io.Writer
}

func newLinePrompter(in io.Reader, out io.Writer) *linePrompter {
	return &linePrompter{in: bufio.NewReader(in), out: out}
}

func (p *linePrompter) Text(ctx context.Context, question, def string) (string, error) {
	answer, err := p.line(ctx, fmt.Sprintf("%s [%s]: ", question, def))
	if answer == "" {
		answer = def
	}
	return answer, err
}

func (p *linePrompter) Required(ctx context.Context, question string) (string, error) {
	for {
		answer, err := p.line(ctx, question+": ")
		if err != nil || answer != "" {
			return answer, err
		}
	}
}

func (p *linePrompter) Int(ctx context.Context, question string) (int, error) {
	for {
		answer, err := p.Required(ctx, question)
		if err != nil {
			return 0, err
		}
		n, err := strconv.Atoi(strings.TrimSpace(answer))
		if err == nil {
			return n, nil
		}
		_, _ = fmt.Fprintf(p.out, "Error: '%s' is not a valid integer.\n", answer)
	}
}

func (p *linePrompter) Confirm(ctx context.Context, question string) (bool, error) {
	for {
		answer, err := p.line(ctx, question+" [y/N]: ")
		if err != nil {
			return false, err
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "y", "yes":
			return true, nil
		case "", "n", "no":
			return false, nil
		}
		_, _ = fmt.Fprintln(p.out, "Error: invalid input")
	}
}

// line reads beside the wait for the context, because a read from a terminal can't be interrupted. The
// reading goroutine is left behind then; the process is about to end.
func (p *linePrompter) line(ctx context.Context, question string) (string, error) {
	if _, err := io.WriteString(p.out, question); err != nil {
		return "", errAborted
	}
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := p.in.ReadString('\n')
		got <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errAborted
	case a := <-got:
		if a.err != nil && a.text == "" {
			return "", errAborted
		}
		return strings.TrimSuffix(a.text, "\n"), nil
	}
}
