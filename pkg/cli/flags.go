package cli

import (
	"errors"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Annotations of a flag: its names in the order in which error messages show them, and the placeholder of
// its value.
const (
	namesKey   = "hathi_names"
	metavarKey = "hathi_metavar"
)

// option declares a flag under all of its names ("--format", "-f"). An alias shares the value.
func option(cmd *cobra.Command, v pflag.Value, metavar, help string, names ...string) {
	var long []string
	short := ""
	for _, n := range names {
		if name, ok := strings.CutPrefix(n, "--"); ok {
			long = append(long, name)
		} else {
			short = n[1:]
		}
	}
	if len(long) == 0 {
		long = []string{"short-" + short} // the library needs a long name; it is not shown
	}
	for i, name := range long {
		f := cmd.Flags().VarPF(v, name, short, help)
		f.Annotations = map[string][]string{namesKey: names, metavarKey: {metavar}}
		f.Hidden = i > 0
		if _, ok := v.(*boolean); ok {
			f.NoOptDefVal = unvalued
		}
		short = ""
	}
}

// toggle declares an option without a value.
func toggle(cmd *cobra.Command, v *bool, help string, names ...string) {
	option(cmd, (*boolean)(v), "", help, names...)
}

// text is a string option that knows whether it was given.
type text struct {
	value string
	given bool
}

func (t *text) String() string     { return t.value }
func (t *text) Type() string       { return "string" }
func (t *text) Set(s string) error { t.value, t.given = s, true; return nil }

type boolean bool

func (b *boolean) String() string { return strconv.FormatBool(bool(*b)) }
func (b *boolean) Type() string   { return "bool" }
func (b *boolean) Set(s string) error {
	if s != unvalued {
		return errors.New("it takes no value")
	}
	*b = true
	return nil
}

// unvalued is what the library sets an option to that stands without a value: nothing that anybody can type, for
// --force=true is a mistake like --force=x.
const unvalued = "\x00"

// choice is an option with a fixed set of values.
type choice struct {
	value   string
	allowed []string
}

func (c *choice) String() string { return c.value }
func (c *choice) Type() string   { return "string" }
func (c *choice) Set(s string) error {
	for _, a := range c.allowed {
		if a == s {
			c.value = s
			return nil
		}
	}
	return worded("'%s' is not one of '%s'.", s, strings.Join(c.allowed, "', '"))
}

// integer is a whole number that may be absent.
type integer struct {
	value *int
	// configured: the group of the configuration's citus section is the default.
	configured bool
	// asked: the command itself asks for a group that is missing.
	asked bool
}

func (i *integer) String() string { return "" }
func (i *integer) Type() string   { return "int" }
func (i *integer) Set(s string) error {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil {
		return worded("'%s' is not a valid integer.", s)
	}
	i.value = &n
	return nil
}

// seconds is a number of seconds; zero, and anything below, is off.
type seconds struct {
	value float64
	given bool
}

func (f *seconds) String() string { return "" }
func (f *seconds) Type() string   { return "float" }
func (f *seconds) Set(s string) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	if err != nil || math.IsNaN(n) {
		return worded("'%s' is not a valid float.", s)
	}
	f.value, f.given = n, true
	return nil
}

// forever is longer than anybody waits, and still can be added to.
const forever = 100 * 365 * 24 * time.Hour

// duration gives at most forever: a larger number, infinity for one, can't be counted.
func (f *seconds) duration() time.Duration {
	return time.Duration(min(max(0, f.value*float64(time.Second)), float64(forever)))
}

// fileText is the text of a file that has to be there when the command line is read; a dash is standard input,
// which is read later.
type fileText struct{ path, text string }

func (f *fileText) String() string { return f.path }
func (f *fileText) Type() string   { return "string" }
func (f *fileText) Set(path string) error {
	f.path = path
	if path == "-" {
		return nil
	}
	text, err := os.ReadFile(path)
	var number syscall.Errno
	if errors.As(err, &number) {
		reason := number.Error()
		return worded("'%s': %s%s", path, strings.ToUpper(reason[:1]), reason[1:])
	}
	f.text = string(text)
	return err
}

// formats are the words for the forms of a result; yml is yaml.
var formats = []string{"pretty", "tsv", "json", "yaml", "yml"}

// Options that several commands share.

func groupOption(cmd *cobra.Command, g *integer) { option(cmd, g, "INTEGER", "Citus group", "--group") }

// configuredGroup is groupOption with the configuration's group as the default.
func configuredGroup(cmd *cobra.Command, g *integer) {
	g.configured = true
	groupOption(cmd, g)
}

func forceOption(cmd *cobra.Command, force *bool) {
	toggle(cmd, force, "Do not ask for confirmation at any point", "--force")
}

func formatOption(cmd *cobra.Command, c *choice) {
	*c = choice{value: "pretty", allowed: formats}
	option(cmd, c, "["+strings.Join(c.allowed, "|")+"]", "Output format", "--format", "-f")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(c.allowed, cobra.ShellCompDirectiveNoFileComp))
}

// machineOption adds --format, for programs, to a command that has one form of output by contract.
func machineOption(e *env, cmd *cobra.Command, c *choice, usual string) {
	*c = choice{value: usual, allowed: []string{usual, "json"}}
	if e.contract() {
		return
	}
	option(cmd, c, "["+strings.Join(c.allowed, "|")+"]", "Output format", "--format", "-f")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(c.allowed, cobra.ShellCompDirectiveNoFileComp))
}

func roleOption(cmd *cobra.Command, c *choice, allowed []string) {
	*c = choice{value: "any", allowed: allowed}
	option(cmd, c, "["+strings.Join(allowed, "|")+"]", "Only members of this role", "--role", "-r")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
}
