package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ctl"
	"github.com/hathi-ha/hathi/pkg/view"
)

// waitLimit is how long --wait waits if --timeout says nothing else.
const waitLimit = time.Minute

// changing is what the options of every command that changes something have in common: those beyond patronictl's,
// which has none of them, and the result for machines.
type changing struct {
	*env
	format  choice
	dry     bool
	wait    bool
	timeout seconds
	result  result
}

// result is what a command did, for --format json.
type result struct {
	cluster string
	message []string
	members []any // view.Object of each member that was asked, in the order of the requests
	planned []any
	more    view.Object // what only this command has
}

// declare adds the options. A command that can wait for the outcome has --wait as well.
func (o *changing) declare(cmd *cobra.Command, waits string) {
	o.format.value = "pretty"
	if o.contract() {
		return
	}
	if cmd.Flags().Lookup("format") == nil {
		o.format.allowed = []string{"pretty", "json"}
		option(cmd, &o.format, "[pretty|json]", "Output format; with json the result is one object", "--format")
		_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(o.format.allowed, noFiles))
	}
	toggle(cmd, &o.dry, "Show what would be done, and change nothing", "--dry-run")
	if waits == "" {
		return
	}
	if cmd.Flags().Lookup("wait") == nil {
		toggle(cmd, &o.wait, waits, "--wait")
	}
	if cmd.Flags().Lookup("timeout") == nil {
		option(cmd, &o.timeout, "FLOAT", "How many seconds to wait", "--timeout")
	}
}

// command wraps what a command does. For machines all that people read goes to standard error, questions included,
// and the result is one JSON object on standard output, whatever happens.
func (o *changing) command(do func(ctx context.Context, args []string) error) func(cmd *cobra.Command, args []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if o.format.value != "json" || o.contract() {
			return do(cmd.Context(), args)
		}
		answer := o.out
		o.out, o.machine = &stream{w: o.err}, true
		o.ask = o.prompter(o.out)
		err := do(cmd.Context(), args)
		o.out = answer
		_, written := o.out.Write(view.JSON(o.object(cmd.Name(), err)))
		if err == nil {
			err = written
		}
		return err
	}
}

func (o *changing) object(command string, err error) view.Object {
	obj := view.Object{{Key: "command", Value: command}, {Key: "cluster", Value: o.result.cluster}, {Key: "ok", Value: err == nil}}
	if o.dry {
		obj = append(obj, view.Pair{Key: "dry_run", Value: true})
	}
	if len(o.result.message) > 0 {
		obj = append(obj, view.Pair{Key: "message", Value: o.result.message[len(o.result.message)-1]})
	}
	switch {
	case errors.Is(err, errAborted):
		obj = append(obj, view.Pair{Key: "error", Value: "the input ended before the last question was answered"})
	case err != nil && !errors.Is(err, errFailed):
		obj = append(obj, view.Pair{Key: "error", Value: err.Error()})
	}
	if o.result.members != nil {
		obj = append(obj, view.Pair{Key: "members", Value: o.result.members})
	}
	if o.result.planned != nil {
		obj = append(obj, view.Pair{Key: "planned", Value: o.result.planned})
	}
	return append(obj, o.result.more...)
}

// begin opens the cluster of the command, for a dry run if that was asked for.
func (o *changing) begin(ctx context.Context, args []string, group integer) (*subject, error) {
	s, err := o.subject(ctx, args, group)
	if err != nil {
		return nil, err
	}
	o.result.cluster = s.name
	s.control.DryRun = o.dry
	return s, nil
}

// beginLooking is begin with what the cluster is now. The caller closes it unless there is an error.
func (o *changing) beginLooking(ctx context.Context, args []string, group integer) (*subject, *cluster.View, error) {
	s, err := o.begin(ctx, args, group)
	if err != nil {
		return nil, nil, err
	}
	return o.viewed(ctx, s)
}

// say prints the outcome of all.
func (o *changing) say(format string, args ...any) {
	o.result.message = append(o.result.message, fmt.Sprintf(format, args...))
	o.printf(format+"\n", args...)
}

// sayOf prints the outcome for one member. status is that of its answer, zero if there was none.
func (o *changing) sayOf(m cluster.Member, ok bool, status int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	obj := view.Object{{Key: "member", Value: m.Name}, {Key: "ok", Value: ok}}
	if status != 0 {
		obj = append(obj, view.Pair{Key: "status", Value: status})
	}
	o.result.members = append(o.result.members, append(obj, view.Pair{Key: "message", Value: text}))
	o.printf("%s\n", text)
}

// planned prints what would have been done if the error is that of a dry run, and reports whether it is.
func (o *changing) planned(err error) bool {
	var p ctl.Planned
	if !errors.As(err, &p) {
		return false
	}
	obj := view.Object{{Key: "method", Value: p.Method}, {Key: "target", Value: p.Target}}
	if p.Body != "" {
		obj = append(obj, view.Pair{Key: "body", Value: p.Body})
	}
	o.result.planned = append(o.result.planned, obj)
	o.printf("Would send: %s\n", p)
	return true
}

// sure asks the last question, unless --force or a dry run make it needless.
func (o *changing) sure(force bool, ask func() error) error {
	if force || o.dry {
		return nil
	}
	return ask()
}

// limit is what --timeout says, or what is given.
func (o *changing) limit(otherwise time.Duration) time.Duration {
	if o.timeout.given {
		return o.timeout.duration()
	}
	return otherwise
}

// bounded gives a context that ends when --timeout is over, or after limit if that was not given; zero: never.
func (o *changing) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if limit = o.limit(limit); limit == 0 && !o.timeout.given {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, limit, ctl.TimedOut{Limit: limit})
}

// settled waits until the named members are working parts of the cluster again, if that was asked for; zero as the
// limit: without one, unless --timeout gives it.
func (o *changing) settled(ctx context.Context, s *subject, limit time.Duration, names []string) error {
	if !o.wait || o.dry || len(names) == 0 {
		return nil
	}
	ctx, cancel := o.bounded(ctx, limit)
	defer cancel()
	v, err := s.control.AwaitWell(ctx, s.key(), names, func(missing []string) {
		for _, m := range missing {
			o.progress("Waiting: %s", m)
		}
	})
	if err != nil {
		return err
	}
	return o.table(s, v)
}

// followPause is the rest between two looks at the members while a request is under way.
const followPause = 300 * time.Millisecond

// follow tells how the members change while a request is under way, to a person in front of a terminal. The
// function that it gives ends that.
func (o *changing) follow(ctx context.Context, s *subject) (stop func()) {
	if o.contract() || o.dry || !terminal(o.err) {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	go func() {
		defer close(over)
		before := map[string]string{}
		for {
			v, err := s.snapshot(ctx)
			if err != nil {
				return
			}
			for _, m := range s.describe(v).Members {
				now := m.Role.Title() + ", " + m.State
				if was, known := before[m.Name]; known && was != now {
					o.progress("  %s: %s", m.Name, now)
				}
				before[m.Name] = now
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(followPause): // the commands hold no watch on etcd
			}
		}
	}()
	return func() {
		cancel()
		<-over
	}
}
