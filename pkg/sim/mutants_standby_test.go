package sim

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// Mistakes in the rules of standby clusters.

const writesInStandby = "accepts writes in a standby cluster"

var standbyMutants = []mutant{
	{"the standby leader is promoted", writesInStandby, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if d.Reasons[0].Rule == "standby-leader" {
				d.Action = ha.Promote{}
			}
		})
	}, cluster.SyncOff},
	{"a primary with the lock stays one when the cluster becomes a standby cluster", writesInStandby, func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if x, ok := d.Action.(ha.Demote); ok && x.Mode == ha.DemoteCluster {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"a crashed primary is started again as one", writesInStandby, func(o *agent.Options) {
		o.Guard = noGuard{} // the real one refuses
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if _, ok := d.Action.(ha.StartReplica); ok && d.Reasons[0].Rule == "standby-start" {
				d.Action = ha.StartPrimary{Timeout: time.Minute}
			}
		})
	}, cluster.SyncOff},
	{"nobody asks the remote primary about divergence", "does not stream from outside", func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			if d.Reasons[0].Rule == "standby-check" {
				d.Action = ha.Wait{}
			}
		})
	}, cluster.SyncOff},
	{"the standby leader follows nobody", "does not stream from outside", func(o *agent.Options) {
		decide(o, nil, func(_ ha.Observation, d *ha.Decision) {
			switch x := d.Action.(type) {
			case ha.Follow:
				if x.Upstream.Host == outside {
					d.Action = ha.Follow{}
				}
			case ha.StartReplica:
				if x.Upstream.Host == outside {
					d.Action = ha.StartReplica{}
				}
			}
		})
	}, cluster.SyncOff},
}
