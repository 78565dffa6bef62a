package ha

// ruleTold: a server that was told to become a primary ends its recovery some time, and nothing but its own end takes
// that back. So it is stopped when it must not become one any more:
//
//  1. it is told, and its recovery hangs, say in a restore_command;
//  2. the lock is lost, because etcd was away, somebody has removed the key, or the agent was restarted meanwhile;
//  3. another member is promoted;
//  4. the command goes on, and this server accepts writes until its agent sees it.
//
// Patroni leaves it running.
func ruleTold(o *Observation) *Decision {
	if !o.Server.Promoting || o.Server.IsPrimary() || o.paused() {
		return nil
	}
	switch {
	case !o.mine():
		return act(Demote{Mode: DemoteNoLock}, "told-no-lock", "stopped PostgreSQL because it was told to promote and I do not have the lock")
	case o.standbyCluster():
		return act(Demote{Mode: DemoteNoLock}, "told-standby", "stopped PostgreSQL because it was told to promote and this has become a standby cluster")
	}
	return nil
}

// stopsFirst has a server that was told to become a primary stopped before the lock is released.
func stopsFirst(o *Observation, d *Decision) *Decision {
	if _, releases := d.Action.(ReleaseLeader); releases && o.Server.Promoting && o.MayWrite() {
		d.Action = Demote{Mode: DemoteImmediate}
	}
	return d
}
