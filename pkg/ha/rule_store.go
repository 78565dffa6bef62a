package ha

import (
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleStoreLost: etcd does not answer. Whoever is not a primary does nothing: what the view says may be
// old. A primary goes on as long as all others let it (failsafe mode), or has until giveUpAt to see etcd again.
func ruleStoreLost(o *Observation) *Decision {
	if o.Store.FailingSince == 0 {
		return nil
	}
	if d := readable(o); d != nil {
		return d
	}
	if !o.MayWrite() || o.paused() {
		if d := slotsFailsafe(o); d != nil {
			return d
		}
		return wait("store-lost", "DCS is not accessible")
	}
	demote := act(Demote{Mode: DemoteOffline}, "store-lost-demote", "demoting self because DCS is not accessible and I was a leader")
	unlocked := o.Store.View != nil && !o.mine() // after a pause, in which nothing is fenced, others may have promoted one
	if d := failsafe(o); d != nil && !o.Store.Refuses && !(unlocked && o.locked()) {
		return d
	}
	if unlocked {
		return demote.because("store-lost-demote", "the leader key was not that of %s any more", o.Self.Name)
	}
	if at := giveUpAt(o); o.Now.Before(at) {
		return wait("store-lost-primary", "DCS is not accessible").until(at)
	}
	return demote
}

// readable starts a server that is down in recovery, where nothing can be written, so that it can be read while
// etcd is away: the guard may have stopped it before the agent did. Patroni leaves it down.
func readable(o *Observation) *Decision {
	if o.paused() || o.Server.Process != cluster.ProcessNone || o.Server.Data != cluster.DataPresent {
		return nil
	}
	if o.Server.RewindCut || o.Store.View != nil && !identityFits(o) {
		return nil // data that must not be started, or are none of this cluster's
	}
	if at, blocked := backoff(o.Now, o.Memory.LastStart, o.Memory.StartFailures); blocked {
		return wait("store-lost", "DCS is not accessible").until(at)
	}
	up := cluster.Upstream{}
	if o.Store.View != nil {
		up = target(o)
	}
	return act(StartReplica{Upstream: up}, "store-lost-start", "DCS is not accessible, starting as a secondary that can be read")
}

// giveUpAt is when a primary that can't reach etcd stops; zero: nothing is known to count from. It is the earlier of two moments:
//   - retry_timeout after the failure was first seen, as users of Patroni expect. The settings keep to
//     loop_wait + 2*retry_timeout <= ttl, so that a renewal before the failure still leaves a
//     retry_timeout to stop in before another member can take the lock;
//     Nothing is waited for by who has seen its name in the key and proven nothing: the agent has just begun, or the cluster was
//     paused, and the lease may have ended long ago;
//   - a quarter of its life before the proof of the lock ends, whatever the settings: the server needs time
//     to stop cleanly, and the guard, which counts from the same proof, must not have to do it.
func giveUpAt(o *Observation) clock.Instant {
	var at clock.Instant
	if o.Store.FailingSince != 0 {
		at = o.Store.FailingSince.Add(o.Settings.RetryTimeout)
		if o.Store.View != nil && o.Store.LockProven == 0 {
			at = o.Store.FailingSince
		}
	}
	if o.Store.LockProven != 0 && (at == 0 || stopBy(o) < at) {
		at = stopBy(o)
	}
	return at
}

// stopBy is when a quarter of the life of the proof is left. That is of the TTL by which it was counted: a larger one
// that was configured since would have the server stopped too soon.
func stopBy(o *Observation) clock.Instant {
	life := o.Settings.TTL
	if o.Store.LockLife != 0 {
		life = min(life, o.Store.LockLife)
	}
	return o.Store.LockProven.Add(-life / 4)
}

// ruleUnprovenLock: the view says that the leader key is ours, but that was never proven (the agent has
// just started) or the proof has run out (it was frozen). Nothing may be built on it before it is proven
// anew. Patroni trusts its watched copy here; see keyspace.md, weak spot 6.
func ruleUnprovenLock(o *Observation) *Decision {
	if !o.mine() || o.Now.Before(o.Store.LockProven) {
		return nil
	}
	return act(ProveLock{}, "prove-lock", "proving that the leader lock is mine")
}

// proveForMore asks for a fresh proof before a server is made a primary under one that is nearly over: it would
// have to be stopped at once, and the guard might not yet know it.
func proveForMore(o *Observation) *Decision {
	if o.Store.LockProven.Sub(o.Now) >= o.Settings.TTL/4 {
		return nil
	}
	return act(ProveLock{}, "prove-lock", "proving that the leader lock is mine")
}
