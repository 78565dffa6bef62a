package sim

import (
	"context"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// SyncSlots implements agent.Postgres.
func (p *postgres) SyncSlots(_ context.Context, plan cluster.SlotPlan) error {
	p.s.w.sleep(p.s.w.between(time.Millisecond, 5*time.Millisecond))
	p.s.syncSlots(plan.Create, plan.Drop)
	p.s.dropLogical(plan.Drop)
	return nil
}

// syncSlots creates and drops physical replication slots.
func (s *server) syncSlots(create, drop []string) {
	s.slots = slices.DeleteFunc(s.slots, func(name string) bool { return slices.Contains(drop, name) })
	for _, name := range create {
		if !slices.Contains(s.slots, name) {
			s.slots = append(s.slots, name)
		}
	}
}
