package cli

import (
	"context"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
)

type nullGuard struct{}

func (nullGuard) Arm(context.Context, agent.Charge) error { return nil }
func (nullGuard) Extend(clock.Instant)                     {}
func (nullGuard) Disarm(context.Context) error             { return nil }
