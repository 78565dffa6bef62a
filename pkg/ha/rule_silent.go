package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleFrozen: a postmaster that was stopped by a signal takes no connections, while its children may go on
// serving. Nothing tells when it will go on, so after a retry_timeout it is killed and started anew; at once, if another
// member leads. Patroni keeps such a server, and the lock, for ever.
func ruleFrozen(o *Observation) *Decision {
	if o.Server.Process != cluster.ProcessFrozen || o.paused() || o.Memory.FrozenSince == 0 {
		return nil
	}
	if o.other() && o.MayWrite() {
		return act(KillServer{}, "frozen-kill", "killing postgres because its postmaster is stopped by a signal, and I do not have the lock")
	}
	at := o.Memory.FrozenSince.Add(o.Settings.RetryTimeout)
	if !o.Now.Before(at) {
		return act(KillServer{}, "frozen-kill", "killing postgres because its postmaster has been stopped for %s", o.Settings.RetryTimeout)
	}
	return wait("frozen", "postmaster is stopped by a signal").until(at)
}

// ruleSilent: the postmaster is there but the server does not answer: it starts up, or it is too busy.
// Source: Patroni 4.1, ha.py, handle_starting_instance.
func ruleSilent(o *Observation) *Decision {
	if o.Server.Answered {
		return nil
	}
	starting := o.Server.State == cluster.StateStarting || o.Server.Rejecting
	if o.other() && o.MayWrite() && !o.paused() {
		// It would be a second primary as soon as it can be one, or is one that is too busy to say so.
		if starting {
			return act(Demote{Mode: DemoteNoLock}, "silent-demote", "stopped PostgreSQL while starting up because leader key was lost").
				also("Lost lock while starting up. Demoting self.")
		}
		return act(Demote{Mode: DemoteNoLock}, "silent-demote", "demoting self because I do not have the lock and I was a leader")
	}
	switch {
	case !o.mine() && starting:
		return startingReplica(o)
	case !o.mine():
		return unresponsive(o)
	}
	d := relief(o, Demote{Mode: DemoteImmediate})
	switch {
	case d == nil && starting:
		d = startingLeader(o)
	case d == nil:
		d = unresponsive(o)
	}
	if _, waits := d.Action.(Wait); waits && o.Store.View.Failover.Pending() {
		d.because("silent-request", "%s: waiting until PostgreSQL answers", o.Store.View.Failover.Action())
	}
	return d
}

// startingLeader: the leader's server starts up.
func startingLeader(o *Observation) *Decision {
	limit := o.Settings.PrimaryStartTimeout
	left := limit
	if o.Memory.StartingSince != 0 {
		left = limit - o.Now.Sub(o.Memory.StartingSince)
	}
	if o.paused() {
		return wait("starting-leader", "PostgreSQL is still starting up")
	}
	if left > 0 {
		return wait("starting-leader", "PostgreSQL is still starting up, %.0f seconds until timeout", left.Seconds()).
			until(o.Now.Add(left))
	}
	names, ask := successors(o, "", false)
	switch {
	case ask != nil:
		return ask
	case len(names) > 0:
		return act(Demote{Mode: DemoteImmediate}, "starting-timeout", "stopped PostgreSQL because of startup timeout")
	}
	return wait("starting-alone",
		"primary start has timed out, but continuing to wait because failover is not possible").
		until(o.Now.Add(o.Settings.LoopWait))
}

// startingReplica: after a rewind, or from a copy, a standby accepts nobody before it has WAL that only a leader can
// give. If it was started while nobody led it has no upstream, or the one of the reign before, and a server that does not
// answer does not tell which. So it is told again, once per loop_wait; at once if it might find its leader on another timeline of its number.
func startingReplica(o *Observation) *Decision {
	if !o.Server.StandbySignal && !o.paused() {
		// Somebody else has started a primary, which nothing fences: the one who may lead with it takes the lock, any other
		// stops it, but neither before it answers, and no event tells of that. A loop_wait would be long.
		return wait("starting-stray", "Still starting up as a standby.").until(o.Now.Add(time.Second))
	}
	since := o.Memory.StartingSince
	steers := !o.paused() && o.Server.StandbySignal && o.Server.Version >= 130000
	if steers && o.other() && strange(o) {
		return act(Follow{}, "starting-follow", "Still starting up as a standby.").
			because("starting-follow", "following nobody until it is known that %s is on the same timeline %d", o.leader().Name, o.Server.Timeline)
	}
	if !steers || !o.other() || since == 0 || o.Now.Sub(since) < o.Settings.LoopWait {
		return wait("starting-replica", "Still starting up as a standby.")
	}
	to := target(o)
	if to.Host == "" && !o.Self.Tags.NoStream() {
		return wait("starting-replica", "Still starting up as a standby.") // its address is not known now; see replicaFollow
	}
	return act(Follow{Upstream: to}, "starting-follow", "Still starting up as a standby.").
		because("starting-follow", "following %s", to.Title())
}

// relief: a user orders another member to lead while the server of this one starts or answers nobody. It can't be stopped
// in order then, and nobody orders that who wants to wait for it. A switchover is no order: it is to lose nothing.
// Source: Patroni 4.1, ha.py, handle_starting_instance.
func relief(o *Observation, leave Action) *Decision {
	req := o.Store.View.Failover
	if !o.mine() || !req.Orders(req.Candidate) || req.Candidate == o.Self.Name || !req.ScheduledAt.IsZero() ||
		req.Revision < o.Store.View.Leader.Created || calledOff(o) {
		return nil
	}
	if _, first := heirs(o, req); first != nil {
		return first
	}
	if d := failsafeBound(o); d != nil {
		return d
	}
	return act(leave, "relief", "%s: demoting myself", req.Action()).
		because("relief", "PostgreSQL does not answer, so it can't be stopped in order")
}

// unresponsive: the server accepts nothing and says nothing. A primary keeps the lock for as long as its start would be
// given, then hands over if somebody can take over: killing a server that is merely overloaded helps nobody, so the limit
// is generous. One query that takes long must never be enough, whatever a start is given: the server may have been seen
// last a loop_wait before. Patroni keeps the lock for ever.
func unresponsive(o *Observation) *Decision {
	limit := max(o.Settings.PrimaryStartTimeout, o.Settings.LoopWait+o.Settings.RetryTimeout)
	if o.mine() && o.Server.SilentFor >= limit && !o.paused() {
		names, ask := successors(o, "", false)
		switch {
		case ask != nil:
			return ask
		case len(names) > 0:
			return act(Demote{Mode: DemoteImmediate}, "silent-timeout",
				"demoting self because PostgreSQL has not answered for %s", o.Server.SilentFor.Round(time.Second))
		}
	}
	return wait("silent", "Error communicating with PostgreSQL. Will try again later").
		until(o.Now.Add(time.Second)) // no event tells that a database answers again
}
