package cli

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// console reads lines from a person at a terminal, who can edit them and have names completed with TAB.
type console struct {
	keyboard *os.File
	terminal *term.Terminal
	choices  []string // of the present question
}

// newConsole gives nil unless both streams are terminals. in is what is read of the keyboard, so that nothing
// typed ahead is lost.
func newConsole(keyboard, in, out any) *console {
	f, ok := keyboard.(*os.File)
	if !ok || !terminal(f) || !terminal(out) {
		return nil
	}
	c := &console{keyboard: f}
	c.terminal = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in.(io.Reader), out.(io.Writer)}, "")
	c.terminal.AutoCompleteCallback = c.complete
	return c
}

// ask reads one line. The terminal is changed only meanwhile, so that Ctrl-C and output are as ever in between.
func (c *console) ask(question string, choices []string) (string, error) {
	fd := int(c.keyboard.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() { _ = term.Restore(fd, before) }()
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		_ = c.terminal.SetSize(width, height)
	}
	c.choices = choices
	c.terminal.SetPrompt(question)
	line, err := c.terminal.ReadLine()
	if err == term.ErrPasteIndicator {
		err = nil
	}
	if err != nil { // Ctrl-C and Ctrl-D: what follows stands behind the question, as without a console
		return "", err
	}
	return line, nil
}

// complete extends what is typed by what all choices that begin like it have in common; if that is nothing, it
// lists them.
func (c *console) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	var fit []string
	for _, name := range c.choices {
		if strings.HasPrefix(name, line[:pos]) {
			fit = append(fit, name)
		}
	}
	if len(fit) == 0 {
		return line, pos, true // a TAB is no part of a name
	}
	common := fit[0]
	for _, name := range fit[1:] {
		for !strings.HasPrefix(name, common) {
			common = common[:len(common)-1]
		}
	}
	if common == line[:pos] && len(fit) > 1 {
		_, _ = fmt.Fprintf(c.terminal, "%s\n", strings.Join(fit, "  "))
	}
	return common + line[pos:], len(common), true
}
