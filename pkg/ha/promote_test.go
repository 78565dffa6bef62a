package ha

import (
	"testing"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// TestPromotionStuck: a promotion that does not end gives way, but only to who has all that this server has.
func TestPromotionStuck(t *testing.T) {
	stuck := func(o *Observation) {
		replica(o)
		o.Store.View.Leader.Name = "a"
		o.Store.LockProven = o.Now.Add(10 * time.Second)
		o.Memory.PromotingSince, o.Server.Promoting = o.Now.Add(-time.Minute), true
		o.Settings.PrimaryStartTimeout = time.Minute
	}
	replayed := func(name string, lsn cluster.LSN, timeline cluster.Timeline) change {
		return func(o *Observation) {
			for i := range o.Store.View.Members {
				if m := &o.Store.View.Members[i]; m.Name == name {
					m.ReplayLSN, m.Timeline = lsn, timeline
				}
			}
		}
	}
	gone := answers("b", 0, unreachable)
	decides(t, []decideCase{
		{"it gives way", []change{stuck, gone, answers("c", 1000), replayed("c", 1000, 2)}, Demote{Mode: DemoteImmediate}, "its promotion does not end"},
		{"who ordered it is turned down first", []change{stuck, gone, answers("c", 1000), replayed("c", 1000, 2), request("", "a")}, ClearFailover{Revision: 20}, "the promotion of a does not end"},
		{"others are asked first", []change{stuck}, AskPeers{Names: []string{"b", "c"}}, "asking members whether they can take over"},
		{"not yet", []change{stuck, gone, answers("c", 1000), replayed("c", 1000, 2), func(o *Observation) { o.Memory.PromotingSince++ }}, Promote{}, "promoted self"},
		{"the other lacks something", []change{stuck, gone, answers("c", 999), replayed("c", 999, 2)}, Promote{}, "promoted self"},
		{"the other has not replayed it", []change{stuck, gone, answers("c", 1000), replayed("c", 900, 2)}, Promote{}, "promoted self"},
		{"the other is on another timeline", []change{stuck, gone, answers("c", 1000), replayed("c", 1000, 1)}, Promote{}, "promoted self"},
		{"the other is gone now", []change{stuck, gone, answers("c", 0, unreachable), replayed("c", 1000, 2)}, Promote{}, "promoted self"},
		{"it stays out of the race", []change{orphan, gone, answers("c", 1000), func(o *Observation) { o.Memory.PromotionRefusedAt = o.Now.Add(-time.Second) }}, Wait{}, "not the healthiest"},
	})
}

// TestTold: a server that was told to become a primary is stopped when it must not become one any more.
func TestTold(t *testing.T) {
	told := func(o *Observation) { o.Server.Promoting = true }
	mine := func(o *Observation) {
		o.Store.View.Leader.Name, o.Store.LockProven = "a", o.Now.Add(10*time.Second)
	}
	silent := func(o *Observation) { o.Server.Answered = false }
	becoming := func(p *Peer) { p.MayWrite = true }
	decides(t, []decideCase{
		{"another leads", []change{replica, told}, Demote{Mode: DemoteNoLock}, "told to promote and I do not have the lock"},
		{"it does not answer", []change{replica, told, silent}, Demote{Mode: DemoteNoLock}, "told to promote and I do not have the lock"},
		{"nobody leads", []change{orphan, told}, Demote{Mode: DemoteNoLock}, "told to promote and I do not have the lock"},
		{"it leads what has become a standby cluster", []change{replica, mine, told, standbyCluster}, Demote{Mode: DemoteNoLock}, "has become a standby cluster"},
		{"it still has the lock", []change{replica, mine, told}, Promote{}, "promoted self"},
		{"and keeps it in pause", []change{replica, mine, told, paused}, Promote{}, "promoted self"},
		{"without the watchdog it is stopped before the lock is released", []change{replica, mine, told, noWatchdog}, Demote{Mode: DemoteImmediate}, "watchdog"},
		{"others wait for it", []change{orphan, answers("b", 900, becoming), answers("c", 900)}, Wait{}, "not the healthiest"},
		{"in pause it is left alone", []change{replica, told, paused}, Wait{}, "no action"},
		{"etcd is away", []change{replica, told, func(o *Observation) { o.Store.FailingSince = o.Now.Add(-time.Minute) }}, Demote{Mode: DemoteOffline}, "DCS is not accessible"},
	})
}
