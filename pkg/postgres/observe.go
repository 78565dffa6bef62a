package postgres

import (
	"context"
	"os/exec"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/hathi-ha/hathi/pkg/cluster"
)

// observer is what Observe keeps from one call to the next.
type observer struct {
	mu   sync.Mutex
	conn *pgconn.PgConn

	pid      int       // of the postmaster that the rest is about
	lastSeen time.Time // when it last answered, or was first seen
	timeline lastTimeline
	history  historyFile
	recovery recovery
	wal      walQuestion
	loaded   string // pg_conf_load_time of the last look at pending restarts

	rewind     string // path of the pg_rewind that was looked for
	rewindHere bool
}

// lastTimeline remembers the timeline that a standby got its WAL from, up to a position.
type lastTimeline struct {
	timeline cluster.Timeline
	upTo     cluster.LSN
}

func (o *observer) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop()
}

func (o *observer) drop() {
	if o.conn != nil {
		closeConn(o.conn)
		o.conn = nil
	}
}

// Observe looks at the server: one query in one round trip if it runs, its control file if not. It never
// fails; what it could not find out is absent from the result. It takes at most connectTimeout and
// statementTimeout together.
func (i *Instance) Observe(ctx context.Context) cluster.Server {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+statementTimeout)
	defer cancel()
	i.watch.mu.Lock()
	defer i.watch.mu.Unlock()

	cfg := i.config()
	var s cluster.Server
	s.Data, s.DataError = inspect(cfg.DataDir)
	if i.unfinished(cfg.DataDir, s.Data) {
		// What Bootstrap and Clone clear away is as good as nothing.
		s.Data, s.DataError = cluster.DataEmpty, ""
	}
	s.StandbySignal = hasStandbySignal(cfg.DataDir)
	s.BackupLabel = exists(cfg.DataDir, "backup_label")
	s.Copied = isCopied(cfg.DataDir)
	s.RewindCut = rewindCut(cfg.DataDir) && s.Data == cluster.DataPresent && !i.isActing()
	s.Version = majorVersion(cfg.DataDir)
	if h := i.postmaster(); h != nil && !i.isShutDown(h) {
		s.PostmasterPID, s.PostmasterTicks = h.PID(), h.StartTicks()
		s.Process, s.Promoting = cluster.ProcessRunning, i.wasTold(h)
		if h.Frozen() {
			s.Process = cluster.ProcessFrozen
		}
		i.ask(ctx, &s)
	} else {
		i.watch.drop()
		i.watch.pid = 0
	}
	i.fromControlFile(ctx, cfg, &s)
	var err error
	if s.History, s.HistoryTime, err = i.watch.history.read(cfg.DataDir, s.Timeline); err != nil {
		i.log.Warn("the history of this server's timeline is not known", "error", err)
	}
	i.markUnproven(&s)
	s.WALGone = i.walGone(&s)
	i.finish(&s)
	if s.Rejecting && s.Progress.What == "" {
		s.Progress = i.watch.recovery.look(ctx, i) // another agent has started it
	}
	if s.Answered && !i.isActing() {
		i.fire(i.callbacks.due(s.InRecovery))
	}
	return s
}

func (i *Instance) isActing() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.acting
}

// unfinished tells the rest of a bootstrap or a copy of ours that did not come to its end. A database in the
// place of a copy may be what somebody has put there since, unless this very agent has left it.
func (i *Instance) unfinished(dir string, kind cluster.DataDir) bool {
	i.mu.Lock()
	acting, redo := i.acting || i.founds, i.redo
	i.mu.Unlock()
	switch {
	case acting || kind == cluster.DataEmpty || kind == cluster.DataUnreadable:
		return false
	case exists(foundingMark(dir)):
		return true
	}
	return fillingCut(dir) && (kind == cluster.DataForeign || redo)
}

// fromControlFile adds what the control file says: all of it when no postmaster runs, and what does not
// change under a running one. A standby that answers nobody yet is on the timeline on which it was stopped.
func (i *Instance) fromControlFile(ctx context.Context, cfg Config, s *cluster.Server) {
	if s.Data != cluster.DataPresent {
		return
	}
	c, err := i.readControl(ctx)
	if err != nil {
		return
	}
	s.SystemID = c.SystemID
	s.CheckpointTimeline = c.Timeline
	s.RewindPossible = (c.WalLogHints || c.DataChecksums) && i.watch.hasRewind(cfg.program("pg_rewind"))
	if s.ReplayPaused {
		s.LimitsTooSmall = i.limitsTooSmall(ctx, c.Limits)
	}
	if s.Process == cluster.ProcessNone {
		s.Control = &c.Control
	}
	if s.Process == cluster.ProcessNone || s.Rejecting && s.StandbySignal {
		s.Timeline = max(c.Timeline, c.MinRecoveryTLI)
	}
}

// hasRewind looks for the program once.
func (o *observer) hasRewind(path string) bool {
	if o.rewind != path {
		_, err := exec.LookPath(path)
		o.rewind, o.rewindHere = path, err == nil
	}
	return o.rewindHere
}

// finish settles the state, which the answer of the server may have changed.
func (i *Instance) finish(s *cluster.Server) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if s.Process != cluster.ProcessNone && i.proc != nil && s.PostmasterStart.IsZero() {
		s.PostmasterStart = i.start
	}
	if !i.acting {
		switch {
		case s.Answered:
			i.state = cluster.StateRunning
		case s.Process != cluster.ProcessNone && s.Rejecting && i.state != cluster.StateStopping:
			i.state = cluster.StateStarting
		}
	}
	s.State = i.state
	if s.Process == cluster.ProcessNone && i.proc != nil && i.over == identity(i.proc) {
		s.State = cluster.StateStopped // what is left of it never writes again
	}
	if i.progress.What != "" {
		s.Progress = i.progress
	}
	s.OwnSynchronousNames = i.names != nil
	if s.Process != cluster.ProcessNone {
		s.PendingRestart = append(s.PendingRestart, i.limits...)
		for _, p := range i.pending {
			if !named(s.PendingRestart, p.Parameter) {
				s.PendingRestart = append(s.PendingRestart, p)
			}
		}
	}
}

func named(list []cluster.PendingRestart, name string) bool {
	for _, p := range list {
		if p.Parameter == name {
			return true
		}
	}
	return false
}

// ask sends the monitoring query over the connection that is kept for it.
func (i *Instance) ask(ctx context.Context, s *cluster.Server) {
	o := &i.watch
	if o.pid != s.PostmasterPID {
		o.drop()
		o.pid, o.lastSeen, o.timeline, o.loaded = s.PostmasterPID, time.Now(), lastTimeline{}, ""
	}
	if ctx.Err() != nil {
		// Whoever asks has waited for others and gone: that is no reason to end the connection, which all share.
		s.SilentFor = max(time.Since(o.lastSeen), 1)
		return
	}
	a, err := i.answer(ctx, s)
	if err != nil {
		o.drop()
		s.Rejecting = s.Rejecting || rejecting(err)
		s.SilentFor = max(time.Since(o.lastSeen), 1) // never zero: zero means that it answers
		if s.Rejecting {
			o.lastSeen = time.Now() // it says why it does not serve
			s.SilentFor = 0
		}
		return
	}
	o.lastSeen = time.Now()
	a.fill(s)
	if s.InRecovery {
		s.Timeline = i.replayTimeline(ctx, a)
	}
	if o.loaded != a.ConfLoaded {
		// Only a reload or a start changes what waits for a restart, and pg_settings is dear to read.
		if i.loadPending(ctx, o.conn) == nil {
			o.loaded = a.ConfLoaded
		}
	}
}

// errQuiet: there is no use in trying to connect.
type errQuiet string

func (e errQuiet) Error() string { return string(e) }

func (i *Instance) answer(ctx context.Context, s *cluster.Server) (*answer, error) {
	o := &i.watch
	if o.conn == nil {
		if s.Process == cluster.ProcessFrozen {
			return nil, errQuiet("the postmaster is stopped by a signal and accepts nothing")
		}
		// A server that is on its way up or down would refuse us, and would write that into its log each time.
		f, err := readPIDFile(i.config().DataDir)
		if err == nil && (f.status == "starting" || f.status == "stopping" || f.status == "standby") {
			s.Rejecting = true
			return nil, errQuiet("postgres is " + f.status)
		}
		i.log.Info("establishing a new patroni heartbeat connection to postgres") // users grep it
		c, err := i.local("Patroni heartbeat", statementTimeout).open(ctx)
		if err != nil {
			return nil, err
		}
		o.conn = c
		if err := prepareMonitor(ctx, c, majorVersion(i.config().DataDir)); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, statementTimeout)
	defer cancel()
	return ask(ctx, o.conn)
}

// replayTimeline gives the timeline that a standby is on. The WAL receiver knows; without one, what it last
// received counts for as long as nothing further was replayed. Beyond that the replication protocol is
// asked, which takes a connection of its own. Source: PostgreSQL 17, 53.4, IDENTIFY_SYSTEM.
func (i *Instance) replayTimeline(ctx context.Context, a *answer) cluster.Timeline {
	o := &i.watch
	if a.ReceivedTLI != 0 && a.ReceiverStatus != "" {
		o.timeline = lastTimeline{a.ReceivedTLI, max(a.Receive.LSN, a.Replay.LSN)}
		return a.ReceivedTLI
	}
	if o.timeline.timeline != 0 && a.Replay.LSN <= o.timeline.upTo {
		return o.timeline.timeline
	}
	t, err := i.identify(ctx)
	if err != nil {
		i.log.Warn("asking the local server for its timeline", "error", err)
		return o.timeline.timeline
	}
	o.timeline = lastTimeline{t, a.Replay.LSN}
	return t
}

// identify asks the local server for its timeline.
func (i *Instance) identify(ctx context.Context) (cluster.Timeline, error) {
	s := i.local("Patroni", statementTimeout)
	s.cred = i.config().Replication
	_, t, err := identifySystem(ctx, s)
	return t, err
}
