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

// TestNamedByOthers: who did not take the lock that names it makes sure first that no primary is left.
func TestNamedByOthers(t *testing.T) {
	named := func(o *Observation) {
		replica(o)
		o.Store.View.Leader.Name, o.Store.LockProven = "a", o.Now.Add(o.Settings.TTL)
		o.Memory.NamedSince = o.Now.Add(-time.Second)
	}
	long := func(o *Observation) { o.Memory.NamedSince = o.Now.Add(-o.Settings.TTL) }
	nearly := func(o *Observation) { o.Memory.NamedSince = o.Now.Add(1 - o.Settings.TTL) }
	stopping := func(p *Peer) { p.Reachable, p.MayWrite = false, true }
	before := func(p *Peer) { p.Asked = p.Asked.Add(-2 * time.Second) }
	decides(t, []decideCase{
		{"all are asked", []change{named}, AskPeers{Names: []string{"b", "c"}}, "whether a primary is still alive"},
		{"an answer from before does not count", []change{named, answers("b", 1000, before), answers("c", 1000)}, AskPeers{Names: []string{"b"}}, "whether a primary is still alive"},
		{"the primary is alive", []change{named, answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "waiting for the end of the primary"},
		{"however long that takes", []change{named, long, answers("b", 1000, primary), answers("c", 1000)}, Wait{}, "waiting for the end of the primary"},
		{"it is being stopped", []change{named, answers("b", 0, stopping), answers("c", 1000)}, Wait{}, "waiting for the end of the primary"},
		{"another one is becoming one", []change{named, answers("b", 1000, mayWrite), answers("c", 1000)}, Wait{}, "waiting for the end of the primary"},
		{"it is stopped", []change{named, answers("b", 0, stopped), answers("c", 1000)}, Promote{}, "promoted self"},
		{"nobody was one", []change{named, answers("b", 1000), answers("c", 1000)}, Promote{}, "promoted self"},
		{"one does not answer", []change{named, nearly, answers("b", 0, unreachable), answers("c", 1000)}, Wait{}, "until no primary can have the lock"},
		{"and can't have the lock any more", []change{named, long, answers("b", 0, unreachable), answers("c", 1000)}, Promote{}, "promoted self"},
		{"what was told before is not held up", []change{named, func(o *Observation) { o.Server.Promoting = true }}, Promote{}, "promoted self"},
		{"nor who has taken the lock", []change{named, func(o *Observation) { o.Memory.NamedSince = 0 }}, Promote{}, "promoted self"},
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
