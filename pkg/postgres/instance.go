package postgres

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/process"
)

// Instance controls the server of one data directory. Observe, Changed and Follow may be called at any
// time from any goroutine; of the other calls one runs at a time, which the caller sees to.
type Instance struct {
	log     *slog.Logger
	changed chan struct{}
	closed  chan struct{}

	mu    sync.Mutex
	cfg   Config
	proc  *process.Handle // the postmaster; nil: none is known
	start time.Time       // when the postmaster started, as far as its pid file tells
	// programs are the names of the program that postmasters of ours turned out to run: what is configured may
	// be a script. Processes of a server are found by them.
	programs process.Programs
	state    cluster.State
	// acting: a call of ours is changing the server and says itself what state it is in.
	acting bool
	// founds: a bootstrap is under way, with or without a call inside of it that is changing the server.
	founds bool
	// recovers: a single-user server of ours works on the data directory.
	recovers bool
	// half: the last bootstrap has failed.
	half     bool
	progress cluster.Progress // of a long call
	// redo: the last copy has failed and has left data that the next one builds upon.
	redo     bool
	upstream *cluster.Upstream // what recovery settings are written for; nil: not known
	limits   []cluster.PendingRestart
	pending  []cluster.PendingRestart
	told     string // identity of the postmaster that was told to become a primary; empty: none
	over     string // identity of the postmaster that has written its shutdown checkpoint; empty: none
	// names is synchronous_standby_names as an agent has set it; nil: the user's configuration counts.
	names *string

	validated, validatedRecovery validated
	proofs                       proofs

	watch     observer
	callbacks callbackRunner
}

// New takes charge of a data directory. If a postmaster runs on it, it is adopted; nothing is changed.
func New(cfg Config, log *slog.Logger) (*Instance, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	i := &Instance{log: log, cfg: cfg, changed: make(chan struct{}, 1), closed: make(chan struct{}), state: cluster.StateStopped}
	i.callbacks.log, i.callbacks.place = log, make(map[bool]*running)
	if inspectRole(cfg.DataDir) == cluster.RolePrimary {
		i.callbacks.role = cluster.RoleDemoted // unless it is found running
	}
	i.names, i.told = savedNames(cfg), savedTold(cfg.DataDir)
	i.postmaster()
	return i, nil
}

// Changed receives when the postmaster has ended, or was found to have been started. Notifications coalesce.
func (i *Instance) Changed() <-chan struct{} { return i.changed }

// Close lets go of the server, which goes on running. It is called once, after all else.
func (i *Instance) Close() {
	i.watch.close()
	close(i.closed)
}

func (i *Instance) notify() {
	select {
	case i.changed <- struct{}{}:
	default:
	}
}

func (i *Instance) config() Config {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.cfg
}

func (i *Instance) setState(s cluster.State) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.state = s
}

func (i *Instance) setRecovers(r bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.recovers = r
}

// act marks the time in which a call of ours says what state the server is in. The caller defers the result.
func (i *Instance) act(s cluster.State) (done func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.state, i.acting = s, true
	return func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.acting = false
	}
}

// postmaster gives the living postmaster, adopting one that somebody else has started; nil if there is none.
func (i *Instance) postmaster() *process.Handle {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.proc != nil {
		if i.proc.Alive() {
			return i.proc
		}
		i.proc = nil // its watcher closes the handle
		if !i.acting && (i.state == cluster.StateRunning || i.state == cluster.StateStarting) {
			i.state = cluster.StateCrashed
		}
	}
	h, f, err := findPostmaster(i.cfg)
	ours := i.acting || i.recovers // initdb runs a single-user server, too
	if err != nil && !errors.Is(err, errStranger) && !ours {
		i.log.Warn("looking for a running postmaster", "error", err)
	}
	if h == nil {
		return nil
	}
	i.log.Info("adopting running postmaster", "pid", h.PID())
	if !i.acting {
		i.state = cluster.StateStarting
	}
	i.keep(h, f.started)
	i.programs.Learn(h, i.cfg.DataDir)
	i.callbacks.adopted()
	return h
}

// serverPrograms gives the names by which the processes of the server are found, those of the running postmaster
// included.
func (i *Instance) serverPrograms() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.programs.Learn(i.proc, i.cfg.DataDir)
	return append(slices.Clone(i.programs), i.cfg.program("postgres"))
}

// keep remembers a postmaster and watches for its end; i.mu is held.
func (i *Instance) keep(h *process.Handle, started time.Time) {
	i.proc, i.start = h, started
	i.notify()
	go func() {
		defer h.Close()
		select {
		case <-h.Done():
			i.notify()
		case <-i.closed:
		}
	}()
}

// reload makes the running server read its files again.
func (i *Instance) reload(context.Context) error {
	h := i.postmaster()
	if h == nil {
		return errors.New("reload postgres: it does not run")
	}
	return hangup(h)
}
