package api

import (
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// silence is how long a server that runs may leave the monitoring query unanswered before health checks
// fail. A single slow query must not make load balancers drop a busy primary.
const silence = 5 * time.Second

// picture is a snapshot as of now, with what its age means for it.
type picture struct {
	*Snapshot
	now  clock.Instant
	view *cluster.View // nil: no view that still counts
	lock bool          // the leader key is proven to be ours
}

func (s *Server) picture() picture {
	p := picture{Snapshot: s.o.Node.Snapshot(), now: s.o.Clock.Now()}
	if p.ViewConfirmed != 0 && p.now.Before(p.ViewConfirmed.Add(p.Settings.TTL)) {
		p.view = p.View
	}
	p.lock = p.LockUntil != 0 && p.now.Before(p.LockUntil)
	return p
}

// failsafe reports whether failsafe mode keeps this primary up, or lets this member wait for one.
func (p picture) failsafe() bool { return p.FailsafeUntil != 0 && p.now.Before(p.FailsafeUntil) }

// answers reports whether the server was queried successfully in a state in which that means something.
func (p picture) answers() bool {
	switch p.State {
	case cluster.StateRunning, cluster.StateRestarting, cluster.StateStarting:
		return p.Server.Answered
	}
	return false
}

// state is the state of the document: a running server that does not answer is "unknown".
func (p picture) state() cluster.State {
	if p.State == cluster.StateRunning && !p.Server.Answered {
		return cluster.StateUnknown
	}
	return p.State
}

// role is the role of the document.
func (p picture) role() cluster.Role {
	switch {
	case !p.answers():
		return p.Role
	case !p.Server.InRecovery:
		return cluster.RolePrimary
	case p.Settings.StandbyCluster != nil:
		return p.Role
	}
	return cluster.RoleReplica
}

// running reports whether the server runs and answers, or did a moment ago and is still there. A snapshot
// that is older than two TTLs proves nothing: the loop is stuck.
func (p picture) running() bool {
	s := &p.Server
	switch {
	case p.State != cluster.StateRunning, p.now.Sub(p.Taken) > 2*p.Settings.TTL:
		return false
	case s.Answered:
		return true
	}
	return s.Process == cluster.ProcessRunning && !s.Rejecting && s.SilentFor+p.now.Sub(p.Taken) < silence
}

func (p picture) leaderLSN() cluster.LSN {
	var optime cluster.LSN
	if p.view != nil {
		optime = p.view.Status.Optime
	}
	return max(optime, p.Server.LatestEndLSN)
}

func (p picture) syncStandby() bool   { return p.listed(cluster.SyncOn) }
func (p picture) quorumStandby() bool { return p.listed(cluster.SyncQuorum) }

func (p picture) listed(mode cluster.SynchronousMode) bool {
	return p.answers() && p.role() == cluster.RoleReplica && p.Settings.SynchronousMode == mode &&
		p.View != nil && p.View.Sync.HasStandby(p.Name)
}

// mayWrite reports whether a primary is there that can't be queried: it is being stopped, or hangs. Or a server is
// becoming one.
func (p picture) mayWrite() bool {
	if p.Server.Promoting && !p.Server.IsPrimary() {
		return true
	}
	return !p.answers() && p.Role == cluster.RolePrimary && p.Server.Process != cluster.ProcessNone
}

// unlocked reports whether no leader is known.
func (p picture) unlocked() bool { return p.view == nil || !p.view.Locked() }

// alive is the answer to /liveness: the loop has made its turns. Source: Patroni 4.1, api.py, do_GET_liveness.
func (p picture) alive() bool {
	limit := 2 * p.Settings.TTL
	if p.Role == cluster.RolePrimary && p.Server.Process == cluster.ProcessRunning {
		limit = p.Settings.TTL
	}
	return p.Settings.Pause || p.now.Before(p.NextRun.Add(limit))
}
