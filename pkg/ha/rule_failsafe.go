package ha

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
)

// failsafeAsk bounds one round of questions: two seconds to connect and two to read, with one retry.
// Source: ha.md 17.
const failsafeAsk = 8 * time.Second

// failsafe is what a primary without etcd does in failsafe mode; nothing if that can't help it.
func failsafe(o *Observation) *Decision {
	round := o.Memory.Failsafe.Round
	if at := round.Agreed.Add(round.TTL - o.Settings.TTL/4); o.Store.View != nil && !o.locked() && round.Agreed != 0 && o.Now.Before(at) {
		// etcd is on its way back and has told that our key has gone. What was promised still holds, and the guard
		// counts to the same moment; as soon as etcd can be relied on the key is taken back.
		return wait("failsafe-unlocked", "continue to run as a leader because failsafe mode is enabled and all members are accessible").until(at)
	}
	others, usable := failsafeOthers(o)
	if !usable || round.Refused != "" {
		return nil
	}
	agreed := round.Asked != 0 && covers(round.Accepted, others)
	if until := round.Asked.Add(round.TTL); agreed && until > o.Store.LockProven {
		return act(ExtendProof{Until: until}, "failsafe-extend", "all members accept that I continue to run as a leader")
	}
	limit := stopBy(o) // what is left then is for a clean stop; see giveUpAt
	if round.Agreed == 0 {
		limit = giveUpAt(o)
	}
	next := round.Asked.Add(failsafeEvery(o, agreed))
	switch {
	case round.Asked != 0 && agreed && o.Now.Before(next):
		return wait("failsafe", "continue to run as a leader because failsafe mode is enabled and all members are accessible").until(next)
	case round.Asked != 0 && !agreed && !o.Now.Before(limit):
		return nil
	case round.Asked != 0 && o.Now.Before(next):
		return wait("failsafe-retry", "DCS is not accessible").until(min(next, limit))
	}
	// A primary that looks late still has a moment to ask; with less than that it can't hope for answers.
	until := max(min(o.Now.Add(failsafeAsk), limit), o.Now.Add(min(2*time.Second, o.Settings.TTL/8)))
	return act(AskFailsafe{Members: others, TTL: o.Settings.TTL, Until: until}, "failsafe-ask", "asking the other members whether I may continue to run as a leader")
}

// failsafeEvery: once per loop_wait as in Patroni, but often enough to survive two lost rounds. After a round
// without all answers it is tried again soon, because one lost message must not cost a primary.
func failsafeEvery(o *Observation, agreed bool) time.Duration {
	if agreed {
		return min(o.Settings.LoopWait, o.Settings.TTL/4)
	}
	return min(time.Second, o.Settings.TTL/8)
}

// failsafeOthers gives the members that this primary has to ask, and whether it may use the mode at all: the
// key was its own and its proof holds, and the list is its own newest write.
func failsafeOthers(o *Observation) (map[string]string, bool) {
	v := o.Store.View
	if v == nil || !o.Settings.FailsafeMode || !o.mine() || !o.Now.Before(o.Store.LockProven) {
		return nil, false
	}
	if _, listed := v.Failsafe[o.Self.Name]; !listed || v.FailsafeRevision != o.Memory.Failsafe.Written {
		return nil, false
	}
	others := maps.Clone(v.Failsafe)
	delete(others, o.Self.Name)
	return others, true
}

// covers reports whether everybody who had to be asked has promised.
func covers(accepted []string, others map[string]string) bool {
	for name := range others {
		if !slices.Contains(accepted, name) {
			return false
		}
	}
	return true
}

// ruleFailsafe keeps a server in recovery from becoming a primary beside one that goes on in failsafe mode.
func ruleFailsafe(o *Observation) *Decision {
	if o.other() || o.MayWrite() {
		return nil
	}
	if !o.Server.Answered && (!o.mine() || o.Server.StandbySignal) {
		return nil // it is started in recovery first
	}
	return heldBack(o)
}

// heldBack says why a server in recovery must not become a primary now; nothing if it may.
func heldBack(o *Observation) *Decision {
	memory := o.Memory.Failsafe
	switch {
	case o.Now.Before(memory.Promised):
		return wait("failsafe-promised", "following a different leader because i am not the healthiest node").
			because("failsafe-promised", "%s goes on without etcd, and I have promised to wait for it", memory.To).until(memory.Promised)
	case o.Now.Before(forgotten(o)):
		return wait("failsafe-restarted", "following a different leader because i am not the healthiest node").
			because("failsafe-restarted", "my agent has just started and may have promised to wait for a primary without etcd").until(forgotten(o))
	case !o.mine() && unlisted(o, o.Self.Name) && !orderedAlone(o):
		if void(o) {
			return voided(o.Store.View.Failover) // the candidate is this member, and there may be no other to do it
		}
		return wait("failsafe-unlisted", "following a different leader because i am not the healthiest node").
			because("failsafe-unlisted", "I am not among the members that a leader in failsafe mode asks (%s)", strings.Join(sortedKeys(o.Store.View.Failsafe), ", "))
	}
	return nil
}

// forgotten is until when a promise may hold that the agent before this one gave; zero if nobody can have
// asked it, or if its server was a primary, which promises nothing.
func forgotten(o *Observation) clock.Instant {
	others := len(o.Store.View.Failsafe)
	if _, me := o.Store.View.Failsafe[o.Self.Name]; me {
		others--
	}
	if others < 1 || unlisted(o, o.Self.Name) || !o.Server.InRecovery && !o.Server.StandbySignal || o.Memory.Failsafe.Began == 0 {
		return 0
	}
	return o.Memory.Failsafe.Began.Add(FailsafePromise(o.Settings.TTL))
}

// unlisted: the last leader would go on without asking this member. An empty list excludes nobody, as no
// primary goes on by it.
func unlisted(o *Observation, name string) bool {
	_, listed := o.Store.View.Failsafe[name]
	return len(o.Store.View.Failsafe) > 0 && !listed
}

// orderedAlone: a user has ordered this very member to take over when nobody led. An order from before that
// does not tell that the user knows what has become of the leader.
func orderedAlone(o *Observation) bool {
	return ordered(o, o.Self.Name) && o.Memory.UnlockedSince != 0 && o.Memory.RequestSince > o.Memory.UnlockedSince
}

// leaderFailsafe keeps /failsafe: every member that can be asked. Who is not in it does not stand for the
// lock, so a new member is no candidate before it is known to be listed. With the mode off the list is
// emptied (Patroni leaves it), because it goes on excluding whoever has joined since.
func leaderFailsafe(o *Observation) *Decision {
	v := o.Store.View
	want := map[string]string{}
	if o.Settings.FailsafeMode {
		for _, m := range v.Members {
			if m.APIURL != "" {
				want[m.Name] = m.APIURL
			}
		}
		if want[o.Self.Name] == "" {
			return nil // our own member key comes with this turn
		}
	}
	same := maps.Equal(v.Failsafe, want)
	if len(want) == 0 && len(v.Failsafe) == 0 || same && v.FailsafeRevision == o.Memory.Failsafe.Written {
		return nil
	}
	if o.Store.LockProven > o.Store.LeaseExpires {
		return nil // the proof rests on the word of those in the old list; who is added has promised nothing
	}
	return act(WriteFailsafe{Members: want, Revision: v.FailsafeRevision}, "leader-failsafe", "writing the members that failsafe mode asks")
}

// failsafeBound lets a planned change wait until its candidates are free of what they promised: the server
// would stop, and nobody could take over.
func failsafeBound(o *Observation) *Decision {
	if !o.Now.Before(o.Memory.Failsafe.Bound) {
		return nil
	}
	return wait("failsafe-bound", "%s: waiting for the members to be free of what they promised in failsafe mode", o.Store.View.Failover.Action()).
		until(o.Memory.Failsafe.Bound)
}
