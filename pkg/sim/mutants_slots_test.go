package sim

import (
	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mistakes in the rules of logical slots, and one that the restarts for their copies show. All runs have such a slot.

const aheadOfConsumer = "its consumer has not come there"

var slotMutants = []mutant{
	{"a slot follows the replica and not its consumer", aheadOfConsumer, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.SyncLogicalSlots); ok {
				for name := range x.Plan.Advance {
					x.Plan.Advance[name] = obs.Server.ReplayLSN
				}
			}
		})
	}, cluster.SyncOff},
	{"a former primary's slot goes on to the end of a lost branch", aheadOfConsumer, func(o *agent.Options) {
		decide(o, nil, func(obs ha.Observation, d *ha.Decision) {
			x, ok := d.Action.(ha.SyncLogicalSlots)
			if !ok || obs.Server.ReceiverStatus == "streaming" || !obs.Server.InRecovery {
				return
			}
			for _, s := range obs.Server.Slots {
				if to := min(obs.Store.View.Status.Slots[s.Name], obs.Server.ReplayLSN); s.Type == "logical" && to > s.ConfirmedLSN {
					x.Plan.Advance = map[string]cluster.LSN{s.Name: to}
				}
			}
			d.Action = x
		})
	}, cluster.SyncOff},
	{"no slot is copied", "has no slot shop", func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.CopySlots); ok {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"names count although others were set", "/sync promises", func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if m := &obs.Memory.Sync; m.Asked != nil {
				m.Asked, m.Settled, m.Mark = nil, true, 1
			}
		}, nil)
	}, cluster.SyncOn},
}
