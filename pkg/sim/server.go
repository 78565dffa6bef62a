package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/agent"
	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
)

// phase is what the postmaster of a server does.
type phase int

const (
	phaseDown phase = iota // there is none
	phaseStarting
	phaseServing
	phaseStopping // a fast shutdown: no client is left, WAL still goes out
)

// server is the PostgreSQL of one node: what is on its disk, and the processes, which outlive the agent.
type server struct {
	w *world
	n *node

	// On disk.
	data       bool
	label      bool // a base backup that was not started yet
	pos        position
	standby    bool // standby.signal
	upstream   cluster.Upstream
	control    string // state in the control file
	checkpoint cluster.Timeline
	slots      []string // physical ones
	promotedAt time.Time
	heard      cluster.Timeline // the newest whose history file is in pg_wal

	// Processes.
	phase   phase
	primary bool // not in recovery; only while serving or stopping
	frozen  bool // SIGSTOP to the postmaster; its children go on
	strays  bool // backends without a postmaster, which may still acknowledge
	pid     int
	gate    int // the process that waits to become the server; zero: none
	started time.Time
	life    int // counts starts and ends; what was planned for another life does not happen
	acking  bool
	loads   int           // how often its files were read
	slow    time.Duration // added to each step of what it receives
	refused time.Duration // when pre_promote last said no
	noStart time.Duration // until then no start works
	bare    bool          // something else than hathi has started it, and it has not been taken over: it promises nothing
	written bool          // the shutdown checkpoint, by which it is stopping
	archive time.Duration // until then its archiver is at work, which its end waits for
	told    bool          // to become a primary, which it will be some time in this life, whatever its agent wants then

	// What the controlling side makes of it.
	state  cluster.State
	acting bool

	synchronous
	troubles
	logicalSlots

	// Streaming.
	connected bool
	inFlight  position // what the upstream had at the last look; arrives with the next
}

// canAck reports whether a client could be told now that its write is done.
func (s *server) canAck() bool {
	return !s.n.frozen && (s.phase == phaseServing && s.primary || s.strays)
}

// changed follows every change of the server: it is when promises are broken.
func (s *server) changed() {
	now := s.canAck()
	if now == s.acking {
		return
	}
	s.acking = now
	if now {
		s.w.tracef(s.n, "pg", "accepts writes on timeline %d at %s", s.pos.branch.timeline, s.pos.lsn)
	} else {
		s.w.tracef(s.n, "pg", "accepts no writes, at %s", s.pos.lsn)
	}
	s.w.check.writable()
	s.w.check.standby()
}

// later plans something for this life of the server; it waits while the postmaster or the node is frozen.
func (s *server) later(d time.Duration, f func()) {
	life := s.life
	var try func()
	try = func() {
		switch {
		case s.life != life:
		case s.frozen || s.n.frozen:
			s.w.after(glance, try)
		default:
			f()
		}
	}
	s.w.after(d, try)
}

// start starts a postmaster. What it becomes is decided by standby.signal.
func (s *server) start() {
	s.w.check.touched(s)
	s.life++
	if s.gate == 0 {
		s.fork()
	}
	s.phase, s.frozen, s.strays, s.pid, s.gate, s.primary, s.told = phaseStarting, false, false, s.gate, 0, false, false
	s.started = s.n.clock.Wall()
	s.startNames()
	if !s.standby {
		s.control = "in production"
	}
	s.w.tracef(s.n, "pg", "starting (standby %v) at %d %s", s.standby, s.pos.branch.timeline, s.pos.lsn)
	s.changed()
	s.n.serverChanged()
	recovery := s.w.between(50*time.Millisecond, 300*time.Millisecond)
	if s.w.chance(10) {
		recovery = s.w.between(time.Second, 6*time.Second)
	}
	s.later(s.startsSlowly(s.w.slowStart(recovery)), s.ready)
}

// fork makes the process that is to become the server.
func (s *server) fork() {
	s.w.pids++
	s.gate = s.w.pids
}

// waitAtGate has a guard take over the process that is to become the server. It ends if its agent or its guard
// wants it to.
func (s *server) waitAtGate(ctx context.Context, guard agent.GuardServer) error {
	s.fork()
	if err := guard(ctx, s.gate, 0); err != nil {
		s.gate = 0
		return fmt.Errorf("start: %w", err)
	}
	if s.gate == 0 {
		s.state = cluster.StateStartFailed
		return errors.New("start: the postmaster has ended")
	}
	return nil
}

// runs reports whether there is that process.
func (s *server) runs(pid int) bool {
	return s.phase != phaseDown && s.pid == pid || s.gate != 0 && s.gate == pid
}

// ready: the server accepts connections.
func (s *server) ready() {
	s.phase, s.primary, s.label = phaseServing, !s.standby, false
	s.unproven()
	s.control = "in archive recovery"
	s.startReplay()
	if s.primary {
		s.control, s.checkpoint = "in production", s.pos.branch.timeline
		s.w.check.writes(s)
		s.w.check.begins(s)
	}
	s.changed()
	s.connected = false
}

// ended: the postmaster is gone.
func (s *server) ended(control string) {
	s.life++
	s.phase, s.primary, s.frozen, s.connected, s.control, s.told, s.bare, s.written = phaseDown, false, false, false, control, false, false, false
	s.changed()
	s.w.guards(s.n)
	s.n.serverChanged()
}

// crash ends the postmaster without a word. Backends of a primary notice only when they are idle next.
func (s *server) crash() {
	if s.phase == phaseDown {
		return
	}
	wasPrimary := s.primary && s.phase == phaseServing
	s.strays = s.strays || wasPrimary
	if s.strays {
		life := s.life + 1
		s.w.after(s.w.between(10*time.Millisecond, 3*time.Second), func() {
			if s.life == life {
				s.strays = false
				s.changed()
			}
		})
	}
	if !s.acting {
		s.state = cluster.StateCrashed
	}
	s.ended(s.crashed())
}

// crashed is what the control file of a server says that did not shut down.
func (s *server) crashed() string {
	if s.written {
		return "shut down"
	}
	if s.standby && !s.primary {
		return "in archive recovery"
	}
	return "in production"
}

// kill leaves nothing of the server.
func (s *server) kill() {
	s.strays, s.gate = false, 0
	if s.phase != phaseDown {
		if !s.acting {
			s.state = cluster.StateCrashed
		}
		s.ended(s.crashed())
	}
	s.changed()
}

// fastStop begins a fast shutdown; it ends by itself when the replicas that are connected have everything.
func (s *server) fastStop() {
	if s.phase == phaseStopping || s.phase == phaseDown {
		return
	}
	if s.frozen {
		return // the signal waits; whoever sent it gives up or kills
	}
	serving := s.phase == phaseServing
	s.phase = phaseStopping
	s.changed()
	if s.primary {
		s.pos.lsn += 120 // the shutdown checkpoint
		s.w.worst()
	}
	var try func()
	try = func() {
		s.written = s.primary
		for _, r := range s.w.nodes {
			if t := r.server; t.connected && t.source() == s && t.pos != s.pos && t.phase == phaseServing {
				s.later(5*time.Millisecond, try)
				return
			}
		}
		switch {
		case s.primary && s.w.now < s.archive:
			s.later(glance, try)
		case s.primary:
			s.ended("shut down")
		case serving:
			s.ended("shut down in recovery")
		default:
			s.ended(s.crashed())
		}
	}
	s.later(s.w.between(20*time.Millisecond, 150*time.Millisecond), try)
}

// promote takes the server out of recovery onto a timeline of its own. PostgreSQL numbers it one above the
// highest whose history file it has, and so may give one number twice, if a promotion was lost before this server
// heard of it. Two things are spared: the model of Patroni, which sees no difference, and twins.
func (s *server) promote() {
	t := max(s.heard, s.pos.branch.timeline, s.w.newestArchived()) + 1
	if t <= s.w.newest {
		s.w.mark("pg: a timeline id is used twice")
		if s.w.mixed || s.twin(t) {
			t = s.w.newest + 1
		}
	}
	s.w.newest, s.heard = max(s.w.newest, t), t
	s.pos = position{&branch{timeline: t, parent: s.pos.branch, fork: s.pos.lsn, owner: s.n.name}, s.pos.lsn + 120}
	s.w.branches = append(s.w.branches, s.pos.branch)
	s.standby, s.primary, s.connected, s.control, s.told = false, true, false, "in production", false
	s.promotedAt = s.n.clock.Wall()
	s.w.check.promotedSlots(s)
	s.archivesHistory()
	s.w.tracef(s.n, "pg", "promoted to timeline %d at %s", t, s.pos.branch.fork)
	s.w.check.writes(s)
	s.w.check.begins(s)
	s.w.worst()
	s.changed()
}

// twin reports whether there was a timeline of that number already that began where this server is now, and /history
// did not hear of it: nobody can tell the two apart. It is known and open, see docs/safety.md.
func (s *server) twin(t cluster.Timeline) bool {
	if !slices.ContainsFunc(s.w.branches, func(b *branch) bool { return b.timeline == t && b.fork == s.pos.lsn }) {
		return false
	}
	line, known := dcs.DecodeHistory([]byte(s.w.etcd.text(dcs.KeyHistory))).Began(t)
	if known && line.LSN == s.pos.lsn {
		return false // the rules have to see to it
	}
	s.w.mark("pg: a twin timeline was spared")
	return true
}

// write lets a client commit. Nobody was told of a server that is being founded.
func (s *server) write() {
	if !s.canAck() || s.founding {
		return
	}
	s.w.check.permits(s)
	s.pos.lsn += cluster.LSN(8192 + s.w.rand.IntN(32768))
	s.pending = append(s.pending, s.pos)
	s.acknowledge()
}

// source is the server that this one is told to stream from; nil if there is none.
func (s *server) source() *server {
	for _, n := range s.w.servers() {
		if n.name == s.upstream.Host && n != s.n {
			return n.server
		}
	}
	return nil
}

// stream moves WAL once: what the upstream had at the last look has arrived now.
func (s *server) stream() time.Duration {
	s.attend()
	if s.restores() {
		return s.fromArchive()
	}
	u := s.source()
	fits := u != nil && !s.replaying() && !s.hanging() && s.phase == phaseServing && !s.primary && !s.n.frozen && !u.n.frozen && u.data &&
		(u.phase == phaseServing || u.phase == phaseStopping && s.connected) &&
		(s.connected || !u.frozen && !s.frozen && !u.mute()) && u.keeps(s.pos) && s.w.net.linked(s.n.number, u.n.number)
	if fits {
		s.hear(u)
	}
	if !fits || !s.pos.fits(u.pos) || !s.pos.within(u.pos) && s.unattended() {
		s.connected = false
		return s.w.between(100*time.Millisecond, time.Second)
	}
	if s.connected && s.pos.within(s.inFlight) && s.inFlight.within(u.pos) {
		s.pos = s.inFlight
		u.acknowledge()
	}
	s.connected, s.inFlight = true, u.pos
	s.copyFailoverSlots(u)
	s.w.check.streams(s, u)
	way := [2]int{u.n.number, s.n.number}
	return s.w.between(20*time.Millisecond, 120*time.Millisecond) + s.w.net.slow[way] + s.slow
}

// attend notes until when the agent of this server can't look at the cluster, or may not have done so again yet.
func (s *server) attend() {
	n, w := s.n, s.w
	if n.agent == nil || n.agent.p.frozen || n.storeLost || !w.etcd.up || !w.net.linked(n.number, w.etcdHost()) {
		n.attended = w.now + w.slowest().LoopWait
	}
}

// unattended: nobody can keep this server from the wrong timeline, or its agent has only just come back and has not looked
// yet, so it is spared that; it is known and open, see docs/safety.md.
func (s *server) unattended() bool {
	if s.w.now >= s.n.attended {
		return false
	}
	s.w.mark("pg: a server without an agent was spared another timeline")
	return true
}

// hear: a WAL receiver fetches the history files of its upstream before it asks for WAL.
func (s *server) hear(u *server) {
	if t := u.pos.branch.timeline; t >= s.pos.branch.timeline {
		s.heard = max(s.heard, t)
	}
}
