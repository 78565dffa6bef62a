package sim

import (
	"context"
	"errors"
	"time"

	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// Mixed clusters: every second member runs a model of Patroni 4.1 instead of an agent of hathi. It was written from the
// description of what Patroni does and shares no rule, no loop and no memory with hathi's agent: what it has in common is
// the simulated world (server, network, etcd) and the client of etcd, of which it uses the watched copy, the lease, and
// conditional writes of its own. Nothing fences such a member but its own loop: it has no guard, and its time counts
// from the renewal of its lease.
//
// patroni*.go are the model. Numbers in comments are sections of the description (ha.md).

// patroni is one life of Patroni's process on a node. Everything in it belongs to its loop, or to the one action that
// may run beside it.
type patroni struct {
	r     *runner
	n     *node
	w     *world
	pg    *postgres
	store *store

	settings cluster.Settings
	view     *cluster.View  // as it was loaded for this cycle
	healthy  *cluster.View  // the last one that had a leader
	server   cluster.Server // as it was last looked at
	role     cluster.Role
	woken    patroniNews // what the loop knows of
	renewed  bool        // the lease was renewed in this cycle
	member   []byte      // the member key as it was last written
	lease    int64       // on this lease
	paused   bool        // in the cycle before

	action  string // what runs beside the loop; empty: nothing
	began   clock.Instant
	cancel  context.CancelFunc
	founded bool // the data directory was just made, and the keys of the cluster are not there yet

	recovering  bool
	crashTried  bool
	rewind      patroniRewind
	followed    bool             // a cycle has seen the running standby
	leaderTL    cluster.Timeline // that the leader had at the last look
	checkpoint  bool             // done since the promotion
	checking    bool
	releasing   clock.Instant // asks to be let go as a synchronous standby; zero: it does not
	failsafe    patroniPing
	listed      map[string]string // /failsafe
	leads       bool              // the lock was renewed not longer than a ttl ago
	leadsSince  clock.Instant
	leaderUntil clock.Instant
	sync        patroniSync
	stopping    bool
}

// errStore: etcd can't be reached; the cycle ends in section 17.
var errStore = errors.New("DCS is not accessible")

// errConflict: somebody else has written the key.
var errConflict = errors.New("updated by someone else")

// startPatroni begins a new life of the process, which remembers nothing.
func (n *node) startPatroni(r *runner) {
	a := &patroni{
		r: r, n: n, w: n.w, pg: &postgres{s: n.server}, store: n.store,
		settings: n.w.settings(&cluster.View{}), role: cluster.RoleUninitialized,
	}
	r.patroni = a
	switch s := n.server; {
	case s.data && s.standby:
		a.role = cluster.RoleReplica
	case s.data && s.phase == phaseDown:
		a.role = cluster.RoleDemoted
	case s.data:
		a.role = cluster.RolePrimary
	}
	r.p.spawn("loop", a.loop)
}

func (a *patroni) now() clock.Instant { return a.n.clock.Now() }

// sleep rests by the node's clock.
func (a *patroni) sleep(d time.Duration) { a.w.sleep(a.n.clock.later(d) - a.w.now) }

// loop runs one cycle after the other (2.2). The lease comes before everything else.
func (a *patroni) loop() {
	a.store.SetTimeouts(a.settings.RetryTimeout)
	for a.renew() != nil {
		a.sleep(time.Second)
	}
	for {
		a.r.looper.begin()
		a.renewed = false
		start := a.now()
		if a.stopping {
			a.shutdown()
			return
		}
		a.w.tracef(a.n, "patroni", "%s", a.cycle())
		wait := a.settings.LoopWait
		if a.view != nil && a.view.Locked() && !a.mine() {
			wait += 500 * time.Millisecond
		}
		a.r.looper.until(a.n.clock.when(start.Add(wait)) - a.w.now)
	}
}

// patroniNews is what wakes the loop (keyspace.md 5).
type patroniNews struct {
	leader string
	status cluster.LSN
	config int64
	stop   bool
	action string
}

// news reports whether something has happened that wakes the loop.
func (a *patroni) news() bool {
	now := patroniNews{stop: a.stopping, action: a.action}
	if v := a.store.mirror.view(); v != nil {
		now.leader, now.config = v.Leader.Name, v.Config.Revision
		if v.Leader.Name != a.n.name {
			now.status = v.Status.Optime
		}
	}
	changed := now != a.woken
	a.woken = now
	return changed
}

// cycle is one run of section 3. It gives its line.
func (a *patroni) cycle() string {
	line, err := "", a.load()
	if err == nil {
		line, err = a.run()
	}
	if errors.Is(err, errStore) {
		return a.withoutStore()
	}
	a.touch()
	if a.settings.Pause {
		return "PAUSE: " + line
	}
	return line
}

// load takes the newest view (step 1). It blocks while the watch is being rebuilt.
func (a *patroni) load() error {
	for end := a.now().Add(a.settings.RetryTimeout); a.store.mirror.view() == nil || a.store.watching != 0; a.sleep(100 * time.Millisecond) {
		if a.now() >= end {
			return errStore
		}
	}
	a.view = a.store.mirror.view()
	a.settings, a.listed = a.w.settings(a.view), a.view.Failsafe
	a.store.SetTimeouts(a.settings.RetryTimeout)
	if a.view.Locked() || a.healthy == nil {
		a.healthy = a.view
	}
	if !a.view.Locked() && a.settings.FailsafeMode && a.now() < a.failsafe.until {
		v := *a.view
		v.Leader = cluster.Leader{Present: true, Name: a.failsafe.name}
		a.view = &v
	}
	if !a.mine() {
		a.leads = false
	}
	if m, ok := a.view.Member(a.view.Leader.Name); ok && !a.mine() {
		if m.Timeline > a.leaderTL && a.leaderTL != 0 {
			a.trigger()
		}
		a.leaderTL = max(a.leaderTL, m.Timeline)
	}
	return nil
}

// reload takes the newest view in the middle of a cycle; an older one stays if there is none.
func (a *patroni) reload() {
	if v := a.store.mirror.view(); v != nil {
		a.view = v
	}
}

func (a *patroni) mine() bool { return a.view != nil && a.view.Leader.Name == a.n.name }

// run is the cycle from step 2 on.
func (a *patroni) run() (string, error) {
	if a.paused && !a.settings.Pause {
		a.rewind = patroniRewindInitial
	}
	a.paused = a.settings.Pause
	if _, ok := a.view.Member(a.n.name); !ok {
		a.look()
		a.touch()
	}
	a.restoreKeys()
	if a.action != "" {
		return a.duringAction()
	}
	a.look()
	if line, done, err := a.whileStarting(); done || err != nil {
		return line, err
	}
	if a.founded {
		return a.afterBootstrap()
	}
	if a.recovering {
		a.recovering = false
		if !a.up() && a.rewind != patroniRewindCheck && a.rewind != patroniRewindNeed {
			return a.startFailed()
		}
		a.crashTried = false
		if a.rewind == patroniRewindDone {
			a.rewind = patroniRewindInitial
		}
	}
	switch {
	case a.server.Data != cluster.DataPresent:
		return a.withoutData()
	case !a.up():
		return a.down()
	case !a.view.Locked():
		return a.race()
	case a.mine():
		return a.lead()
	}
	return a.followOther()
}

// restoreKeys are steps 4 and 5.
func (a *patroni) restoreKeys() {
	if !a.mine() {
		return
	}
	if a.view.Initialize.SystemID() == "" && a.server.SystemID != "" {
		a.put("initialize", []byte(a.server.SystemID))
	}
	if !a.view.Config.Present {
		a.put("config", a.w.doc.text())
		a.reload()
	}
}

// look asks the server, once per cycle or after something has changed it.
func (a *patroni) look() {
	a.server = a.pg.Observe(context.Background())
	if a.server.Data != cluster.DataPresent {
		a.role = cluster.RoleUninitialized
	} else if a.role == cluster.RoleUninitialized {
		a.role = cluster.RoleReplica
	}
}

// up reports whether there is a postmaster.
func (a *patroni) up() bool { return a.server.Process != cluster.ProcessNone }

// primary is the word of section 1: not in recovery, or, if it does not answer, what it was.
func (a *patroni) primary() bool {
	if a.server.Answered {
		return !a.server.InRecovery
	}
	return a.up() && a.role == cluster.RolePrimary
}

// begin runs an action beside the loop; its end wakes the loop (section 4). The context ends if it is called off.
func (a *patroni) begin(action string, f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	a.action, a.cancel, a.began = action, cancel, a.now()
	a.woken.action = action
	a.r.p.spawn(action, func() {
		f(ctx)
		if ctx.Err() == nil {
			a.action = ""
		}
		cancel()
		a.n.wake()
	})
}

// callOff ends the action: what it does after this moment is not its own any more.
func (a *patroni) callOff() {
	if a.action != "" {
		a.cancel()
		a.action = ""
	}
}

// duringAction is section 4.
func (a *patroni) duringAction() (string, error) {
	locked := false
	if a.mine() {
		var err error
		if locked, err = a.updateLock(); err != nil {
			return "", err
		}
	}
	action := a.action
	if locked {
		if action == "doing crash recovery in a single user mode" && a.now().Sub(a.began) > a.settings.PrimaryStartTimeout &&
			a.possible(a.manual(), 0) {
			a.callOff()
			a.demote("immediate")
			return "terminated crash recovery because of startup timeout", nil
		}
		return "updated leader lock during " + action, nil
	}
	if !a.settings.Pause && a.role == cluster.RolePrimary {
		a.callOff()
		a.demote("immediate-nolock")
		return "lost leader lock during " + action, nil
	}
	return action + " in progress", nil
}
