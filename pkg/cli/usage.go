package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a command line that can't be understood.
type usageError struct {
	text string
	bare bool // without the two lines on usage
}

func (u usageError) Error() string { return u.text }

var (
	// errAborted: the user left at a question.
	errAborted = errors.New("aborted")
	// errFailed: the operation failed or was refused, and the command has already said so.
	errFailed = errors.New("failed")
)

// failed is for an operation that a member refused or could not do, after its line was printed:
// patronictl ends with 0 there, and scripts rely on it.
func (e *env) failed() error {
	if e.contract() {
		return nil
	}
	return errFailed
}

// execute runs one command line. This is the only place where errors become exit codes.
func (e *env) execute(ctx context.Context, args []string) int {
	root := e.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if s, ok := e.out.(*stream); ok && s.err != nil {
		return 1 // nobody reads the output any more
	}
	if ctx.Err() != nil && err != nil && !errors.Is(err, errAborted) {
		_, _ = fmt.Fprintln(e.err)
		err = errAborted
	}
	var usage usageError
	var code exited
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errFailed):
		return 1
	case errors.Is(err, errAborted):
		text := "Aborted!"
		if !e.contract() && ctx.Err() == nil && !e.ask.Patient() {
			text += " The input ended before the question was answered."
		}
		_, _ = fmt.Fprintln(e.err, text)
		return 1
	case errors.As(err, &usage) || flagError(cmd, err, &usage):
		if !usage.bare {
			if cmd.Name() == "help" {
				cmd = cmd.Root() // the library's own command does not exist for users
			}
			_, _ = fmt.Fprintf(e.err, "%s\nTry '%s --help' for help.\n\n", e.usageLine(cmd), e.commandPath(cmd))
		}
		_, _ = fmt.Fprintln(e.err, "Error: "+usage.text)
		return 2
	}
	_, _ = fmt.Fprintln(e.err, "Error: "+err.Error())
	return 1
}

// usageLine shows how a command is called. What does not fit goes on under the first argument.
func (e *env) usageLine(cmd *cobra.Command) string {
	prefix, arguments := "Usage: "+e.commandPath(cmd)+" ", "[OPTIONS] COMMAND [ARGS]..."
	if cmd.HasParent() {
		_, arguments, _ = strings.Cut(cmd.Use, " ")
	}
	return prefix + strings.Join(wrap(arguments, helpWidth-len(prefix)), "\n"+strings.Repeat(" ", len(prefix)))
}

func (e *env) commandPath(cmd *cobra.Command) string {
	if !cmd.HasParent() || e.name == "patroni" && cmd.Name() == "run" { // patroni is run and nothing else
		return e.name
	}
	return e.name + " " + cmd.Name()
}

// flagError puts the library's errors into the words of the contract.
func flagError(cmd *cobra.Command, err error, u *usageError) bool {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		*u = usageError{text: strings.TrimSpace("No such option: " + name + " " + meant(cmd, name))}
	case errors.As(err, &missing):
		name := "--" + missing.GetSpecifiedName()
		if missing.GetSpecifiedShortnames() != "" {
			name = "-" + missing.GetSpecifiedName()
		}
		*u = usageError{text: fmt.Sprintf("Option '%s' requires an argument.", name), bare: true}
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "bool":
		*u = usageError{text: fmt.Sprintf("Option '--%s' does not take a value.", invalid.GetFlag().Name), bare: true}
	case errors.As(err, &invalid):
		names := strings.Join(invalid.GetFlag().Annotations[namesKey], "' / '")
		*u = usageError{text: fmt.Sprintf("Invalid value for '%s': %s", names, invalid.Unwrap())}
	case errors.As(err, &syntax):
		*u = usageError{text: syntax.Error()}
	default:
		return false
	}
	return true
}

// meant suggests long options that look like a mistyped one. Source: Click 8, exceptions.py, NoSuchOption;
// Python 3, difflib.get_close_matches.
func meant(cmd *cobra.Command, typed string) string {
	likeness := map[string]float64{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		name := "--" + f.Name
		ratio := difflib.NewMatcher(strings.Split(name, ""), strings.Split(typed, "")).Ratio()
		if strings.HasPrefix(typed, "--") && !strings.HasPrefix(f.Name, "short-") && ratio >= 0.6 {
			likeness[name] = ratio
		}
	})
	close := slices.SortedFunc(maps.Keys(likeness), func(a, b string) int { return cmp.Compare(likeness[b], likeness[a]) })
	close = close[:min(3, len(close))]
	slices.Sort(close)
	switch len(close) {
	case 0:
		return ""
	case 1:
		return "Did you mean " + close[0] + "?"
	}
	return "(Possible options: " + strings.Join(close, ", ") + ")"
}

// positional checks the number of arguments: those that are required, by name, and how many more there
// may be, -1 for any number.
func positional(more int, required ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(required) {
			return usageError{text: fmt.Sprintf("Missing argument '%s'.", required[len(args)])}
		}
		if limit := len(required) + more; more >= 0 && len(args) > limit {
			extra, plural := args[limit:], ""
			if len(extra) > 1 {
				plural = "s"
			}
			return usageError{text: fmt.Sprintf("Got unexpected extra argument%s (%s)", plural, strings.Join(extra, " "))}
		}
		return nil
	}
}
