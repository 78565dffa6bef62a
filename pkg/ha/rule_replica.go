package ha

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleReplica: another member holds the leader key and the server answers.
// Source: Patroni 4.1, ha.py, follow.
func ruleReplica(o *Observation) *Decision {
	if o.Server.IsPrimary() {
		if o.paused() {
			return wait("replica-paused-primary", "continue to run as primary without lock")
		}
		return act(Demote{Mode: DemoteNoLock}, "replica-demote",
			"demoting self because I do not have the lock and I was a leader")
	}
	for _, rule := range []func(*Observation) *Decision{replicaDiverged, replicaFollow, replicaReconnect, replicaSync, ruleRestart, ruleSlots} {
		if d := rule(o); d != nil {
			return d
		}
	}
	d := wait("replica", "no action. I am (%s), a secondary, and following a leader (%s)", o.Self.Name, o.leader().Name)
	if o.Server.WALGone != "" {
		d.because("replica-wal-gone", "the WAL that %s needs next is gone (%s), and no restore_command fetches it: run reinit for %s",
			o.Self.Name, o.Server.WALGone, o.Self.Name)
	}
	if mistrusted(o) {
		d.because("replica-copied", "its data were copied, and until they have all that the leader has, it neither leads nor votes")
	}
	if o.Server.ReceiverStatus != "streaming" && target(o).Host != "" || o.Server.Copied && o.Memory.Copy.FailedAt == 0 {
		d.until(o.Now.Add(time.Second)) // nothing tells when a WAL receiver has found its upstream, or caught up
	}
	return d
}

// replicaFollow points the server to its upstream. While the upstream's address is not known, what it
// follows now is left alone (Patroni disconnects it).
func replicaFollow(o *Observation) *Decision {
	if d := replicaStrange(o); d != nil {
		return d
	}
	want := target(o)
	if o.Self.Tags.NoStream() && o.Server.PrimaryConninfo.Host != "" {
		return act(Follow{}, "replica-follow", "following nobody, as the tag nostream says")
	}
	if want.Host == "" || o.Server.PrimaryConninfo.Same(want) {
		return nil
	}
	return act(Follow{Upstream: want}, "replica-follow", "following %s", want.Member)
}

// replicaStrange disconnects a server that might stream from another timeline of the number of its own.
func replicaStrange(o *Observation) *Decision {
	if !strange(o) || o.Server.PrimaryConninfo.Host == "" {
		return nil
	}
	return act(Follow{}, "replica-strange", "following nobody until it is known that %s is on the same timeline %d",
		o.leader().Name, o.Server.Timeline)
}

// replicaDiverged: a replica that does not stream from a leader on another timeline may have replayed what
// that leader never had. While it streams there is nothing to ask: the upstream would refuse to send WAL of
// a history that is not its own, but for one of the same number. It is asked also where nothing can be done about the
// answer: a person can.
func replicaDiverged(o *Observation) *Decision {
	leader := o.leader()
	if o.paused() || !leaderReady(o) {
		return nil
	}
	if (o.Server.ReceiverStatus == "streaming" || leader.Timeline == 0 || leader.Timeline == o.Server.Timeline && !unheardOf(o)) && !namesake(o) && !astray(o, leader) {
		return nil
	}
	switch answer(o) {
	case RewindNeeded, RewindFailed:
		d := mend(o)
		if _, helpless := d.Action.(Wait); helpless && strange(o) && o.Server.PrimaryConninfo.Host != "" {
			d.Action = Follow{} // the upstream would not refuse
		}
		return d
	case RewindNotNeeded, RewindDone:
		return nil
	}
	if o.Now.Before(o.Memory.RewindRetryAt) {
		return nil
	}
	up := upstreamOf(o, leader)
	if up.Host == "" || strange(o) && o.Server.PrimaryConninfo.Host != "" {
		return nil
	}
	return act(CheckRewind{Leader: up}, "replica-check", "comparing history with leader '%s'", up.Member)
}

// strange reports whether this server could stream from a leader whose timeline only has the number of its own, by
// mistake or in a moment: the leader has not come to that number yet, or /history tells of another timeline; or it has taken
// the lock on a branch that the cluster had left, and is not promoted yet. What was compared is known.
func strange(o *Observation) bool {
	if known := answer(o); known == RewindNotNeeded || known == RewindDone {
		return false
	}
	return (behind(o, o.Server.Timeline) || untold(o) || unheardOf(o) || standbyStrange(o)) && o.Server.ReceiverStatus != "streaming" ||
		namesake(o) || astray(o, o.leader())
}

// untold reports whether the cluster has left this server's timeline behind, and /history does not tell where that one
// began: its first lines go with max_timelines_history, and a lost timeline may never have come into it.
func untold(o *Observation) bool {
	history := o.Store.View.History
	_, known := history.Began(o.Server.Timeline)
	return !known && o.Server.Timeline > 1 && o.Server.Timeline < history.Timeline()
}

// unheardOf reports whether the leader has come to the number of this server's timeline, and has not written into
// /history yet where it began: it may be another one.
func unheardOf(o *Observation) bool {
	t := o.Server.Timeline
	return !o.standbyCluster() && t > 1 && t == o.leader().Timeline && t > o.Store.View.History.Timeline()
}

// behind reports whether the leader has not come to a timeline yet.
func behind(o *Observation, t cluster.Timeline) bool {
	now := o.leader().Timeline
	return !o.standbyCluster() && now != 0 && now < t
}

// namesake reports whether this server's timeline is another one than the cluster's of the same number. That comes of
// a promotion which was lost before anybody had heard of it: the next one gets the same number, and PostgreSQL itself
// would stream from one to the other.
func namesake(o *Observation) bool {
	return !o.standbyCluster() && otherBranch(o)
}

// otherBranch reports whether /history tells of another timeline of the number of this server's.
func otherBranch(o *Observation) bool {
	own, history := o.Server.History, o.Store.View.History
	if o.Server.Timeline == history.Timeline() {
		own = o.Server.Timeline.Lines(own)
	}
	line, known := history.Began(o.Server.Timeline)
	if len(own) == 0 || !known {
		return false
	}
	last := own[len(own)-1]
	return last.Timeline != line.Timeline || last.LSN != line.LSN
}

// ruleRestart: a user asked for a restart of the server.
func ruleRestart(o *Observation) *Decision {
	if !o.Memory.RestartRequested {
		return nil
	}
	if d := leaveSync(o); d != nil {
		return d
	}
	return act(Restart{}, "restart", "restart requested")
}

// ruleLimits: the primary was restarted with a higher max_connections or the like before its replicas were, and
// PostgreSQL has paused replay for that. A restart takes the primary's limits from the control file. Patroni lets
// replay go on instead, upon which the server ends, and starts it again; and it does so for every pause, where
// here one that a user asked for stays. Source: Patroni 4.1, ha.py, _run_cycle.
func ruleLimits(o *Observation) *Decision {
	if !o.Server.LimitsTooSmall || !o.Server.InRecovery || o.paused() {
		return nil
	}
	if d := leaveSync(o); d != nil {
		return d
	}
	return act(Restart{}, "limits", "Resuming paused WAL replay for PostgreSQL 14+").
		because("limits", "restarting, because the primary runs with higher limits (max_connections or the like)")
}
