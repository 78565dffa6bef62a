package sim

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/hathi-ha/hathi/pkg/cluster"
	"github.com/hathi-ha/hathi/pkg/dcs"
	"github.com/hathi-ha/hathi/pkg/ha/quorum"
)

// Synchronous replication: when a server tells a client that its commit is done, and what /sync promises
// about that.

// synchronous is the part of a server that decides about acknowledgements.
type synchronous struct {
	configured *string        // synchronous_standby_names on disk; nil: the user's, which is empty
	session    string         // what a new session sees
	waits      bool           // commits wait: the checkpointer's word
	rules      []quorum.Names // what some sender of WAL goes by; the last is the newest
	reloads    int
	busyUntil  time.Duration // the checkpointer is busy, and reads no settings
	pending    []position    // commits that are not acknowledged yet
	// replayed is what a standby that was started shows until it has replayed all that it has.
	replayed    position
	replayUntil time.Duration
}

// replaying reports whether a standby has more WAL than it shows.
func (s *server) replaying() bool { return !s.primary && s.w.now < s.replayUntil }

// shown is the position that a query tells.
func (s *server) shown() position {
	if s.replaying() {
		return s.replayed
	}
	return s.pos
}

// startReplay: a standby accepts queries when it is consistent, which may be long before its last record.
func (s *server) startReplay() {
	s.replayUntil = 0
	if !s.w.suffers(youngLost) && (s.w.doc.Mode == cluster.SyncOff || s.w.modes.IntN(3) > 0 || s.n.patroni && !s.w.weak(weakReplay)) {
		return
	}
	s.replayed = s.pos.until(max(s.pos.lsn-cluster.LSN(s.w.modes.IntN(1<<18)), 0x3000000))
	s.replayUntil = s.w.now + between(s.w.modes, time.Second, replayTime)
}

// replayTime is the longest that a standby takes to replay its own WAL.
const replayTime = 25 * time.Second

// startNames: a new postmaster and all its children read the file.
func (s *server) startNames() {
	s.session = ""
	if s.configured != nil {
		s.session = *s.configured
	}
	names, _ := quorum.Parse(s.session) // whoever wrote it did so by Text
	s.waits, s.rules, s.pending, s.busyUntil = s.session != "", []quorum.Names{names}, nil, 0
}

// SetSynchronousNames implements agent.Postgres.
func (p *postgres) SetSynchronousNames(_ context.Context, names *string) error {
	s := p.s
	s.w.sleep(s.w.between(time.Millisecond, 5*time.Millisecond))
	if s.namesFail {
		if s.w.etcd.text(dcs.KeyLeader) == s.n.name {
			s.w.check.moment(s.n) // it shows only when it is tried, and costs the lead each time
		}
		return errNames
	}
	s.configured = names
	if s.phase == phaseDown {
		return nil
	}
	text := ""
	if names != nil {
		text = *names
	}
	s.w.tracef(s.n, "pg", "synchronous_standby_names = %s", text)
	s.later(s.w.between(0, 10*time.Millisecond), func() { s.reread(text) })
	s.w.sleep(s.w.between(0, 20*time.Millisecond))
	return nil
}

// reread is the reload: sessions see the new names, other processes follow one by one. Whether commits wait
// at all is the checkpointer's word, which may take long.
func (s *server) reread(text string) {
	names, _ := quorum.Parse(text)
	s.session = text
	s.rules = append(s.rules, names)
	s.reloads++
	if s.n.patroni && !s.w.weak(weakReload) {
		s.rules, s.waits = []quorum.Names{names}, text != ""
		s.acknowledge()
		return
	}
	this := s.reloads
	s.later(s.w.between(0, 200*time.Millisecond), func() {
		// The last of them has read these names, or newer ones.
		s.rules = s.rules[max(0, len(s.rules)-1-(s.reloads-this)):]
		s.acknowledge()
	})
	if s.w.now >= s.busyUntil && s.w.chance(20) {
		s.busyUntil = s.w.now + s.w.between(300*time.Millisecond, 5*time.Second)
		s.w.mark("pg: the checkpointer is busy")
	}
	s.later(max(s.busyUntil-s.w.now, s.w.between(0, 200*time.Millisecond)), func() {
		s.waits = s.session != ""
		s.acknowledge()
	})
	s.acknowledge()
}

// acknowledge tells clients what is done by the rules of some sender, or because commits do not wait.
func (s *server) acknowledge() {
	for len(s.pending) > 0 && s.canAck() && s.done(s.pending[0]) {
		p := s.pending[0]
		s.pending = s.pending[1:]
		s.w.check.acknowledged(s, p)
	}
}

func (s *server) done(p position) bool {
	return !s.waits || slices.ContainsFunc(s.rules, func(n quorum.Names) bool {
		have := 0
		if slices.Contains(n.Standbys, "*") {
			return slices.ContainsFunc(s.w.nodes, func(m *node) bool {
				return m.server.connected && m.server.source() == s && p.within(m.server.pos)
			})
		}
		for _, name := range n.Standbys {
			if m := s.w.node(name); m != nil && m.server.connected && m.server.source() == s && p.within(m.server.pos) {
				have++
			}
		}
		return n.Required > 0 && have >= n.Required
	})
}

// senderOf is the row of pg_stat_replication for a replica.
func (s *server) senderOf(n *node) cluster.Sender {
	row := cluster.Sender{ApplicationName: n.name, State: "streaming", FlushLSN: n.server.pos.lsn}
	if s.rules[0].Has(n.name) {
		row.SyncPriority = 1
	}
	return row
}

// document is what is in /config.
type document struct {
	Pause  bool                    `json:"pause"`
	Mode   cluster.SynchronousMode `json:"synchronous_mode"`
	Strict bool                    `json:"synchronous_mode_strict"`
	Count  int                     `json:"synchronous_node_count"`

	Times      int    `json:"times,omitempty"` // one more than the index in times; zero: those of the run
	MaximumLag uint64 `json:"maximum_lag_on_failover,omitempty"`
	SyncLag    int64  `json:"maximum_lag_on_syncnode,omitempty"`
	// StartTimeout is primary_start_timeout in seconds, and one more; zero: that of the run.
	StartTimeout int `json:"start_timeout,omitempty"`
	// NoFailsafe turns failsafe mode off where the run has it, OtherTimeline turns check_timeline to what it is not.
	NoFailsafe    bool `json:"no_failsafe,omitempty"`
	OtherTimeline bool `json:"other_timeline,omitempty"`
	// Standby: the cluster follows the server outside.
	Standby bool `json:"standby,omitempty"`
	// NoHost: that server is not named. NoRewind turns use_pg_rewind off.
	NoHost   bool `json:"no_host,omitempty"`
	NoRewind bool `json:"no_rewind,omitempty"`
}

func (d document) text() []byte {
	b, _ := json.Marshal(d) // plain fields can't fail
	return b
}

func readDocument(raw []byte) (d document) {
	_ = json.Unmarshal(raw, &d) // nobody but us writes it
	return d
}

// chooseMode gives the synchronous mode of a run. It draws from numbers of its own, so that the runs of
// asynchronous clusters do not change with it.
func (w *world) chooseMode() (d document, live bool) {
	r := w.modes
	d.Mode = w.choices[r.IntN(len(w.choices))]
	d.Strict, d.Count = r.IntN(3) == 0, 1+r.IntN(2)
	return d, r.IntN(3) == 0
}

// chooseTags gives the tags of a member.
func (w *world) chooseTags() cluster.Tags {
	switch w.modes.IntN(8) {
	case 0:
		return cluster.Tags{"nosync": true}
	case 1:
		return cluster.Tags{"sync_priority": 2}
	}
	return nil
}

// switchMode changes the synchronous mode of the running cluster.
func (w *world) switchMode() {
	if !w.etcd.up || w.etcd.get(dcs.KeyConfig) == nil || w.paused {
		return
	}
	mode, _ := w.chooseMode()
	w.doc.Mode, w.doc.Strict, w.doc.Count = mode.Mode, mode.Strict, mode.Count
	w.tracef(nil, "USER", "synchronous_mode %q, strict %v, count %d", w.doc.Mode, w.doc.Strict, w.doc.Count)
	w.mark("user: synchronous mode changed")
	w.etcd.put(dcs.KeyConfig, w.doc.text(), 0)
}

// switchModes does it now and then, for as long as faults happen.
func (w *world) switchModes(until time.Duration) {
	w.after(between(w.modes, 20*time.Second, 90*time.Second), func() {
		if w.now < until && w.faulty {
			w.switchMode()
			w.switchModes(until)
		}
	})
}

// strikes aim at the leader now and then: with the next commit that one replica has acknowledged and another
// lacks, the leader is switched off, perhaps together with that replica, or loses agent and postmaster at once,
// so that the lock is free at once. What is left must have everything, or nobody may lead.
func (w *world) strikes(until time.Duration) {
	w.after(between(w.modes, 5*time.Second, 60*time.Second), func() {
		if w.now < until && w.faulty {
			w.aiming = w.active == 0 && !w.paused && w.now >= w.calm && len(w.nodes) > 2
			if w.modes.IntN(5) == 0 {
				w.failover()
			}
			w.strikes(until)
		}
	})
}

// failover orders a member to take over, synchronous or not.
func (w *world) failover() {
	candidate := w.nodes[w.modes.IntN(len(w.nodes))].name
	if !w.etcd.up || w.paused || dcs.DecodeFailover([]byte(w.etcd.text(dcs.KeyFailover))).Pending() {
		return
	}
	if listed := dcs.DecodeFailsafe([]byte(w.etcd.text(dcs.KeyFailsafe))); len(listed) > 0 && listed[candidate] == "" {
		return // such an order is for who knows that the old primary is down; see docs/safety.md
	}
	w.tracef(nil, "USER", "failover to %s", candidate)
	w.mark("user: failover")
	w.etcd.put(dcs.KeyFailover, dcs.EncodeFailover(cluster.FailoverRequest{Candidate: candidate}), 0)
}

// struck: a commit was just acknowledged.
func (w *world) struck(s *server, p position) {
	var have, lack []*node
	for _, n := range w.nodes {
		switch {
		case n == s.n || !n.server.connected || n.server.source() != s:
		case p.within(n.server.pos):
			have = append(have, n)
		default:
			lack = append(lack, n)
		}
	}
	if !w.aiming || !w.faulty || w.now < w.calm || len(have) == 0 || len(lack) == 0 {
		return
	}
	w.aiming = false
	kind := w.modes.IntN(3)
	w.after(0, func() {
		w.mark("strike")
		if kind == 0 && s.n.fenced() {
			w.crashServer(s.n)
			w.crashAgent(s.n)
			return
		}
		w.crashNode(s.n)
		if kind == 1 {
			w.crashNode(have[0])
		}
	})
}
