package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hathi-ha/hathi/pkg/cli/editor"
	"github.com/hathi-ha/hathi/pkg/config"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

type editConfigOptions struct {
	changing
	group          integer
	quiet, force   bool
	set, pg        texts
	apply, replace text
	draft          *editor.Draft // what the editor works on; nil without one
	keep           bool          // the draft is all that is left of somebody's work
	conflicts      int           // how often somebody else was quicker
}

func newEditConfig(e *env) *cobra.Command {
	o := &editConfigOptions{changing: changing{env: e}}
	cmd := &cobra.Command{
		Use: "edit-config [OPTIONS] [CLUSTER_NAME]", Short: "Edit cluster configuration",
		Args: positional(1), ValidArgsFunction: e.completeCluster,
		RunE: o.command(o.run),
	}
	configuredGroup(cmd, &o.group)
	toggle(cmd, &o.quiet, "Do not show changes", "--quiet", "-q")
	option(cmd, &o.set, "TEXT", "Set specific configuration value. Can be specified multiple times", "--set", "-s")
	option(cmd, &o.pg, "TEXT", "Set specific PostgreSQL parameter value. Shorthand for -s postgresql.parameters. "+
		"Can be specified multiple times", "--pg", "-p")
	option(cmd, &o.apply, "TEXT", "Apply configuration from file. Use - for stdin.", "--apply")
	option(cmd, &o.replace, "TEXT", "Apply configuration from file, replacing existing configuration. Use - for stdin.", "--replace")
	forceOption(cmd, &o.force)
	o.declare(cmd, "")
	_ = cmd.RegisterFlagCompletionFunc("set", e.completeSetting("", config.DynamicKeys))
	_ = cmd.RegisterFlagCompletionFunc("pg", e.completeSetting("postgresql.parameters.", config.SharedParameters))
	return cmd
}

// texts is an option that may be given several times.
type texts []string

func (t *texts) String() string     { return "" }
func (t *texts) Type() string       { return "string" }
func (t *texts) Set(s string) error { *t = append(*t, s); return nil }

var _ pflag.Value = (*texts)(nil)

func (o *editConfigOptions) run(ctx context.Context, args []string) (err error) {
	s, v, err := o.beginLooking(ctx, args, o.group)
	if err != nil {
		return err
	}
	defer s.close()
	e, err := ctl.StartEdit(s.name, s.key(), v)
	if err != nil {
		return err
	}
	defer func() { err = o.leave(err) }()
	typed, err := o.change(ctx, e)
	if err != nil {
		return err
	}
	for {
		done, err := o.settle(ctx, s, e, typed)
		if err != nil || done {
			return err
		}
		if typed, err = o.again(ctx, s, e); err != nil {
			return err
		}
	}
}

// leave removes the draft, or tells where it is.
func (o *editConfigOptions) leave(err error) error {
	if o.draft == nil {
		return err
	}
	if !o.keep {
		o.draft.Remove()
		return err
	}
	where := "Your changes are in " + o.draft.Path()
	if err == nil || errors.Is(err, errAborted) {
		_, _ = fmt.Fprintln(o.err, where)
		return err
	}
	return wordedError{text: err.Error() + "\n" + where, cause: err}
}

// change makes the changes that the options ask for or, without any, lets the user make them. It gives the new
// configuration as text: what was typed, with all comments, if it was typed.
func (o *editConfigOptions) change(ctx context.Context, e *ctl.Edit) (string, error) {
	if !o.replace.given && !o.apply.given && len(o.set) == 0 && len(o.pg) == 0 {
		return o.edit(ctx, e, document(e.Before))
	}
	for _, file := range []struct {
		text
		use func(source string, text []byte) error
	}{{o.replace, e.Replace}, {o.apply, e.Apply}} {
		if !file.given {
			continue
		}
		source, text, err := o.load(file.value)
		if err != nil {
			return "", err
		}
		if err := file.use(source, text); err != nil {
			return "", err
		}
	}
	for _, a := range o.set {
		if err := e.Set(a); err != nil {
			return "", err
		}
	}
	for _, a := range o.pg {
		if err := e.SetParameter(a); err != nil {
			return "", err
		}
	}
	return document(e.After), nil
}

// document is a configuration as it is shown and edited.
func document(n *config.Node) string { return string(view.YAML(n.Value())) }

func (o *editConfigOptions) load(path string) (source string, text []byte, err error) {
	if path == "-" {
		text, err = io.ReadAll(o.in)
		return "standard input", text, err
	}
	text, err = os.ReadFile(path)
	return path, text, err
}

// edit opens the editor with a text, again and again until it holds a configuration that can be used. The user
// may stop at each mistake; the text stays in its file then.
func (o *editConfigOptions) edit(ctx context.Context, e *ctl.Edit, text string) (string, error) {
	if o.draft == nil {
		draft, err := editor.NewDraft(strings.ReplaceAll(e.Cluster, "/", "_")+"-config-*.yaml", []byte(text))
		if err != nil {
			return "", err
		}
		o.draft = draft
	} else if err := o.draft.Rewrite([]byte(text)); err != nil {
		return "", err
	}
	for {
		code, err := editor.Edit(o.draft.Path(), o.getenv, editor.Streams{In: o.in, Out: o.screen(), Err: o.err})
		switch {
		case errors.Is(err, editor.ErrNone):
			return "", ctl.Refusal{Text: "EDITOR environment variable is not set. editor or vi are not available"}
		case err != nil:
			return "", err
		case code != 0:
			typed, err := o.draft.Read()
			o.keep = o.keep || err == nil && string(typed) != text // a crash must not cost what was saved before it
			return "", worded("Editor exited with return code %d", code)
		}
		typed, err := o.draft.Read()
		if err != nil {
			return "", err
		}
		if err = e.Write(o.draft.Path(), typed); err == nil {
			mistakes, _ := e.Check()
			if len(mistakes) == 0 {
				o.keep = true // from here on it is somebody's work, until it is stored or given up
				return string(typed), nil
			}
			err = mistakes
		}
		o.keep = true
		if o.contract() {
			return "", err
		}
		_, _ = fmt.Fprintf(o.err, "Error: %v\n", err)
		if yes, asked := o.ask.Confirm(ctx, "Edit again?"); asked != nil || !yes {
			return "", errors.Join(asked, worded("Nothing was changed"))
		}
	}
}

// settle shows what would change, asks, and writes. False: somebody else has changed the configuration.
func (o *editConfigOptions) settle(ctx context.Context, s *subject, e *ctl.Edit, typed string) (bool, error) {
	if e.Same() {
		if !o.quiet {
			o.say("Not changed")
		}
		o.keep = false
		return true, nil
	}
	mistakes, warnings := e.Check()
	if len(mistakes) > 0 {
		return false, mistakes
	}
	for _, w := range warnings {
		o.hint("Warning: %s", w)
	}
	if !o.quiet {
		if err := o.showDiff(document(e.Before), typed); err != nil {
			return false, err
		}
	}
	if !o.force && !o.dry {
		if o.replace.value == "-" || o.apply.value == "-" {
			o.say("Use --force option to apply changes")
			return true, nil
		}
		yes, err := o.ask.Confirm(ctx, "Apply these changes?")
		if err != nil {
			return false, err
		}
		if !yes {
			o.keep = false
			o.hint("Nothing was changed.")
			return true, nil
		}
	}
	written, err := s.control.WriteConfig(ctx, e)
	switch {
	case o.planned(err):
		o.keep = false
		return true, nil
	case err != nil || !written:
		return false, err
	}
	o.keep = false
	o.result.more = view.Object{{Key: "config", Value: e.After.Value()}}
	o.say("Configuration changed")
	return true, nil
}

// maxConflicts is how often a change is made anew on what somebody else has stored meanwhile.
const maxConflicts = 10

// again makes the same changes on the configuration that somebody else has stored meanwhile. patronictl gives up.
func (o *editConfigOptions) again(ctx context.Context, s *subject, e *ctl.Edit) (string, error) {
	o.conflicts++
	if o.contract() || o.conflicts > maxConflicts {
		return "", ctl.Refusal{Text: "Config modification aborted due to concurrent changes"}
	}
	v, err := s.snapshot(ctx)
	if err != nil {
		return "", err
	}
	clashes, err := e.Rebase(v)
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintln(o.err, "Somebody else has changed the configuration meanwhile; your changes were made anew on top of it.")
	if len(clashes) > 0 {
		_, _ = fmt.Fprintf(o.err, "Both changed: %s\n", strings.Join(clashes, ", "))
		if o.force {
			return "", ctl.Refusal{Text: "Config modification aborted due to concurrent changes"}
		}
	}
	text := document(e.After)
	if o.draft == nil || o.force {
		return text, nil
	}
	if err := o.draft.Rewrite([]byte(text)); err != nil {
		return "", err
	}
	yes, err := o.ask.Confirm(ctx, "Edit again?")
	if err != nil || !yes {
		return text, err
	}
	return o.edit(ctx, e, text)
}

// showDiff shows what changes: plain, or in colour through a pager if a person sits in front of it.
func (o *editConfigOptions) showDiff(before, after string) error {
	if !terminal(o.out) {
		_, err := o.out.Write(view.Diff(before, after, false))
		return err
	}
	text := view.Diff(before, after, o.getenv("NO_COLOR") == "")
	err := editor.Page(text, o.getenv, editor.Streams{Out: o.screen(), Err: o.err})
	switch {
	case errors.Is(err, editor.ErrNone) && o.contract():
		return worded("No pager could be found. Either set PAGER environment variable with your pager or install either " +
			`"less" or "more" in the host.`)
	case err != nil: // a pager that fails must not hide what is about to change
		_, err = o.out.Write(text)
	}
	return err
}
