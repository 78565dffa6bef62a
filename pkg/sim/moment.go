package sim

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// What every fifth run has besides: replicas that receive WAL slowly, servers that start slowly, bootstraps that fail or
// die, scripts that refuse a promotion, and users who change the configuration at the worst moment, which is while the
// lead changes. It draws from numbers of its own, so that other runs do not change
// with it.

// changesSettings chooses the runs.
func (w *world) changesSettings(o Options) {
	if o.Seed%5 == 3 && !o.Mixed {
		w.moments = rand.New(rand.NewPCG(o.Seed, 0x6d6f6d656e7473))
	}
}

// slowReplicas lets replicas receive slowly, one at a time and for up to a minute and a half.
func (w *world) slowReplicas(until time.Duration) {
	w.after(between(w.moments, 5*time.Second, 40*time.Second), func() {
		if w.now >= until || !w.faulty {
			return
		}
		s := w.nodes[w.moments.IntN(len(w.nodes))].server
		s.slow = between(w.moments, 500*time.Millisecond, 6*time.Second)
		w.tracef(s.n, "FAULT", "receives slowly: %s", s.slow)
		w.mark("fault: slow replica")
		w.after(between(w.moments, time.Second, 90*time.Second), func() { s.slow = 0 })
		w.slowReplicas(until)
	})
}

// worst is called when the lead changes, or what may lead: the leader key goes or comes, /sync names another leader, a
// server is promoted or stops serving.
func (w *world) worst() {
	if w.moments != nil && w.faulty && w.moments.IntN(4) == 0 {
		w.after(between(w.moments, 0, 500*time.Millisecond), w.changeSettings)
	}
}

// changeSettings changes one thing. With failsafe mode the TTL stays, see configure.
func (w *world) changeSettings() {
	if !w.faulty || w.paused || !w.etcd.up || w.now < w.calm || w.etcd.get(dcs.KeyConfig) == nil {
		return
	}
	r, d := w.moments, &w.doc
	switch kind := r.IntN(8); {
	case kind == 0 && w.base.FailsafeMode:
		d.NoFailsafe = !d.NoFailsafe
	case kind == 1:
		d.StartTimeout = []int{0, 1, 20, 300}[r.IntN(4)]
	case kind == 2:
		d.OtherTimeline = !d.OtherTimeline
	case kind == 3 && !w.base.FailsafeMode:
		d.Times = 1 + r.IntN(len(times))
	case kind == 4:
		d.MaximumLag = []uint64{1 << 20, 1 << 16, 1 << 22}[r.IntN(3)]
	case kind == 5:
		d.SyncLag = []int64{0, 1 << 20, 1 << 16}[r.IntN(3)]
	case kind == 6 && w.live:
		w.switchMode()
		return
	default:
		w.retag(w.nodes[r.IntN(len(w.nodes))])
		return
	}
	w.tracef(nil, "USER", "at the worst moment: %s", d.text())
	w.mark("user: settings changed at the worst moment")
	w.etcd.put(dcs.KeyConfig, d.text(), 0)
}

// retag gives a member other tags and has its agent read them. One member at most is kept from leading, and only of
// three or more; no two follow each other in a circle.
func (w *world) retag(n *node) {
	tags := cluster.Tags{}
	other := w.nodes[w.moments.IntN(len(w.nodes))]
	switch w.moments.IntN(6) {
	case 0:
		tags["failover_priority"] = 2
	case 1:
		// A leader that may not lead again, the last one also, would be waited for by who lags, for ever; and so would who has
		// named itself in /sync and gave the lock back, for nobody else may be listed.
		leads := w.check.lead == n || w.etcd.text(dcs.KeyLeader) == n.name || dcs.DecodeSync([]byte(w.etcd.text(dcs.KeySync))).LedBy(n.name)
		if len(w.nodes) > 2 && !leads && !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.tags.NoFailover() }) {
			tags["nofailover"] = true
		}
	case 2:
		tags["nosync"] = true
	case 3:
		tags["sync_priority"] = 2
	case 4:
		followed := slices.ContainsFunc(w.nodes, func(m *node) bool { return m.tags.ReplicateFrom() == n.name })
		if other != n && other.tags.ReplicateFrom() == "" && !followed {
			tags["replicatefrom"] = other.name
		}
	}
	n.tags, n.tagged = tags, w.now
	w.tracef(n, "USER", "tags %v", tags)
	w.mark("user: tags changed")
	if n.agent != nil {
		a := n.agent
		a.p.run(a.agent.Reload)
	}
}

// slowStart is how long a start takes that would take so long: now and then longer than primary_start_timeout.
func (w *world) slowStart(usual time.Duration) time.Duration {
	if w.moments == nil || !w.faulty || w.moments.IntN(12) > 0 {
		return usual
	}
	w.mark("pg: a slow start")
	return between(w.moments, 5*time.Second, 35*time.Second)
}

// failedBootstrap: the first attempt to found a cluster may fail, or the machine dies over them and leaves an empty
// /initialize behind.
func (s *server) failedBootstrap() error {
	w := s.w
	if w.moments == nil || w.founded {
		return nil
	}
	w.founded = true
	switch w.moments.IntN(3) {
	case 0:
		w.mark("pg: a failed bootstrap")
		return errors.New("initdb: it just did not work")
	case 1:
		w.mark("fault: node down while it founds the cluster")
		n := s.n
		w.after(0, n.switchOff)
		w.after(between(w.moments, time.Second, 20*time.Second), n.bootIfDead)
		w.sleep(time.Second) // the machine is off before that is over
	}
	return nil
}

// refusesPromotion: the user's pre_promote says no.
func (s *server) refusesPromotion() bool {
	w := s.w
	if w.moments == nil || !w.faulty || w.moments.IntN(15) > 0 {
		return false
	}
	w.mark("pg: pre_promote says no")
	s.refused = w.now
	w.check.moment(s.n)
	return true
}
