package ha

import (
	"strings"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// ruleData: there is no database in the data directory. A primary that runs all the same has its files open, whatever
// became of the directory or keeps this agent from looking: it has to be looked after like any other, and holds the
// lock, until it has ended. Patroni gives the lock up.
func ruleData(o *Observation) *Decision {
	if o.Server.Data == cluster.DataPresent || o.MayWrite() {
		return nil
	}
	if o.mine() {
		return act(ReleaseLeader{}, "data-release", "released leader key voluntarily as data dir %s and currently leader",
			map[bool]string{true: "empty", false: "not accessible"}[o.Server.Data == cluster.DataEmpty])
	}
	switch {
	case o.Server.Data != cluster.DataEmpty:
		return wait("data-unusable", "data directory is not accessible: %s", o.Server.DataError)
	case o.paused():
		return wait("data-paused", "running with empty data directory")
	case o.locked():
		return clone(o)
	}
	return found(o)
}

// clone copies the data of a running member.
func clone(o *Observation) *Decision {
	if at, blocked := backoff(o.Now, o.Memory.LastClone, o.Memory.CloneFailures); blocked {
		return wait("clone-backoff", "waiting before another attempt to bootstrap from leader '%s'", o.leader().Name).until(at)
	}
	source := cloneSource(o)
	if source.ConnURL == "" {
		return wait("clone-no-source", "%s", waitingFor(o))
	}
	kind := "leader"
	if source.Name != o.leader().Name {
		kind = "replica"
	}
	return act(Clone{From: source.Name}, "clone", "trying to bootstrap from %s '%s'", kind, source.Name)
}

// cloneSource is a running member with the tag clonefrom, the first by name so that the same observation
// gives the same answer (Patroni takes a random one), else the leader.
func cloneSource(o *Observation) cluster.Member {
	leader := o.leader()
	if o.Memory.ReinitializeFromLeader {
		return leader
	}
	for _, m := range o.Store.View.Members {
		if m.Name != o.Self.Name && m.Name != leader.Name && m.Tags.CloneFrom() && m.ConnURL != "" && m.State == cluster.StateRunning {
			return m
		}
	}
	return leader
}

// found starts a new cluster, if nobody has and if this member may.
func found(o *Observation) *Decision {
	init := o.Store.View.Initialize
	if !init.Present {
		if !o.Self.CanBootstrap || o.Self.Tags.NoFailover() {
			return wait("bootstrap-not-me", "%s", waitingFor(o))
		}
		if at, blocked := backoff(o.Now, o.Memory.LastClone, o.Memory.CloneFailures); blocked {
			return wait("bootstrap-backoff", "waiting before another attempt to bootstrap").until(at)
		}
		if o.standbyCluster() {
			return foundStandby(o)
		}
		return act(Bootstrap{}, "bootstrap", "trying to bootstrap a new cluster")
	}
	switch {
	case init.Value != "" && o.Settings.CopyWithoutLeader:
		return cloneAlone(o)
	case init.Value == "":
		return awaitFounder(o)
	}
	return wait("bootstrap-wait", "%s", waitingFor(o))
}

// awaitFounder: somebody founds the cluster, or has died over it; Patroni then waits for ever. The empty key of a member
// of hathi hangs on its lease and goes with that, unless it is this member's own, which could not remove it when its
// bootstrap failed: no job runs. That of Patroni has no lease, but the member key of a bootstrapping node has one: no such
// member for a whole TTL, and nobody is at it.
func awaitFounder(o *Observation) *Decision {
	init := o.Store.View.Initialize
	own := init.Lease != 0 && init.Lease == o.Store.Lease
	at := o.Memory.InitializeEmptySince.Add(o.Settings.TTL)
	switch {
	case !own && (init.Lease != 0 || bootstrapping(o) || o.Memory.InitializeEmptySince == 0):
		return wait("bootstrap-wait", "%s", waitingFor(o))
	case !own && o.Now.Before(at):
		return wait("bootstrap-wait", "%s", waitingFor(o)).until(at)
	}
	return act(AbandonInitialize{Revision: init.Revision}, "bootstrap-abandoned", "removing initialize key left by a bootstrap that died")
}

// waitingFor is the line of a member without data that can only wait. Source: Patroni 4.1, ha.py, bootstrap.
func waitingFor(o *Observation) string {
	if o.standbyCluster() {
		return "waiting for standby_leader to bootstrap"
	}
	return "waiting for leader to bootstrap"
}

// cloneAlone copies from a backup, because nobody leads.
// Source: Patroni 4.1, ha.py, bootstrap: can_create_replica_without_replication_connection.
func cloneAlone(o *Observation) *Decision {
	if at, blocked := backoff(o.Now, o.Memory.LastClone, o.Memory.CloneFailures); blocked {
		return wait("clone-backoff", "waiting before another attempt to bootstrap (without leader)").until(at)
	}
	return act(Clone{}, "clone-alone", "trying to bootstrap (without leader)")
}

// bootstrapping reports whether another member says that it founds the cluster.
func bootstrapping(o *Observation) bool {
	for _, m := range o.Store.View.Members {
		switch m.State {
		case cluster.StateInitdb, cluster.StateCustomBootstrap, cluster.StateBootstrapStarting,
			cluster.StateStarting, cluster.StateRunning:
			if m.Name != o.Self.Name {
				return true
			}
		}
	}
	return false
}

// backoff spaces attempts that keep failing: 1, 2, 4 … up to 32 seconds after the last.
func backoff(now, last clock.Instant, failures int) (clock.Instant, bool) {
	if failures == 0 {
		return 0, false
	}
	at := last.Add(time.Second << min(failures-1, 5))
	return at, now.Before(at)
}

// ruleIdentity: data of another cluster must neither join this one nor be touched.
func ruleIdentity(o *Observation) *Decision {
	known, own := o.Store.View.Initialize.SystemID(), o.Server.SystemID
	switch {
	case own == "" && o.Memory.Joined && o.MayWrite():
		return nil // it was ours, and a primary must not go on beside another one
	case own == "":
		return wait("identity-unknown",
			"data dir for the cluster is not empty, but system ID is invalid; consider doing reinitialize")
	case known != "" && known != own && o.paused():
		if o.mine() {
			return act(ReleaseLeader{}, "identity-release", "released leader key voluntarily due to the system ID mismatch")
		}
		return nil // warnOfIdentity tells
	case known != "" && known != own:
		text := "system ID mismatch, node " + o.Self.Name + " belongs to a different cluster: " + known + " != " + own
		return act(Exit{Message: text + " (the cluster's, and that of the data directory): point postgresql.data_dir to data of this cluster, " +
			"or to an empty directory for a new copy, or correct scope"}, "identity-mismatch", "%s", text)
	case known != "" || o.paused():
		return nil
	}
	return unnamed(o)
}

// warnOfIdentity tells, whatever is decided, that the end of the pause will be the end of this agent.
func warnOfIdentity(o *Observation, d *Decision) {
	if o.Store.View == nil || !o.paused() || o.Server.SystemID == "" || identityFits(o) {
		return
	}
	d.also("system ID has changed while in paused mode. Patroni will exit when resuming unless system ID is reset: %s != %s",
		o.Store.View.Initialize.SystemID(), o.Server.SystemID)
}

// unnamed: the cluster has no identifier yet, and this member has data. A running primary names the
// cluster; a replica that was found running must not, for its primary may be out there without an agent.
func unnamed(o *Observation) *Decision {
	init := o.Store.View.Initialize
	if o.mine() {
		return act(WriteInitialize{SystemID: o.Server.SystemID, Revision: init.Revision}, "identity-write", "writing system identifier of the cluster")
	}
	if o.locked() || o.Memory.Joined {
		return nil
	}
	if o.Memory.Adopted && o.Server.Answered && o.Server.InRecovery && !o.standbyCluster() {
		text := "No initialize key in DCS and PostgreSQL is running as replica, aborting start. " +
			"Please first start Patroni on the node running as primary"
		return act(Exit{Message: text}, "identity-replica-first", "%s", text)
	}
	return act(WriteInitialize{SystemID: o.Server.SystemID, Revision: init.Revision}, "identity-write", "writing system identifier of the cluster")
}

// ruleReinitialize: a user asked for a new copy of the data.
func ruleReinitialize(o *Observation) *Decision {
	if !o.Memory.ReinitializeRequested || !o.other() {
		return nil
	}
	source := cloneSource(o)
	if source.ConnURL == "" {
		return nil
	}
	if d := leaveSync(o); d != nil {
		return d
	}
	return act(Reinitialize{From: source.Name}, "reinitialize", "reinitializing from '%s' as requested", source.Name)
}

// upstreamOf gives the address of a member from its connection URL; a zero host if it has none.
func upstreamOf(o *Observation, m cluster.Member) cluster.Upstream {
	host, port := m.Address()
	if host == "" {
		return cluster.Upstream{}
	}
	u := cluster.Upstream{Member: m.Name, Host: host, Port: port}
	if o.Settings.UseSlots {
		u.Slot = cluster.SlotName(o.Self.Name)
	}
	return u
}

// target is the member this one follows: the one its tag names, if it is there and where the cluster is, else the leader. A
// zero host means nobody: there is none, or it may be on another timeline that has the number of this server's.
func target(o *Observation) cluster.Upstream {
	if o.Self.Tags.NoStream() || !o.locked() || o.mine() || strange(o) {
		return cluster.Upstream{}
	}
	if answer(o) != RewindNotNeeded && answer(o) != RewindDone && behind(o, o.Store.View.History.Timeline()) {
		return cluster.Upstream{} // /history does not tell of the leader's timeline yet
	}
	from := o.Self.Tags.ReplicateFrom()
	if from != "" && !strings.EqualFold(from, o.Self.Name) {
		if m, ok := o.Store.View.Member(from); ok && m.ConnURL != "" && !astray(o, m) {
			return upstreamOf(o, m)
		}
	}
	return upstreamOf(o, o.leader())
}

// astray reports whether a member says that it is on a timeline that only has the number of one of the cluster's, or a higher
// one. It can't be followed before it was rewound, or, if it leads, was promoted, but PostgreSQL sees only numbers.
func astray(o *Observation, m cluster.Member) bool {
	history := o.Store.View.History
	if o.standbyCluster() || m.Fork == 0 || !history.Present {
		return false
	}
	line, known := history.Began(m.Timeline)
	return known && line.LSN != m.Fork || m.Timeline > history.Timeline()
}
