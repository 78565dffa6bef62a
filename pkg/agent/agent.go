package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/api"
	"github.com/hathi-ha/hathi/pkg/clock"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha"
	"github.com/hathi-ha/hathi/pkg/watchdog"
)

// Options are what an agent is made of. Those without a note are required.
type Options struct {
	Scope, Name  string
	Tags         cluster.Tags // as published; may be nil
	CanBootstrap bool         // the configuration has a bootstrap section
	ConnURL      string       // published as conn_url
	APIURL       string       // published as api_url
	ProxyURL     string       // published as proxy_url; may be empty
	Version      string       // hathi's own version
	// QuietHeartbeat leaves out a heartbeat line that says what the last one said.
	QuietHeartbeat bool

	// InitialConfig gives the document that a founded cluster gets as /config, and that a leader writes if
	// the key was lost.
	InitialConfig func() []byte
	// Settings gives the cluster's settings from the view, corrected as configuration.md 4.3 says.
	Settings func(*cluster.View) cluster.Settings
	// Configure brings a new /config to the server; nil if there is nothing to bring.
	Configure func(ctx context.Context, view *cluster.View) error

	// Watchdog gives what is demanded of a watchdog device under these settings, and whether it could be met;
	// nil if there is none.
	Watchdog func(cluster.Settings) (demand watchdog.Demand, usable bool)

	// Reload re-reads the configuration files; nil if there are none.
	Reload func(ctx context.Context) error

	Store    dcs.Store
	Postgres Postgres
	Peers    Peers
	Guard    Guard
	// FencedUntil is the deadline that the guard counts to since the agent before this one, and FencedFor by how much it was
	// ahead when that one gave it; zero: the guard was not armed.
	FencedUntil clock.Instant
	FencedFor   time.Duration

	Clock   clock.Clock
	Runtime Runtime
	Log     *slog.Logger
	Meter   Meter // nil: nothing is counted
	// Wake asks for a turn of the loop now. It may be called from any goroutine and must not block.
	Wake func()
	// WakeKeeper asks for a call of Keep now, in the same way.
	WakeKeeper func()
	// Decide is ha.Decide if nil; the simulator plants mistakes here.
	Decide func(ha.Observation) ha.Decision
	// AnswerFailsafe is ha.AnswerFailsafe if nil; the same.
	AnswerFailsafe func(ha.FailsafeReceiver) ha.FailsafeReply
}

// Agent is the loop of one node. Turn belongs to one goroutine, Keep to another (or the same); the other
// methods may be called by anybody.
type Agent struct {
	o Options

	// Owned by the loop.
	settings   cluster.Settings
	memory     ha.Memory
	peers      map[string]ha.Peer
	first      bool // no turn has been made yet
	configured configured
	repeats    map[string]int // how often each rule has acted since there was last nothing to do
	lastLine   string
	lastSlots  cluster.SlotPlan // the last that was carried out
	conflicts  []string         // of the names of slots, as last said
	copies     int              // of logical slots, in a row, after which one was of no use
	published  published
	told       toldLog
	// restartLimit is the time limit of the restart that was asked for; zero for the usual one.
	restartLimit time.Duration
	restartOf    ha.PlannedRestart // its conditions, and the server that it was asked of
	began        clock.Instant

	fence fence

	mu    sync.Mutex
	inbox []func(*Agent) // what jobs and requests leave for the loop
	job   *job
	proof proof
	// counted is the deadline to which the guard goes on to count while nothing is proven: what was before, by this agent or, at
	// the beginning, by the one before it. The server may still write, and the key come back to us.
	counted  clock.Instant
	failsafe failsafe
	turned   clock.Instant // when the last turn ended
	keptAt   clock.Instant // when the lease was last renewed
	renewals renewals
	requests requests
	ttl      cluster.Settings // the settings, for all but the loop
	refused  refusal
	givenUp  int64 // the newest lease that the guard has given up
	snapshot *api.Snapshot
	updated  chan struct{}
	stopping bool
	ended    bool
	fatal    string
	planned  *plannedRestart
	waiters  []chan<- error // of the requested restart
}

// New makes an agent. It does nothing before its first turn.
func New(o Options) *Agent {
	if o.Decide == nil {
		o.Decide = ha.Decide
	}
	if o.AnswerFailsafe == nil {
		o.AnswerFailsafe = ha.AnswerFailsafe
	}
	a := &Agent{
		began: o.Clock.Now(), failsafe: failsafe{primary: true},
		// Before the first view those that were last known here count: an agent that is started while etcd is away
		// has to give a primary up in the time that the lease of the agent before it still has.
		o: o, settings: o.Settings(&cluster.View{}), first: true, counted: o.FencedUntil,
		peers: map[string]ha.Peer{}, repeats: map[string]int{}, updated: make(chan struct{}),
	}
	a.ttl = a.settings
	o.Store.SetTimeouts(a.settings.RetryTimeout)
	a.turned = o.Clock.Now()
	a.snapshot = &api.Snapshot{Scope: o.Scope, Name: o.Name, Tags: o.Tags, Settings: a.settings, Taken: o.Clock.Now(), Role: cluster.RoleUninitialized, State: cluster.StateStopped}
	return a
}

// Stop asks for a clean end: the server is stopped and the leader key handed over, unless the cluster is
// paused. Ended tells when it is over.
func (a *Agent) Stop() {
	a.mu.Lock()
	a.stopping = true
	a.mu.Unlock()
	a.o.Wake()
}

func (a *Agent) isStopping() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stopping
}

// Ended reports whether the agent has nothing left to do, and with which error that a person has to look
// at, if any.
func (a *Agent) Ended() (message string, ended bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fatal, a.ended
}

// later leaves something for the loop to do at the beginning of its next turn, and wakes it.
func (a *Agent) later(f func(*Agent)) {
	a.mu.Lock()
	a.inbox = append(a.inbox, f)
	a.mu.Unlock()
	a.o.Wake()
}

// receive does what jobs and requests have left.
func (a *Agent) receive() {
	a.mu.Lock()
	todo := a.inbox
	a.inbox = nil
	a.mu.Unlock()
	for _, f := range todo {
		f(a)
	}
}

// shared gives the settings to all but the loop.
func (a *Agent) shared() cluster.Settings {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ttl
}

// Run turns the loop and keeps the lease until the agent has ended or ctx does. Changes of etcd, of the
// server, jobs and requests wake it; without any it turns every loop_wait. The channels receive what Wake and WakeKeeper
// ask for.
func (a *Agent) Run(ctx context.Context, woken, keeperWoken <-chan struct{}) string {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go a.keepForever(ctx, keeperWoken)
	for ctx.Err() == nil {
		next := a.Turn(ctx)
		if message, ended := a.Ended(); ended {
			return message
		}
		a.rest(ctx, woken, next)
	}
	return ""
}

// rest waits for the next event, at most until the given instant.
func (a *Agent) rest(ctx context.Context, woken <-chan struct{}, next clock.Instant) {
	left := next.Sub(a.o.Clock.Now())
	if left <= 0 {
		return
	}
	timer := clock.NewTimer(left)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-woken:
	case <-a.o.Store.Changed():
	case <-a.o.Postgres.Changed():
	case <-timer.C:
	}
}

func (a *Agent) keepForever(ctx context.Context, woken <-chan struct{}) {
	for ctx.Err() == nil {
		timer := clock.NewTimer(max(0, a.Keep(ctx).Sub(a.o.Clock.Now())))
		select {
		case <-ctx.Done():
		case <-woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}
