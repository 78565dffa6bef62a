package sim

import (
	"context"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// SyncSlots implements agent.Postgres.
func (p *postgres) SyncSlots(_ context.Context, plan cluster.SlotPlan) error {
	p.s.w.sleep(p.s.w.between(time.Millisecond, 5*time.Millisecond))
	p.s.syncSlots(plan.Create, plan.Drop)
	return nil
}

// SyncLogicalSlots implements agent.Postgres; there are no logical slots.
func (p *postgres) SyncLogicalSlots(context.Context, cluster.LogicalSlotPlan) ([]string, error) {
	return nil, nil
}

// CopySlots implements agent.Postgres; there are no logical slots.
func (p *postgres) CopySlots(context.Context, cluster.Upstream, map[string]cluster.PermanentSlot) ([]string, error) {
	return nil, nil
}
