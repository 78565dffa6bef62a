package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"
)

// watchOptions make a command run again and again.
type watchOptions struct {
	every seconds
	two   bool
}

func (w *watchOptions) declare(cmd *cobra.Command) {
	toggle(cmd, &w.two, "Auto update the screen every 2 seconds", "-W")
	option(cmd, &w.every, "FLOAT", "Auto update the screen every X seconds", "-w", "--watch")
}

// interval is from the start of one round to that of the next; zero: there is only one.
func (w *watchOptions) interval() time.Duration {
	switch {
	case w.every.given:
		return w.every.duration()
	case w.two:
		return 2 * time.Second
	}
	return 0
}

// rounds runs one round, or one after the other until the context ends or one fails.
func (w *watchOptions) rounds(ctx context.Context, round func() error) error {
	for every := w.interval(); ; {
		started := time.Now()
		if err := round(); err != nil || every == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every - time.Since(started)): // the user asked for this rhythm
		}
	}
}
