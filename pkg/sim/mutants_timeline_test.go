package sim

import (
	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mistakes about timelines that have the same number.

const another = "is another one"

var timelineMutants = []mutant{
	{"two timelines of one number are taken for one", another, func(o *agent.Options) {
		decide(o, func(obs *ha.Observation) {
			if obs.Server.InRecovery || !obs.Server.Answered {
				obs.Server.History = nil
			}
		}, nil)
	}, cluster.SyncOff},
}
