// Package editor starts the programs that a person works in: the editor of a text, and the pager for a long one.
// They own the terminal while they run, and are waited for.
package editor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNone is that no program can be found.
var ErrNone = errors.New("no such program")

// Streams are what a program talks through.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Edit lets a person change a file and gives the exit code of the editor: $EDITOR, which may have arguments, else
// editor or vi. The error is ErrNone, or why the program could not be run.
func Edit(path string, getenv func(string) string, s Streams) (code int, err error) {
	var cmd *exec.Cmd
	if named := getenv("EDITOR"); named != "" {
		cmd = exec.Command("/bin/sh", "-c", named+` "$1"`, "sh", path) // the shell splits off the arguments
	} else if program := first("editor", "vi"); program != "" {
		cmd = exec.Command(program, path)
	} else {
		return 0, ErrNone
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 0, fmt.Errorf("start the editor: %w", err)
	}
	return 0, nil
}

// Page shows a text in $PAGER, without arguments, else less or more. The error is ErrNone, or why the program
// failed. Source: Patroni 4.1, patronictl, get_pager.
func Page(text []byte, getenv func(string) string, s Streams) error {
	program := first(filepath.Base(getenv("PAGER")), "less", "more")
	if program == "" {
		return ErrNone
	}
	cmd := exec.Command(program)
	if filepath.Base(program) == "less" && getenv("LESS") == "" {
		cmd.Args = append(cmd.Args, "-FRSX", "--shift", "1")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(string(text)), s.Out, s.Err
	return cmd.Run()
}

// first gives the path of the first program that is there, empty if none is.
func first(names ...string) string {
	for _, name := range names {
		if name == "" || name == "." {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Draft is a file for an editor; it is nobody else's to read.
type Draft struct{ path string }

// NewDraft writes a text to a new file in the directory for temporary files. pattern is that of os.CreateTemp.
func NewDraft(pattern string, text []byte) (*Draft, error) {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return nil, fmt.Errorf("make a file for the editor: %w", err)
	}
	d := &Draft{path: f.Name()}
	_, err = f.Write(text)
	return d, errors.Join(err, f.Close())
}

// Path is where the file is.
func (d *Draft) Path() string { return d.path }

// Read gives its text.
func (d *Draft) Read() ([]byte, error) { return os.ReadFile(d.path) }

// Rewrite puts another text into it.
func (d *Draft) Rewrite(text []byte) error { return os.WriteFile(d.path, text, 0o600) }

// Remove removes it.
func (d *Draft) Remove() { _ = os.Remove(d.path) }
