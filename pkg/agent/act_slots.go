package agent

import (
	"context"
	"slices"
	"strings"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// actSlots works on replication slots beside the loop and beside any job: to advance a logical slot means to read all
// WAL up to there, and to create one means to wait for every transaction that runs.
func (a *Agent) actSlots(ctx context.Context, action ha.Action) bool {
	m := &a.memory.Slots
	switch x := action.(type) {
	case ha.SyncSlots:
		m.Adjusting = true
		a.o.Runtime.Go("slots", func() {
			err := a.o.Postgres.SyncSlots(ctx, x.Plan)
			a.later(func(a *Agent) { a.adjusted(x.Plan, err) })
		})
	case ha.SyncLogicalSlots:
		m.Decoding = true
		a.o.Runtime.Go("logical slots", func() {
			unusable, err := a.o.Postgres.SyncLogicalSlots(ctx, x.Plan)
			a.later(func(a *Agent) { a.decoded(x.Plan, unusable, err) })
		})
	}
	return false // its end wakes the loop
}

// adjusted notes the end of a SyncSlots. Slots of others go forward once per loop_wait, as /status does; and what
// failed, or has to be done again although it did not fail, rests as long.
func (a *Agent) adjusted(plan cluster.SlotPlan, err error) {
	m, rest := &a.memory.Slots, a.o.Clock.Now().Add(a.settings.LoopWait)
	m.Adjusting = false
	if len(plan.Advance) > 0 {
		m.AdvanceAt = rest
	}
	if err != nil || same(plan, a.lastSlots) {
		m.AdjustAt = rest
	}
	a.lastSlots = plan
	a.failed("could not adjust replication slots", err)
}

// decoded notes the end of a SyncLogicalSlots.
func (a *Agent) decoded(plan cluster.LogicalSlotPlan, unusable []string, err error) {
	// Less than a loop_wait: the turn that comes after one would find that it is a moment too early.
	m, rest := &a.memory.Slots, a.o.Clock.Now().Add(a.settings.LoopWait*9/10)
	m.Decoding = false
	if len(plan.Create) > 0 {
		m.CreateAt = rest
	} else {
		m.DecodeAt = rest
	}
	for _, name := range unusable {
		if !slices.Contains(m.Unusable, name) {
			m.Unusable = append(slices.Clone(m.Unusable), name) // observations hold the old one
			a.o.Log.Warn("WAL that a logical replication slot needs is gone here; it has to be copied again", "slot", name)
		}
	}
	a.failed("could not adjust logical replication slots", err)
}

// copySlots copies logical slots from the leader. A slot that turns out to be of no use again and again is copied less
// and less often, for each copy is a restart.
func (a *Agent) copySlots(ctx context.Context, x ha.CopySlots) bool {
	if len(a.memory.Slots.Unusable) == 0 {
		a.copies = 0
	}
	return a.start(ctx, ha.Job{Kind: ha.JobCopySlots}, func(ctx context.Context) outcome {
		copied, err := a.o.Postgres.CopySlots(ctx, x.Leader, x.Slots)
		return func(a *Agent) {
			if len(copied) > 0 {
				a.copies++
			}
			m := &a.memory.Slots
			m.CopyAt = a.o.Clock.Now().Add(a.settings.LoopWait << min(a.copies, 6))
			m.Unusable = slices.DeleteFunc(slices.Clone(m.Unusable), func(name string) bool { return slices.Contains(copied, name) })
			m.DecodeAt = 0
			a.failed("could not copy logical replication slots", err)
		}
	})
}

// warnOfSlots says which logical slots might be of no use once this server is promoted.
func (a *Agent) warnOfSlots(o ha.Observation) {
	if names := o.UnprovenSlots(); len(names) > 0 {
		a.o.Log.Warn("Logical replication slots that might be unsafe to use after promote: " + strings.Join(names, ", "))
	}
}

// warnOfConflicts says which names of slots are claimed twice, when that changes.
func (a *Agent) warnOfConflicts(o ha.Observation) {
	said := o.SlotConflicts()
	if !slices.Equal(said, a.conflicts) {
		for _, s := range said {
			a.o.Log.Error(s)
		}
	}
	a.conflicts = said
}
