package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
)

// postgres is what one agent does to its node's server; it implements agent.Postgres. What it has begun
// goes on without it, as the processes of a real server do.
type postgres struct {
	s      *server
	seen   int  // life of the server that the monitoring connection is to
	founds bool // this agent is founding the cluster
	over   int  // life of the server that has written its shutdown checkpoint, as this agent has seen
}

// Changed implements agent.Postgres. The simulation wakes the loop itself.
func (p *postgres) Changed() <-chan struct{} { return nil }

// Observe implements agent.Postgres.
func (p *postgres) Observe(context.Context) cluster.Server {
	s := p.s
	s.w.sleep(s.w.between(500*time.Microsecond, 4*time.Millisecond))
	o := cluster.Server{Version: s.w.version, StandbySignal: s.standby, BackupLabel: s.label, Copied: s.copied, OwnSynchronousNames: s.configured != nil}
	data := s.data && (!s.founding || p.founds) // the rest of a bootstrap is as good as nothing
	if data {
		o.Data, o.SystemID, o.CheckpointTimeline, o.RewindPossible = cluster.DataPresent, s.pos.systemID(), s.checkpoint, true
	}
	over := s.phase == phaseStopping && p.over == s.life // what is left of it never writes again
	if s.phase != phaseDown && !over {
		p.observeRunning(&o)
	} else if data {
		o.Timeline, o.History = s.pos.branch.timeline, s.pos.branch.history()
		o.Control = &cluster.Control{State: s.control, Timeline: o.Timeline, Checkpoint: s.pos.lsn, WalLogHints: true}
		if s.standby {
			o.Control.MinRecoveryLSN, o.Control.MinRecoveryTLI = s.pos.lsn, o.Timeline
		}
	}
	if !s.acting {
		switch {
		case o.Answered:
			s.state = cluster.StateRunning
		case o.Rejecting && s.state != cluster.StateStopping:
			s.state = cluster.StateStarting
		}
	}
	o.State = s.state
	if over && o.Control != nil {
		o.State, o.Control.State = cluster.StateStopped, "shut down"
	}
	s.troubled(&o)
	return o
}

func (p *postgres) observeRunning(o *cluster.Server) {
	s := p.s
	o.Process, o.PostmasterPID, o.PostmasterStart, o.Promoting = cluster.ProcessRunning, s.pid, s.started, s.told
	if s.frozen {
		o.Process = cluster.ProcessFrozen
	}
	if s.mute() {
		o.SilentFor = max(1, s.w.now-s.muteSince)
		return
	}
	if s.phase != phaseServing || s.frozen && p.seen != s.life {
		if o.Rejecting = !s.frozen; o.Rejecting && s.standby {
			o.Timeline, o.History = s.pos.branch.timeline, s.pos.branch.history() // by its control file
		}
		if s.frozen {
			o.SilentFor = 1
		}
		return
	}
	p.seen = s.life
	o.Answered, o.InRecovery, o.Timeline, o.Replaying = true, !s.primary, s.shown().branch.timeline, s.replaying()
	o.History = s.shown().branch.history()
	o.SynchronousNames, o.CheckpointerIdle = s.session, s.session != "" && s.w.now >= s.busyUntil
	for _, name := range s.slots {
		o.Slots = append(o.Slots, cluster.Slot{Name: name, Type: "physical", RestartLSN: s.pos.lsn})
	}
	s.observeLogical(o)
	if s.primary {
		o.FlushLSN, o.HistoryTime = s.pos.lsn, s.promotedAt
		for _, r := range s.w.nodes {
			if r.server.connected && r.server.source() == s {
				o.Senders = append(o.Senders, s.senderOf(r))
			}
		}
		return
	}
	o.ReceiveLSN, o.ReplayLSN, o.PrimaryConninfo = s.shown().lsn, s.shown().lsn, s.upstream
	o.ConfigLoaded, o.LimitsTooSmall = fmt.Sprint(s.loads), s.limitsTooSmall()
	if s.connected {
		o.ReceiverStatus, o.LatestEndLSN = "streaming", s.inFlight.lsn
	}
}

// act says that a long call is at work; the result ends it.
func (p *postgres) act(state cluster.State) func() {
	p.s.acting, p.s.state = true, state
	return func() { p.s.acting = false }
}

// Bootstrap implements agent.Postgres.
func (p *postgres) Bootstrap(ctx context.Context, guard agent.GuardServer) error {
	s := p.s
	if err := p.clearFounding(ctx); err != nil {
		return err
	}
	defer p.act(cluster.StateInitdb)()
	p.founds = true
	defer func() { p.founds = false }()
	if err := s.w.sleepContext(ctx, s.w.between(time.Second, 2*time.Second)); err != nil {
		return err
	}
	if err := s.failedBootstrap(); err != nil {
		return err
	}
	s.data, s.standby, s.founding = true, false, true
	s.w.newest = max(s.w.newest, 1)
	s.pos, s.heard = position{&branch{timeline: 1, owner: s.n.name, founding: s.w.foundings}, 0x3000000}, 1
	if guard != nil {
		if err := s.waitAtGate(ctx, guard); err != nil {
			return err
		}
	}
	s.start()
	if err := p.ready(ctx, time.Minute); err != nil {
		return err
	}
	if err := s.postBootstrap(ctx); err != nil {
		return err
	}
	s.founding = false
	return nil
}

// clearFounding clears away what a bootstrap has left that did not come to its end, with the server in it.
func (p *postgres) clearFounding(ctx context.Context) error {
	if !p.s.founding {
		return nil
	}
	p.s.w.mark("pg: the rest of a bootstrap is cleared away")
	p.stop(ctx, agent.StopImmediate, false, nil)
	return p.remove()
}

// Clone implements agent.Postgres.
func (p *postgres) Clone(ctx context.Context, c cluster.Copy) error {
	s, from := p.s, c.From
	if err := p.clearFounding(ctx); err != nil {
		return err
	}
	if s.data && !c.Replace {
		return errors.New("clone: the data directory is not empty")
	}
	if from.Host == "" {
		return p.restore(ctx)
	}
	u, err := p.reach(ctx, from, false)
	if err != nil {
		return err
	}
	if err := p.remove(); err != nil {
		return err
	}
	defer p.act(cluster.StateCreatingReplica)()
	defer func() { s.state = cluster.StateStopped }()
	for end := s.w.now + s.w.between(time.Second, copyTime); s.w.now < end; {
		if err := s.w.sleepContext(ctx, 200*time.Millisecond); err != nil {
			return err
		}
		if u, err = p.hear(ctx, from, false, muteCopy); err != nil {
			return err
		}
	}
	if err := s.failsToCopy(); err != nil {
		return err
	}
	s.filled(u.copyable())
	return nil
}

// copyTime is the longest that a base backup takes.
const copyTime = 6 * time.Second

// How long another server is waited for that says nothing any more, at most. Source: pkg/postgres, connect_timeout and the
// limit of a query there, and the keepalives of a copy.
const (
	muteQuery = 7 * time.Second
	muteCopy  = time.Minute
)

// reach finds the server of an address and makes sure that a query to it would be answered.
func (p *postgres) reach(ctx context.Context, to cluster.Upstream, primary bool) (*server, error) {
	return p.hear(ctx, to, primary, muteQuery)
}

// hear is reach for what has that much patience. A connection goes on if the server is back before.
func (p *postgres) hear(ctx context.Context, to cluster.Upstream, primary bool, patience time.Duration) (*server, error) {
	w := p.s.w
	w.sleep(w.between(time.Millisecond, 10*time.Millisecond))
	i := slices.IndexFunc(w.servers(), func(n *node) bool { return n.name == to.Host })
	if i < 0 {
		return nil, fmt.Errorf("connect to %q: no such host", to.Host)
	}
	n := w.servers()[i]
	u := n.server
	for end := time.Duration(0); !w.net.linked(p.s.n.number, n.number) || n.frozen || u.mute(); {
		if end == 0 {
			end = w.now + w.between(2*time.Second, patience)
		}
		if w.now >= end {
			return nil, fmt.Errorf("connect to %s: timeout", to.Host)
		}
		if err := w.sleepContext(ctx, min(time.Second, end-w.now)); err != nil {
			return nil, fmt.Errorf("connect to %s: %w", to.Host, err)
		}
	}
	switch {
	case u.phase != phaseServing || u.frozen:
		return nil, fmt.Errorf("connect to %s: refused", to.Host)
	case primary && !u.primary:
		return nil, fmt.Errorf("%s is in recovery", to.Host)
	}
	return u, nil
}

// remove empties the data directory.
func (p *postgres) remove() error {
	switch {
	case p.s.phase != phaseDown:
		return errors.New("remove data: the server runs")
	case p.s.unreadable:
		return errUnreadable
	case !p.s.data:
		return nil
	}
	p.s.w.check.removed(p.s)
	p.s.data, p.s.standby, p.s.slots, p.s.label = false, false, nil, false
	p.s.emptied()
	return nil
}

// MoveDataAside implements agent.Postgres.
func (p *postgres) MoveDataAside(context.Context) error { return p.remove() }

// StartPrimary implements agent.Postgres.
func (p *postgres) StartPrimary(ctx context.Context, timeout time.Duration, guard agent.GuardServer) error {
	return p.boot(ctx, timeout, guard)
}

// StartReplica implements agent.Postgres.
func (p *postgres) StartReplica(ctx context.Context, upstream cluster.Upstream) error {
	if p.s.phase != phaseDown {
		return errors.New("start replica: postgres runs already")
	}
	if !p.s.data {
		return errors.New("start replica: no database")
	}
	if err := p.s.usable(); err != nil {
		return err
	}
	p.s.standby, p.s.upstream = true, upstream
	return p.boot(ctx, time.Minute, nil)
}

func (p *postgres) boot(ctx context.Context, timeout time.Duration, guard agent.GuardServer) error {
	s := p.s
	if s.phase != phaseDown {
		return errors.New("start: postgres runs already")
	}
	if err := s.usable(); err != nil {
		s.state = cluster.StateStartFailed
		return err
	}
	defer p.act(cluster.StateStarting)()
	s.kill() // what is left of an earlier one
	s.w.sleep(s.w.between(5*time.Millisecond, 20*time.Millisecond))
	if s.cannotStart() {
		return errNoStart
	}
	if s.w.faulty && s.w.chance(2) {
		s.state = cluster.StateStartFailed
		s.w.check.moment(s.n)
		s.w.check.calledOff = s.w.check.calledOff || s.w.check.request.Leader == s.n.name
		return errors.New("start: it just did not work")
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if guard != nil {
		if err := s.waitAtGate(ctx, guard); err != nil {
			return err
		}
	}
	s.start()
	return p.ready(ctx, timeout)
}

// ready waits until the server that was just started accepts connections.
func (p *postgres) ready(ctx context.Context, timeout time.Duration) error {
	s := p.s
	life := s.life
	for end := s.w.now + timeout; s.w.now < end; s.w.sleep(5 * time.Millisecond) {
		switch {
		case s.life != life || s.phase == phaseDown:
			s.state = cluster.StateStartFailed
			return errors.New("start: the postmaster has ended")
		case s.phase == phaseServing:
			s.state = cluster.StateRunning
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
	return errors.New("postgres is still starting")
}

// Restart implements agent.Postgres.
func (p *postgres) Restart(ctx context.Context, timeout time.Duration, guard agent.GuardServer) error {
	p.stop(ctx, cluster.StopFast, true, nil)
	if p.s.standby {
		guard = nil
	}
	return p.boot(ctx, timeout, guard)
}

// Promote implements agent.Postgres.
func (p *postgres) Promote(ctx context.Context, unheard ...cluster.HistoryEntry) error {
	s := p.s
	if s.phase != phaseServing || s.primary {
		return errors.New("promote: not a running replica")
	}
	s.w.sleep(time.Millisecond)
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.told && s.refusesPromotion() {
		return cluster.ErrPromotionRefused
	}
	life := s.life
	for _, e := range unheard {
		s.heard = max(s.heard, e.Timeline+1)
	}
	s.tell()
	for end := s.w.now + promoteLimit; !s.primary; s.w.sleep(5 * time.Millisecond) {
		switch {
		case s.life != life || s.phase != phaseServing:
			return errors.New("promote: the server has ended")
		case ctx.Err() != nil:
			return ctx.Err()
		case s.w.now >= end:
			return errors.New("promote: wait for the end of recovery: timeout")
		}
	}
	return nil
}

// Follow implements agent.Postgres.
func (p *postgres) Follow(_ context.Context, upstream cluster.Upstream) error {
	s := p.s
	if s.phase == phaseDown || !s.standby {
		return errors.New("follow: only a running replica can follow")
	}
	s.w.sleep(s.w.between(2*time.Millisecond, 20*time.Millisecond))
	s.loads++
	if !s.upstream.Same(upstream) {
		s.upstream, s.connected = upstream, false
	}
	return nil
}

// Checkpoint implements agent.Postgres.
func (p *postgres) Checkpoint(ctx context.Context) error {
	s := p.s
	life := s.life
	if err := s.w.sleepContext(ctx, s.w.between(50*time.Millisecond, time.Second)); err != nil {
		return err
	}
	if s.life != life || s.phase != phaseServing {
		return errors.New("checkpoint: the server has ended")
	}
	s.checkpoint = s.pos.branch.timeline
	return nil
}
