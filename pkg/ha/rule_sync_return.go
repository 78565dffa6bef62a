package ha

import "github.com/hathi-ha/hathi/pkg/cluster"

// Before is what a member must remember of /sync when it is about to write it: what the key said before it named this member,
// which is to be promoted; nil if there is nothing that could be given back. Also a key that named nobody is: by that any member
// could lead, by its own name only this one, and not even it if its data are a copy. It holds once the write was confirmed.
func (x WriteSync) Before(o *Observation) *cluster.SyncState {
	key, m := o.Store.View.Sync, &o.Memory.Sync
	switch {
	case !o.Server.InRecovery || !x.State.LedBy(o.Self.Name):
		return nil
	case m.Before != nil && key.Revision == m.Written:
		return m.Before // it has named itself twice
	case key.Revision != x.Revision || key.Revision != 0 && key.Revision == m.Stale:
		return nil
	}
	return &key
}

// ReturnSync gives /sync back what it said before this member named itself there, if it gives the lock up without having told
// its server to become a primary: nothing was acknowledged under its name, and the reign before may have left members that
// have everything. Patroni leaves the name, and then nobody else may be promoted.
// The write compares the revision of its own, so it undoes nothing that anybody has written since.
func ReturnSync(o *Observation) (x WriteSync, ok bool) {
	m := &o.Memory.Sync
	if o.Settings.SynchronousMode == cluster.SyncOff || m.Before == nil || o.Server.Promoting || !o.Server.InRecovery {
		return x, false
	}
	key := o.Store.View.Sync
	if key.Revision != m.Written || key.Leader == m.Before.Leader && quorumKey(key).Equal(quorumKey(*m.Before)) {
		return x, false
	}
	return WriteSync{State: *m.Before, Revision: key.Revision}, true
}

// returnsFirst: before the lock is given up, /sync is as it was.
func returnsFirst(o *Observation, d Decision) Decision {
	if _, release := d.Action.(ReleaseLeader); !release {
		return d
	}
	x, ok := ReturnSync(o)
	if !ok {
		return d
	}
	back := *act(x, "sync-return", "Updating synchronous replication key, as %s is not promoted", o.Self.Name)
	back.Reasons = append(back.Reasons, d.Reasons...)
	return back
}
