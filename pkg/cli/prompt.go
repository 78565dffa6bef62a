package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// prompter asks questions. Every method ends with errAborted at the end of input and when the context ends.
type prompter interface {
	// Text gives the answer, or def for an empty line; the default is shown even if it is empty. Choices are names
	// that a terminal completes; any other answer is given as well.
	Text(ctx context.Context, question, def string, choices ...string) (string, error)
	// Required asks until the line is not empty.
	Required(ctx context.Context, question string, choices ...string) (string, error)
	// Int asks until the line is a whole number.
	Int(ctx context.Context, question string) (int, error)
	// Secret asks like Required, and does not show what is typed in a terminal.
	Secret(ctx context.Context, question string) (string, error)
	// Patient reports whether a wrong answer can be given again: a person sits there.
	Patient() bool
	// Confirm is a yes/no question whose default is no.
	Confirm(ctx context.Context, question string) (bool, error)
}

// askUntil asks again after an answer that check refuses, if a person sits there; otherwise the refusal is the end.
func (e *env) askUntil(ask func() (string, error), check func(answer string) error) error {
	for {
		answer, err := ask()
		if err != nil {
			return err
		}
		if err = check(answer); err == nil || !e.ask.Patient() {
			return err
		}
		_, _ = fmt.Fprintf(e.err, "Error: %v\n", err)
	}
}

// linePrompter asks on a plain stream, terminal or not: upstream's users answer through pipes. With a console it
// asks there.
type linePrompter struct {
	in       *bufio.Reader
	keyboard *os.File // nil: the input is no terminal
	out      io.Writer
	console  *console // nil: none
}

// prompter asks on the given stream. patronictl's questions are plain lines in a terminal, too.
func (e *env) prompter(out io.Writer) prompter {
	p := newLinePrompter(e.in, out)
	if !e.contract() {
		p.console = newConsole(e.in, p.in, out)
	}
	return p
}

func newLinePrompter(in io.Reader, out io.Writer) *linePrompter {
	p := &linePrompter{in: bufio.NewReader(in), out: out}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		p.keyboard = f
	}
	return p
}

func (p *linePrompter) Patient() bool { return p.console != nil }

func (p *linePrompter) Text(ctx context.Context, question, def string, choices ...string) (string, error) {
	answer, err := p.line(ctx, fmt.Sprintf("%s [%s]: ", question, def), choices...)
	if answer == "" {
		answer = def
	}
	return answer, err
}

func (p *linePrompter) Required(ctx context.Context, question string, choices ...string) (string, error) {
	for {
		answer, err := p.line(ctx, question+": ", choices...)
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

func (p *linePrompter) Secret(ctx context.Context, question string) (string, error) {
	if p.keyboard == nil {
		return p.Required(ctx, question)
	}
	before, err := term.GetState(int(p.keyboard.Fd()))
	if err != nil {
		return "", fmt.Errorf("look at the terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(p.keyboard.Fd()), before) }() // also after Ctrl-C
	for {
		answer, err := p.wait(ctx, question+": ", func() (string, error) {
			text, err := term.ReadPassword(int(p.keyboard.Fd()))
			_, _ = fmt.Fprintln(p.out)
			return string(text), err
		})
		if err != nil || answer != "" {
			return answer, err
		}
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

func (p *linePrompter) line(ctx context.Context, question string, choices ...string) (string, error) {
	if p.console != nil {
		return p.wait(ctx, "", func() (string, error) { return p.console.ask(question, choices) })
	}
	return p.wait(ctx, question, func() (string, error) {
		text, err := p.in.ReadString('\n')
		if text != "" {
			err = nil
		}
		return strings.TrimSuffix(text, "\n"), err
	})
}

// wait reads beside the wait for the context, because a read from a terminal can't be interrupted. The
// reading goroutine is left behind then; the process is about to end.
func (p *linePrompter) wait(ctx context.Context, question string, read func() (string, error)) (string, error) {
	if _, err := io.WriteString(p.out, question); err != nil {
		return "", errAborted
	}
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errAborted
	case a := <-got:
		if a.err != nil {
			return "", errAborted
		}
		return a.text, nil
	}
}
