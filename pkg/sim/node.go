package sim

import (
	"context"
	"log/slog"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/ha"
)

// node is one machine.
type node struct {
	w      *world
	number int
	name   string
	tags   cluster.Tags
	tagged time.Duration // when its tags were changed
	clock  *nodeClock
	server *server
	store  *store

	agent   *runner // nil: none runs
	fence   *fence
	frozen  bool // everything on it stands still
	dead    bool // switched off
	gone    bool // the machine has left the cluster for good
	leaving bool // the agent was told to end for good
	patroni bool // it runs the model of Patroni, and has no guard
	life    int  // counts agents and switch-offs
	// joinsOnly: its configuration has no bootstrap section. notBefore is when its machine first comes up.
	joinsOnly bool
	notBefore time.Duration
	attended  time.Duration // from when on its agent is sure to have looked, see unattended
	storeLost bool          // the last decision of its agent was that etcd can't be reached
	dog       *device       // its watchdog; nil: it has none
	planned   plannedRestart
	paused
	urged     int           // the life of its server in which a restart was asked for in any case
	permitted time.Duration // until then the lease allows its server to accept writes
	assured   time.Duration // or what others have promised, as far as its guard was told of it
	repeated
}

// runner is one life of an agent: the process, and what drives its loop.
type runner struct {
	n     *node
	p     *process
	began time.Duration
	agent *agent.Agent // nil: it is the model of Patroni
	guard *client
	// patroni is the model of Patroni; nil: it is an agent of hathi.
	patroni *patroni
	looper  rest // of the loop
	keeper  rest // of what renews the lease
}

// rest is where a loop waits between two turns.
type rest struct {
	w     *world
	woken bool    // since the turn began
	at    *waiter // nil while it turns
}

// until waits for a time, or less if it is woken, and not at all if it was woken since begin.
func (r *rest) until(left time.Duration) {
	if left <= 0 || r.woken {
		return
	}
	r.at = r.w.newWaiter()
	r.at.limit(left)
	r.at.wait()
	r.at = nil
}

func (r *rest) begin() { r.woken = false }

func (r *rest) wake() {
	r.woken = true
	if at := r.at; at != nil && !at.fired {
		if at.timer != nil {
			at.timer.dead = true
		}
		r.w.after(r.w.between(0, 500*time.Microsecond), at.fire)
	}
}

// startAgent begins a new life of the agent, which remembers nothing.
func (n *node) startAgent() {
	n.life++
	p := &process{s: n.w.sched, name: n.name}
	r := &runner{n: n, p: p, began: n.w.now, guard: n.fence.serve(), looper: rest{w: n.w}, keeper: rest{w: n.w}}
	n.agent, n.store = r, newStore(n, p)
	if n.patroni {
		n.startPatroni(r)
		return
	}
	o := agent.Options{
		Scope: "demo", Name: n.name, Tags: n.tags, CanBootstrap: !n.joinsOnly, Version: "sim", QuietHeartbeat: true,
		ConnURL: n.connURL(), APIURL: n.apiURL(),
		InitialConfig: func() []byte { return n.w.doc.text() }, Settings: n.w.settings,
		Store: n.store, Postgres: &postgres{s: n.server}, Peers: &peers{n: n}, Guard: r.guard,
		Clock: n.clock, Runtime: r, Log: slog.New(&handler{n: n}), Wake: r.wake, WakeKeeper: r.keeper.wake, Decide: ha.Decide,
		Reload: func(context.Context) error {
			r.agent.Publish(agent.Published{Tags: n.tags, ConnURL: n.connURL(), APIURL: n.apiURL(), QuietHeartbeat: true})
			return nil
		},
	}
	if charge := r.guard.charge; charge != nil {
		o.FencedUntil, o.FencedFor = charge.Deadline, n.fence.window
	}
	if n.dog != nil {
		o.Watchdog = n.dog.demand
	}
	if n.w.plant != nil {
		n.w.plant(&o)
	}
	decide := o.Decide
	o.Decide = func(obs ha.Observation) ha.Decision {
		if v := obs.Store.View; v != nil && v.Config.Present {
			n.goesBy(obs.Settings.Pause)
		}
		d := decide(obs)
		n.w.decided(n, d)
		return d
	}
	r.agent = agent.New(o)
	n.w.tracef(n, "agent", "starts")
	p.spawn("loop", r.loop)
	p.spawn("keeper", r.keep)
}

func (n *node) connURL() string { return "postgres://" + n.name + ":5432/postgres" }
func (n *node) apiURL() string  { return "http://" + n.name + ":8008/patroni" }

// loop turns the agent as Agent.Run does.
func (r *runner) loop() {
	ctx := context.Background()
	for {
		r.looper.begin()
		next := r.agent.Turn(ctx)
		if message, ended := r.agent.Ended(); ended {
			r.n.agentEnded(message)
			return
		}
		r.looper.until(r.n.clock.when(next) - r.n.w.now)
	}
}

func (r *runner) keep() {
	for {
		r.keeper.begin()
		next := r.agent.Keep(context.Background())
		r.keeper.until(max(time.Millisecond, r.n.clock.when(next)-r.n.w.now))
	}
}

// wake is the agent's Options.Wake.
func (r *runner) wake() {
	if r.patroni != nil && !r.patroni.news() {
		return
	}
	r.looper.wake()
}

// Go implements agent.Runtime.
func (r *runner) Go(name string, f func()) { r.p.spawn(name, f) }

// Pause is agent.Runtime's way to rest in virtual time.
func (r *runner) Pause(ctx context.Context, d time.Duration) { _ = r.n.w.sleepContext(ctx, d) }

// WithTimeout is agent.Runtime's way to end a context in virtual time.
func (r *runner) WithTimeout(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	if d <= 0 {
		cancel(context.DeadlineExceeded)
	}
	e := r.n.w.after(max(0, d), func() { r.p.run(func() { cancel(context.DeadlineExceeded) }) })
	return ctx, func() {
		e.dead = true
		cancel(context.Canceled)
	}
}

func (n *node) wake() {
	if n.agent != nil {
		n.agent.wake()
	}
}

// serverChanged is Postgres.Changed.
func (n *node) serverChanged() {
	if n.agent != nil {
		n.agent.p.run(n.agent.wake)
	}
}

// agentEnded: the agent has ended by itself, for good.
func (n *node) agentEnded(message string) {
	n.w.tracef(n, "agent", "has ended %s", message)
	if message != "" && !n.w.expects(n, message) {
		n.w.check.gaveUp(n, message)
	}
	n.leaving = true
	n.dropAgent()
}

func (n *node) dropAgent() {
	if n.agent == nil {
		return
	}
	p := n.agent.p
	n.agent, n.store = nil, nil
	n.life++
	n.server.acting, n.server.gate = false, 0
	p.kill()
	n.w.guards(n)
}

// crashAgent kills the agent. The guard starts the next one.
func (n *node) crashAgent() {
	if n.agent == nil {
		return
	}
	n.w.tracef(n, "agent", "is dead")
	n.dropAgent()
	n.guardStartsAgent()
}

func (n *node) guardStartsAgent() {
	life, delay := n.life, n.w.between(20*time.Millisecond, 200*time.Millisecond)
	// In pause no guard is armed; an agent that stayed away until after its end would leave a primary alone.
	if n.w.chance(20) && (!n.w.paused || n.w.has(pauseFaults)) {
		delay = n.w.between(time.Second, 40*time.Second) // it keeps dying
	}
	n.w.after(delay, func() {
		n.fence.p.run(func() {
			if n.life == life && !n.dead && !n.leaving {
				n.startAgent()
			}
		})
	})
}

// boot brings a machine up: a guard, and the agent that it starts.
func (n *node) boot() {
	if n.gone {
		return
	}
	if wait := n.notBefore - n.w.now; wait > 0 {
		n.w.after(wait, n.boot)
		return
	}
	n.dead, n.leaving = false, false
	n.newGuard()
	n.startAgent()
}

func (n *node) newGuard() *fence {
	n.fence = newFence(n)
	return n.fence
}

// switchOff loses everything that is not on disk.
func (n *node) switchOff() {
	n.w.tracef(n, "node", "is switched off")
	n.dead = true
	if n.dog != nil {
		n.dog.stop()
	}
	n.fence.p.kill()
	n.dropAgent()
	n.server.kill()
}

// freeze stops everything on the node. When it goes on the guard is the first to run: what a server that
// wakes up after its deadline does in the milliseconds before that, no process on the same machine can
// prevent; a hardware watchdog can.
func (n *node) freeze() {
	n.w.tracef(n, "node", "is frozen")
	n.frozen = true
	n.fence.p.frozen = true
	if n.agent != nil {
		n.agent.p.frozen = true
	}
	n.server.changed()
}

func (n *node) thaw() {
	if !n.frozen {
		return
	}
	n.w.tracef(n, "node", "goes on")
	n.frozen = false
	n.fence.p.thaw()
	if n.fence.armed && n.clock.Now() >= n.fence.charge.Deadline {
		n.server.kill()
	}
	n.fence.judge()
	if n.agent != nil {
		n.agent.p.thaw()
	}
	n.server.changed()
}

// settings reads /config. The document holds what changes in a run.
func (w *world) settings(v *cluster.View) cluster.Settings {
	s, d := w.base, w.doc
	if v.Config.Present && w.read.raw != string(v.Config.Raw) {
		w.read.raw, w.read.doc = string(v.Config.Raw), readDocument(v.Config.Raw)
	}
	if v.Config.Present {
		d = w.read.doc
	}
	s.Pause, s.SynchronousMode, s.SynchronousModeStrict, s.SynchronousNodeCount = d.Pause, d.Mode, d.Strict, d.Count
	if d.Times > 0 {
		times[d.Times-1].set(&s)
	}
	if d.MaximumLag > 0 {
		s.MaximumLagOnFailover = d.MaximumLag
	}
	if d.StartTimeout > 0 {
		s.PrimaryStartTimeout = time.Duration(d.StartTimeout-1) * time.Second // zero is one of them
	}
	s.FailsafeMode = s.FailsafeMode && !d.NoFailsafe
	s.CheckTimeline = s.CheckTimeline != d.OtherTimeline
	if d.SyncLag > 0 {
		s.MaximumLagOnSyncnode = d.SyncLag
	}
	if d.Standby {
		s.StandbyCluster = &cluster.StandbyCluster{Host: outside}
		if d.NoHost {
			s.StandbyCluster.Host = ""
		}
	}
	s.UsePgRewind = s.UsePgRewind && !d.NoRewind
	return s
}

// document gives what is in /config while the cluster is paused, or is not.
func (w *world) document(pause bool) []byte {
	w.doc.Pause = pause
	return w.doc.text()
}

// systemID is that of the one cluster there is.
const systemID = "7654321098765432100"

var _ clock.Clock = (*nodeClock)(nil)
