package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Decide says what a member does next. It is total: every observation, however odd, has a decision. The
// rules are asked in order and the first that has something to say is followed, so the order is part of
// the rules: what protects data stands before what makes progress.
//
// Source: the situations are those of Patroni 4.1, ha.py, _run_cycle; where a rule differs on purpose its
// comment says so.
func Decide(o Observation) Decision {
	d := returnsFirst(&o, decide(o))
	warnOfIdentity(&o, &d)
	if d.WakeAt != 0 && d.WakeAt <= o.Now {
		d.WakeAt = o.Now.Add(time.Second) // a rule is mistaken about what it waits for; nobody may turn without a pause for that
	}
	return d
}

func decide(o Observation) Decision {
	for _, rule := range []func(*Observation) *Decision{
		ruleJob,          // something runs beside the loop
		ruleFirstView,    // nothing is known yet
		ruleStopping,     // the agent was told to end
		ruleStoreLost,    // etcd does not answer
		ruleUnprovenLock, // the key has our name, but the proof is missing or old
		ruleTold,         // the server becomes a primary, and must not
		ruleData,         // no data directory, or not a usable one
		ruleIdentity,     // the data of another cluster
		ruleReinitialize,
		ruleFailsafe, // a primary may go on without etcd
		ruleFrozen,   // the postmaster is there but can't run
		ruleDown,     // no postmaster
		ruleSilent,   // a postmaster that does not answer (yet)
		ruleLimits,   // a replica that runs with less than its primary
		ruleStandbyCluster,
		ruleCopied, // data that are not known to have everything yet
	} {
		if d := rule(&o); d != nil {
			return *stopsFirst(&o, d)
		}
	}
	switch {
	case !o.locked():
		return *ruleRace(&o)
	case o.mine():
		return *stopsFirst(&o, ruleLeader(&o))
	}
	return *ruleReplica(&o)
}

// locked, mine and other describe who holds the leader key in the view.
func (o *Observation) locked() bool { return o.Store.View.Locked() }
func (o *Observation) mine() bool   { return o.Store.View.Leader.Name == o.Self.Name }
func (o *Observation) other() bool  { return o.locked() && !o.mine() }

func (o *Observation) paused() bool { return o.Settings.Pause }

// MayWrite reports whether the server accepts writes, or has to be taken for one that does: while it does
// not answer, what it was last counts. A busy primary that misses a query must not be taken for a replica. One that was
// told to become a primary may be one any moment.
func (o *Observation) MayWrite() bool {
	if o.Server.Process == cluster.ProcessNone {
		return false
	}
	if o.Server.Answered {
		return !o.Server.InRecovery || o.Server.Promoting
	}
	return o.Memory.WasPrimary || o.Server.Promoting
}

// leader gives the member that holds the leader key; only its name is certain.
func (o *Observation) leader() cluster.Member {
	if m, ok := o.Store.View.Member(o.Store.View.Leader.Name); ok {
		return m
	}
	return cluster.Member{Name: o.Store.View.Leader.Name}
}
