package ha

import (
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// takeover is what a member that is to be promoted puts into /sync and into its server before.
type takeover struct {
	key   cluster.SyncState
	names quorum.Names
}

// alone: nobody else may be promoted until a standby has been confirmed, and commits wait for none (strict:
// for one that can't be).
func alone(o *Observation) takeover {
	return takeover{cluster.SyncState{Leader: o.Self.Name}, noStandby(o)}
}

// noStandby are the names while there is no standby to wait for.
func noStandby(o *Observation) quorum.Names {
	if o.Settings.SynchronousModeStrict {
		return quorum.Blocked()
	}
	return quorum.Names{}
}

// together is how a quorum goes on under a new leader: the other members of the key stay voters, its quorum
// stays, and commits wait for as many of them as that takes. Commits of the reign before are safe because
// whoever wins by the new key also wins by the old one, or is, or hears, the new leader, which has them all.
// In plain mode nobody stays: each standby that was listed would have to be waited for. Nor does anybody of a key that
// has gone back to an earlier time: it tells of another reign.
func together(o *Observation) takeover {
	key := o.Store.View.Sync
	if o.Settings.SynchronousMode != cluster.SyncQuorum || key.Leader == "" || key.Revision == o.Memory.Sync.Stale {
		return alone(o)
	}
	var others []string
	for _, name := range append([]string{key.Leader}, key.Standbys...) {
		if !(cluster.SyncState{Leader: o.Self.Name, Standbys: others}).Has(name) {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	required := len(others) - key.Quorum
	if required < 1 {
		return alone(o)
	}
	return takeover{
		cluster.SyncState{Leader: o.Self.Name, Standbys: others, Quorum: key.Quorum},
		quorum.Names{Required: required, Standbys: others, Any: true},
	}
}

// readPatience is how long a promotion waits for a server to have read its names, if it may do without them.
const readPatience = time.Second

// plannedTakeover chooses between the two. Without strict mode writes go on at once: if too few of the others
// were there in the race, or the server has not read the names in time, they wait for nobody.
func plannedTakeover(o *Observation) takeover {
	t := together(o)
	if o.Settings.SynchronousModeStrict || len(t.names.Standbys) == 0 {
		return t
	}
	there := 0
	for _, name := range o.Memory.Sync.Alive {
		if t.key.HasStandby(name) {
			there++
		}
	}
	if there < t.names.Required {
		return alone(o)
	}
	if m := o.Memory.Sync; !m.Settled && m.Since != 0 && o.Now.Sub(m.Since) > readPatience {
		t.key = alone(o).key // the names stay as they are: to change them would only begin anew
	}
	return t
}

// syncBeforePromotion: before its first commit the key names this member as the leader, over the revision by
// which it was found fit, and the server waits for those that the key says may follow it.
func syncBeforePromotion(o *Observation) *Decision {
	if o.Settings.SynchronousMode == cluster.SyncOff {
		return syncDisabled(o) // with a key of an earlier reign of this member it would go on, should the mode be turned on before
	}
	t := plannedTakeover(o)
	if d := idleNames(o, t.names); d != nil {
		if namesFail(o) {
			return act(ReleaseLeader{}, "sync-names-failed", "released leader key voluntarily because synchronous_standby_names can't be set")
		}
		return d
	}
	relied := len(t.key.Standbys) > 0 || o.Settings.SynchronousModeStrict
	if relied && !o.Memory.Sync.Settled {
		// A moment after its start, or after a change, it could still acknowledge alone.
		return wait("sync-wait-names", "waiting for PostgreSQL to read its new settings before promotion").until(o.Now.Add(namesSettle / 5))
	}
	key, memory := o.Store.View.Sync, o.Memory.Sync
	same := quorumKey(key).Equal(quorumKey(t.key))
	if key.LedBy(o.Self.Name) && same && key.Revision == memory.Written {
		return nil
	}
	if key.Revision != memory.Judged {
		// The key has changed since this member was found fit, or an agent before this one took the lock.
		fit, question := syncFit(o)
		switch {
		case question != nil:
			return question
		case !fit.Pass:
			return act(ReleaseLeader{}, "sync-unfit", "released leader key voluntarily because another member may have commits that this one lacks").
				because("sync-unfit", "%s", fit.Text)
		}
	}
	return act(WriteSync{State: t.key, Revision: key.Revision}, "sync-promote", "Updating synchronous replication key before promotion")
}

// replicaSync keeps the names on a replica as its promotion would need them, so that they are in force long
// before.
func replicaSync(o *Observation) *Decision {
	if o.Settings.SynchronousMode == cluster.SyncOff {
		return releaseNames(o)
	}
	if namesFail(o) {
		return nil
	}
	return idleNames(o, together(o).names)
}

// idleNames brings a server in recovery to the names it would begin with as a primary.
func idleNames(o *Observation, want quorum.Names) *Decision {
	if have, ok := quorum.Parse(o.Server.SynchronousNames); ok && have.Equal(want) && !namesDoubtful(o) {
		return nil
	}
	waits := "nobody"
	if len(want.Standbys) > 0 {
		waits = want.Text()
	}
	return act(SetSyncNames{Names: want.Text()}, "sync-idle-names", "preparing for a promotion after which commits wait for %s", waits)
}
