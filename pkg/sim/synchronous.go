package sim

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
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
	if s.w.doc.Mode == cluster.SyncOff || s.w.modes.IntN(3) > 0 {
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
	w.doc, _ = w.chooseMode()
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
			w.aiming = w.active == 0 && !w.paused && len(w.nodes) > 2
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
	w.tracef(nil, "USER", "failover to %s", candidate)
	w.mark("user: failover")
	w.etcd.put(dcs.KeyFailover, dcs.EncodeFailover(cluster.FailoverRequest{Candidate: candidate}), 0)
}

// ordered reports whether a user has ordered a member to take over.
func (c *checker) ordered(n *node) bool {
	order := dcs.DecodeFailover([]byte(c.w.etcd.text(dcs.KeyFailover)))
	return order.Leader == "" && order.Candidate == n.name
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
	if !w.aiming || !w.faulty || len(have) == 0 || len(lack) == 0 {
		return
	}
	w.aiming = false
	kind := w.modes.IntN(3)
	w.after(0, func() {
		w.mark("strike")
		if kind == 0 && s.n.guarded() {
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

// promised is what the checker knows of acknowledged commits.
type promised struct {
	acked []position // the newest of each branch
	// bound: the key was written since the mode was last turned on, so it is bound to its promise.
	bound bool
	// strict: the first standby was listed, and the mode has never changed.
	strict bool
	mode   document
	named  string // the leader in /sync
}

// acknowledged: a client was told that its commit is done.
func (c *checker) acknowledged(s *server, p position) {
	c.w.marks["acknowledged"]++
	i := slices.IndexFunc(c.acked, func(q position) bool { return q.branch == p.branch })
	if i < 0 {
		c.acked = append(c.acked, p)
	} else {
		c.acked[i].lsn = max(c.acked[i].lsn, p.lsn)
	}
	if !c.bound {
		return
	}
	c.w.marks["acknowledged in "+string(c.mode.Mode)]++
	c.w.struck(s, p)
	c.survives()
	if c.mode.Strict && c.strict && !slices.ContainsFunc(c.w.nodes, func(n *node) bool {
		return n != s.n && n.server.data && p.within(n.server.pos)
	}) {
		c.violate("%s acknowledges a commit in strict mode that nobody else has", s.n.name)
	}
}

// lacks reports whether a server lacks an acknowledged commit.
func (c *checker) lacks(s *server) bool {
	return slices.ContainsFunc(c.acked, func(p position) bool { return !p.within(s.pos) })
}

// survives: whoever /sync lets be promoted has every acknowledged commit, now, whatever dies next. A server
// without data is nobody's candidate and gives nobody its voice.
func (c *checker) survives() {
	if !c.bound {
		return
	}
	key := dcs.DecodeSync([]byte(c.w.etcd.text(dcs.KeySync)))
	leader := c.w.node(key.Leader)
	if leader == nil {
		return
	}
	if leader.server.data && c.lacks(leader.server) {
		c.violate("/sync names %s as the leader, which lacks an acknowledged commit", key.Leader)
	}
	var without []string
	for _, name := range key.Standbys {
		if n := c.w.node(name); n != nil && n.server.data && c.lacks(n.server) {
			without = append(without, name)
		}
	}
	if len(without) > key.Quorum {
		c.violate("/sync promises that with a quorum of %d nothing is lost, but %s lack an acknowledged commit",
			key.Quorum, strings.Join(without, ", "))
	}
}

// syncKey sees each change of /sync.
func (c *checker) syncKey() {
	value := c.w.etcd.text(dcs.KeySync)
	c.w.tracef(nil, "etcd", "sync key = %s", value)
	key := dcs.DecodeSync([]byte(value))
	leader := c.w.node(key.Leader)
	if leader == nil || c.mode.Mode == cluster.SyncOff {
		c.bound = false
		return
	}
	if c.ordered(leader) && key.Leader != c.named {
		c.bound = false // whatever it lacks
	}
	if !c.bound {
		// What was lost before, while nothing was promised, can't be lost any more.
		c.bound = true
		c.acked = slices.DeleteFunc(c.acked, func(p position) bool { return !p.within(leader.server.pos) })
	}
	if key.Leader != c.named && c.w.faulty && len(c.w.nodes) > 2 && c.w.modes.IntN(3) == 0 {
		c.w.aiming = true // a young reign, in which the leader before may not have come back yet
	}
	c.named = key.Leader
	c.strict = c.strict || len(key.Standbys) > 0 && !c.w.live
	c.survives()
}

// configKey sees each change of /config.
func (c *checker) configKey(raw []byte) {
	before := c.mode.Mode
	c.mode = readDocument(raw)
	if before == cluster.SyncOff || c.mode.Mode == cluster.SyncOff {
		c.bound = false
	}
}

// begins: with synchronous replication a server that begins to write is the one that /sync names.
func (c *checker) begins(s *server) {
	if !c.bound || c.w.paused {
		return
	}
	if key := dcs.DecodeSync([]byte(c.w.etcd.text(dcs.KeySync))); key.Leader != s.n.name {
		c.violate("%s begins to write, but /sync names %s as the leader", s.n.name, key.Leader)
	}
}

// synchronous says what is missing to the synchronous state that is configured, nothing if it is there.
func (c *checker) synchronous(leader *node) string {
	key := dcs.DecodeSync([]byte(c.w.etcd.text(dcs.KeySync)))
	if c.mode.Mode == cluster.SyncOff {
		if key.Leader != "" || leader.server.session != "" {
			return "synchronous mode is off, but /sync or the names are still there"
		}
		return ""
	}
	want := 0
	for _, n := range c.w.nodes {
		if n != leader && !n.tags.NoSync() {
			want++
		}
	}
	required := min(c.mode.Count, want)
	if c.mode.Mode == cluster.SyncOn {
		want = required
	}
	names, _ := quorum.Parse(leader.server.session)
	if want == 0 && c.mode.Strict {
		names.Standbys, names.Required = names.Standbys[:max(0, len(names.Standbys)-1)], names.Required-1 // the one that can't be
	}
	if key.Leader != leader.name || len(key.Standbys) != want || key.Quorum != want-required || len(names.Standbys) != want || names.Required != required {
		return fmt.Sprintf("/sync is led by %q with quorum %d of %v while the names are %q", key.Leader, key.Quorum, key.Standbys, leader.server.session)
	}
	return ""
}
