package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// A standby cluster follows a server outside of it. Its leader, the standby leader, holds the lock and follows
// that server; the others follow the leader. Nobody in it is ever promoted, so nothing can be lost in it:
// what the race for the lock protects elsewhere is here only a matter of lag.

func (o *Observation) standbyCluster() bool { return o.Settings.StandbyCluster != nil }

// ruleStandbyCluster are the rules of a member whose server answers.
// Source: Patroni 4.1, ha.py, follow and process_healthy_cluster.
func ruleStandbyCluster(o *Observation) *Decision {
	switch {
	case !o.standbyCluster():
		return nil
	case o.Server.IsPrimary():
		return standbyPrimary(o)
	case !o.locked():
		return standbyRace(o)
	case o.mine():
		return standbyLeader(o)
	}
	return standbyReplica(o)
}

// remote is the server that the standby cluster follows; a zero host if it only restores from an archive. The
// slot there is for one: the leader.
func remote(o *Observation) cluster.Upstream {
	s := o.Settings.StandbyCluster
	if s == nil || s.Host == "" || o.Self.Tags.NoStream() {
		return cluster.Upstream{}
	}
	u := cluster.Upstream{Host: s.Host, Port: s.Port}
	if u.Port == "" {
		u.Port = "5432"
	}
	if o.mine() {
		u.Slot = s.PrimarySlotName
	}
	return u
}

// standbyTarget is whom this member follows.
func standbyTarget(o *Observation) cluster.Upstream {
	if o.other() {
		return target(o)
	}
	return remote(o)
}

// standbyPrimary: no server of a standby cluster may accept writes. The leader stops cleanly, so that its
// replicas and whoever takes over outside have all of it, and keeps the lock: Patroni may give it away meanwhile.
func standbyPrimary(o *Observation) *Decision {
	switch {
	case o.paused():
		return wait("standby-paused-primary", "continue to run as primary without lock")
	case o.mine():
		return act(Demote{Mode: DemoteCluster}, "standby-demote", "cannot be a real primary in standby cluster")
	}
	return act(Demote{Mode: DemoteNoLock}, "standby-demote-nolock", "cannot be a real primary in a standby cluster")
}

// standbyRace: nobody leads. The race is the usual one; who has waited for its end in vain follows the remote
// server by itself.
func standbyRace(o *Observation) *Decision {
	d, want := ruleRace(o), remote(o)
	if _, won := d.Action.(AcquireLeader); won {
		d.Reasons[0].Text = "promoted self to a standby leader by acquiring session lock"
	}
	_, resting := d.Action.(Wait)
	alone := o.Memory.UnlockedSince != 0 && o.Now.Sub(o.Memory.UnlockedSince) >= o.Settings.LoopWait
	if !resting || !alone || o.paused() || want.Host == "" || o.Server.ReceiverStatus == "streaming" || o.Server.PrimaryConninfo.Same(want) {
		return d
	}
	return act(Follow{Upstream: want}, "standby-follow-unlocked", "trying to follow a remote member because standby cluster is unhealthy")
}

// standbyLeader: the lock is ours, and the server is a replica as it should be.
func standbyLeader(o *Observation) *Decision {
	for _, rule := range []func(*Observation) *Decision{
		leaderFailsafe, syncDisabled, standbyFollow, standbyDiverged, standbyRequest, leaderKeys, standbyHistory, ruleRestart, ruleSlots,
	} {
		if d := rule(o); d != nil {
			return d
		}
	}
	return standbyWake(o, wait("standby-leader", "no action. I am (%s), the standby leader with the lock", o.Self.Name))
}

// standbyWake: nothing tells when a WAL receiver has found its upstream.
func standbyWake(o *Observation, d *Decision) *Decision {
	if o.Server.ReceiverStatus != "streaming" && standbyTarget(o).Host != "" {
		d.until(o.Now.Add(time.Second))
	}
	return d
}

// standbyFollow points the leader to the remote server, or to the archive alone.
func standbyFollow(o *Observation) *Decision {
	want := remote(o)
	if o.Server.PrimaryConninfo.Same(want) || want.Host == "" && o.Server.PrimaryConninfo.Host == "" {
		return nil
	}
	return act(Follow{Upstream: want}, "standby-follow", "promoted self to a standby leader because i had the session lock")
}

// standbyDiverged: a server that does not stream may hold WAL that the remote primary never had; a former
// primary of this cluster, for one. Only that primary can tell, and mend it.
func standbyDiverged(o *Observation) *Decision {
	up, m := remote(o), o.Memory
	if o.paused() || up.Host == "" || o.Server.ReceiverStatus == "streaming" || o.Now.Before(m.RewindRetryAt) {
		return nil
	}
	if m.Rewind != RewindNeeded || m.RewindAgainst != up.Member {
		return act(CheckRewind{Leader: up}, "standby-check", "comparing history with %s", up.Title())
	}
	if !o.Server.RewindPossible || !o.Settings.UsePgRewind {
		return wait("standby-rewind-impossible", "the timeline of %s has diverged from %s and can't be rewound; reinitialize it", o.Self.Name, up.Title())
	}
	return act(Rewind{Leader: up}, "standby-rewind", "running pg_rewind from %s", up.Title())
}

// standbyRequest: somebody asked for another standby leader. Nothing is written here, so nothing has to stop:
// the lock is given up, the candidate takes it, and this server follows.
func standbyRequest(o *Observation) *Decision {
	if o.paused() {
		return nil
	}
	d := leaderRequest(o)
	if d == nil {
		return nil
	}
	if _, handOver := d.Action.(Demote); handOver {
		d.Action = ReleaseLeader{}
	}
	return d
}

// standbyHistory: a /history of a timeline that this server is not on is left over from when the cluster had
// a primary of its own. After the next promotion it would make the new primary look like an old one, and with
// check_timeline let nobody lead if the leader is lost before.
func standbyHistory(o *Observation) *Decision {
	if o.Server.Timeline == 0 || o.Store.View.History.Timeline() <= o.Server.Timeline && !otherBranch(o) {
		return nil
	}
	if o.Server.ReceiverStatus != "streaming" && !agrees(o) {
		return nil
	}
	return act(WriteHistory{History: history(o)}, "standby-history", "replacing the timeline history of a branch that was left")
}

// agrees reports whether the remote primary was found to be on the timeline of this server, which has gone on from
// where the branch began that was left. While it is still there a promotion could begin another timeline at that very
// position, and only what /history tells keeps it from taking the same number.
func agrees(o *Observation) bool {
	m, lines := o.Memory, o.Store.View.History.Entries
	if m.Rewind != RewindNotNeeded || m.RewindAgainst != "" || m.RewindAgainstTimeline != o.Server.Timeline {
		return false
	}
	return len(lines) == 0 || o.Server.Position() > lines[len(lines)-1].LSN
}

// standbyReplica: another member leads.
func standbyReplica(o *Observation) *Decision {
	for _, rule := range []func(*Observation) *Decision{replicaStrange, standbyDiverged, replicaFollow, replicaSync, ruleRestart, ruleSlots} {
		if d := rule(o); d != nil {
			return d
		}
	}
	return standbyWake(o, wait("standby-replica", "no action. I am (%s), a secondary, and following a standby leader (%s)", o.Self.Name, o.leader().Name))
}

// standbyStrange reports whether this server, of a time when the cluster had a primary of its own, is on a timeline that
// its leader has left or never was on. Where the cluster is promoted again, that leader may come to another one of the same
// number. What /history tells may itself be left over; the leader mends that as soon as it streams from the remote server.
func standbyStrange(o *Observation) bool {
	if !o.standbyCluster() || !o.other() {
		return false
	}
	now := o.leader().Timeline
	return now != 0 && now < o.Server.Timeline || now == o.Server.Timeline && o.Settings.StandbyCluster.Host != "" && otherBranch(o)
}

// standbyDown: there is data, but no postmaster. It starts in recovery, whoever leads; what has diverged is
// found out while it runs.
func standbyDown(o *Observation) *Decision {
	if o.mine() && o.Memory.StartFailures > 0 {
		return act(ReleaseLeader{}, "standby-start-failed", "removed leader key after trying and failing to start postgres")
	}
	if at, blocked := backoff(o.Now, o.Memory.LastStart, o.Memory.StartFailures); blocked {
		return wait("standby-backoff", "failed to start postgres").until(at)
	}
	if d := crashRecovery(o); d != nil {
		return d
	}
	line := "starting as a secondary"
	switch {
	case o.mine():
		line = "starting as a standby leader because i had the session lock"
	case !o.locked():
		line = "trying to follow a remote member because standby cluster is unhealthy"
	}
	return act(StartReplica{Upstream: standbyTarget(o)}, "standby-start", "%s", line)
}

// foundStandby starts a standby cluster with a copy of the remote server, or of a backup if none is named.
func foundStandby(o *Observation) *Decision {
	up := remote(o)
	if up.Host == "" && !o.Settings.CopyWithoutLeader {
		return wait("standby-no-source", "%s", waitingFor(o)).
			because("standby-no-source", "standby_cluster names no host to copy from, and no method of its create_replica_methods has no_leader")
	}
	return act(Bootstrap{Standby: true, From: up}, "standby-bootstrap", "trying to bootstrap a new standby leader")
}
