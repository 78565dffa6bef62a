package ha

import "github.com/hathi-ha/hathi/pkg/cluster"

// ruleJob: while something long runs beside the loop, the only question is whether it may go on. The lease
// is renewed beside it all the while.
func ruleJob(o *Observation) *Decision {
	job := o.Job
	if job == nil {
		return nil
	}
	if why := forbidden(o); why != "" && !job.Cancelled {
		d := act(CancelJob{}, "job-forbidden", "%s", why)
		if job.Kind == JobStartPrimary || job.Kind == JobRestart {
			d.also("Demoting primary during %s", job)
		}
		return d
	}
	if o.Stopping && !job.Cancelled && job.Kind != JobDemote && job.Kind != JobStop && job.Kind != JobKill {
		return act(CancelJob{}, "job-stopping", "%s cancelled because the agent is stopping", job)
	}
	if job.Kind == JobStartPrimary && !job.Cancelled && o.Store.View != nil && o.Store.FailingSince == 0 {
		if d := relief(o, CancelJob{}); d != nil {
			return d
		}
	}
	if o.Store.View != nil && o.mine() && job.Kind != JobPromote {
		return wait("job", "updated leader lock during %s", job)
	}
	d := wait("job", "%s in progress", job)
	if o.Store.View != nil && !o.locked() && !founds(job.Kind) {
		d.because("job", "not healthy enough for leader race")
	}
	return d
}

// founds: while these run there is no cluster yet, or no data to lead it with.
func founds(k JobKind) bool { return k == JobBootstrap || k == JobClone }

// forbidden says why the running job has to end, or nothing. Jobs that make or keep a primary are allowed
// only while the lock is proven to be ours; what they leave behind is judged when they have ended. The
// guard fences in case they do not end in time.
func forbidden(o *Observation) string {
	if o.paused() {
		return ""
	}
	switch o.Job.Kind {
	case JobBootstrap:
		// Whoever sees no /initialize founds the cluster as well.
		if !o.Now.Before(o.Store.LockProven) {
			return "lost initialize lock during " + string(JobBootstrap)
		}
	case JobPromote:
		if lockLost(o) {
			return "lost leader before promote"
		}
		if o.standbyCluster() {
			return "not promoting because this has become a standby cluster"
		}
	case JobStartPrimary:
		if lockLost(o) {
			return "lost leader lock during " + string(JobStartPrimary)
		}
	case JobRestart:
		if lockLost(o) && o.Memory.WasPrimary {
			return "lost leader lock during " + string(JobRestart)
		}
	case JobCheckRewind:
		// It may wait long for an answer, and the server connects to its upstream by itself meanwhile.
		if v := o.Store.View; v != nil && o.other() && o.Server.InRecovery && replicaStrange(o) != nil {
			return "not comparing histories before this server follows nobody"
		}
	case JobDemote:
		// It takes no signal to stop, while its children may go on serving, and the lock is kept meanwhile.
		if at := o.Memory.FrozenSince; at != 0 && o.Server.Process == cluster.ProcessFrozen && o.Now.Sub(at) >= o.Settings.RetryTimeout {
			return "killing postgres, whose postmaster is stopped by a signal, during " + string(JobDemote)
		}
	}
	return ""
}

// lockLost reports whether the leader key is known not to be ours, or no longer proven to be.
func lockLost(o *Observation) bool {
	v := o.Store.View
	return v == nil || v.Leader.Name != o.Self.Name || !o.Now.Before(o.Store.LockProven)
}

// ruleFirstView: before the first view of the cluster nothing can be judged. A server that is running goes
// on as it is: if it is a primary, the guard of the agent before us still counts its deadline. Only a quarter of its life
// before that, or when etcd has not answered for long, it is stopped: the guard may be lost as well.
func ruleFirstView(o *Observation) *Decision {
	if o.Store.View != nil {
		return nil
	}
	if o.Stopping {
		return stopLocal(o)
	}
	d, at := wait("first-view", "waiting on etcd"), giveUpAt(o)
	switch {
	case at == 0 || !o.MayWrite() || o.paused():
		return d
	case !o.Now.Before(at):
		return act(Demote{Mode: DemoteOffline}, "first-view-lost",
			"demoting self because DCS is not accessible and I was a leader")
	}
	return d.until(at)
}

// ruleStopping: the agent was told to end. In pause it leaves everything as it is, the leader key too.
// Source: Patroni 4.1, ha.py, shutdown.
func ruleStopping(o *Observation) *Decision {
	if !o.Stopping {
		return nil
	}
	if o.paused() {
		return act(Done{}, "stop-paused", "Leader key is not deleted and Postgresql is not stopped due paused state")
	}
	if o.Server.Process == cluster.ProcessNone && o.mine() {
		return act(ReleaseLeader{}, "stop-release", "Leader key released")
	}
	return stopLocal(o)
}

func stopLocal(o *Observation) *Decision {
	switch {
	case o.MayWrite():
		return act(Demote{Mode: DemoteShutdown}, "stop-primary", "stopping PostgreSQL and handing over")
	case o.Server.Process != cluster.ProcessNone:
		if d := leaveSync(o); d != nil {
			return d
		}
		return act(Stop{}, "stop-replica", "stopping PostgreSQL")
	}
	return act(Done{}, "stop-done", "agent stopped")
}
